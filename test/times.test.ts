import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import { defaults, layer as limits } from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Created, Endpoints, layer, subscribe, until } from "./support/world.ts"

const payload = { incidentId: "i", systemIds: [] }

/** A time from now, in milliseconds. */
const inMs = (ms: number) => Effect.map(DateTime.now, (now) => DateTime.add(now, { milliseconds: ms }))

const away = Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "503" }))

const deliveries = Storage.use((storage) => Effect.orDie(storage.listDeliveries({}, { cursor: undefined, limit: 100 })))

describe("a message to be delivered later", () => {
  it.effect("is matched when it is emitted, and sent when it is due", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a")
      const deliverAt = yield* inMs(60_000)
      yield* Hook.emit(Created, payload, { deliverAt })
      yield* TestClock.adjust("5 seconds")
      yield* subscribe("late")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(endpoints.seen.length, 0)
      yield* until("it is sent", () => endpoints.seen.length === 1, 6000)
      assert.isAtLeast(endpoints.seen[0]?.atMs ?? 0, DateTime.toEpochMillis(deliverAt))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(endpoints.of("late").length, 0)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("of an ordered subscription keeps what was emitted after it waiting", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a", undefined, { ordered: true })
      const id = yield* Hook.emit(Created, payload, { deliverAt: yield* inMs(10_000) })
      const next = yield* Hook.emit(Created, payload)
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual(endpoints.seen.length, 0)
      yield* until("both are sent", () => endpoints.seen.length === 2, 5000)
      assert.deepStrictEqual(endpoints.seen.map(({ attempt }) => attempt.message.id), [id, next])
    }).pipe(Effect.provide(layer(endpoints)))
  })
})

describe("a message that expires", () => {
  it.effect("is not sent any more, and its delivery fails as expired without an attempt", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("a", undefined, { enabled: false })
      yield* Hook.emit(Created, payload, { expiresAt: yield* inMs(5000) })
      yield* TestClock.adjust("6 seconds")
      yield* subscriptions.update(id, { enabled: true })
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual(endpoints.seen.length, 0)
      const [delivery] = yield* deliveries
      assert.deepInclude(delivery, { status: "failed", reason: "expired", attemptCount: 0 })
      assert.isDefined(delivery?.completedAtMs)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("ends with the attempt after which none is due in time", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => away)
    return Effect.gen(function*() {
      yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000, 1000, 60_000, 1000] } })
      yield* Hook.emit(Created, payload, { expiresAt: yield* inMs(30_000) })
      yield* until("it has ended", () => Effect.map(deliveries, ([found]) => found?.status === "failed"), 10_000)
      const [delivery] = yield* deliveries
      assert.deepInclude(delivery, { reason: "expired", attemptCount: 3, lastError: "503" })
    }).pipe(Effect.provide(layer(endpoints)))
  })
})

describe("times that make no sense", () => {
  it.effect("are refused where they are wrong", () =>
    Effect.gen(function*() {
      const later = yield* inMs(60_000)
      const wrong = [
        [{ deliverAt: yield* inMs(-1000) }, "deliverAt"],
        [{ deliverAt: yield* inMs(defaults.deliverAheadMs + 1000) }, "deliverAt"],
        [{ expiresAt: yield* inMs(0) }, "expiresAt"],
        [{ expiresAt: yield* inMs(defaults.expireAheadMs + 1000) }, "expiresAt"],
        [{ deliverAt: later, expiresAt: later }, "expiresAt"]
      ] as const
      for (const [options, path] of wrong) {
        const error = yield* Effect.flip(Hook.emit(Created, payload, options))
        assert.deepInclude(error, { _tag: "PayloadRefused", path })
      }
    }).pipe(Effect.provide(layer(new Endpoints()))))

  it.effect("are none where an emit is repeated with its key after them; with other times it is another message", () =>
    Effect.gen(function*() {
      const deliverAt = yield* inMs(1000)
      const emit = Hook.emit(Created, payload, { deliverAt, idempotencyKey: "k" })
      const id = yield* emit
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* emit, id)
      const error = yield* Effect.flip(Hook.emit(Created, payload, { idempotencyKey: "k" }))
      assert.strictEqual(error._tag, "IdempotencyConflict")
    }).pipe(Effect.provide(layer(new Endpoints()))))
})

describe("a time that is over", () => {
  it.effect("is refused of a first emit with a key as well, and the key is free for another", () =>
    Effect.gen(function*() {
      const before = yield* inMs(-1000)
      for (
        const [path, times] of [["deliverAt", { deliverAt: before }], ["expiresAt", { expiresAt: before }]] as const
      ) {
        const error = yield* Effect.flip(Hook.emit(Created, payload, { ...times, idempotencyKey: "k" }))
        assert.deepInclude(error, { _tag: "PayloadRefused", path, message: "Expected a time to come" })
      }
      yield* Hook.emit(Created, payload, { idempotencyKey: "k" })
      yield* TestClock.adjust("5 seconds")
    }).pipe(Effect.provide(layer(new Endpoints()))))

  it.effect("is refused in a batch where a message repeats none, and nothing of it is stored", () =>
    Effect.gen(function*() {
      const hooks = yield* Hook.Hooks
      const expiresAt = yield* inMs(1000)
      const emission = (idempotencyKey: string): Hook.Emission => ({
        eventId: "incident.incident.created",
        payload,
        options: { expiresAt, idempotencyKey }
      })
      const ids = yield* hooks.emitBatch([emission("a"), emission("b")])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* hooks.emitBatch([emission("b"), emission("a")]), ids.toReversed())
      const error = yield* Effect.flip(hooks.emitBatch([emission("a"), emission("new"), emission("b")]))
      assert(error._tag === "BatchRefused")
      assert.strictEqual(error.index, 1)
      assert.deepInclude(error.reason, { _tag: "PayloadRefused", path: "expiresAt" })
      assert.strictEqual((yield* Effect.flip(hooks.emitBatch([emission("new")])))._tag, "BatchRefused")
    }).pipe(Effect.provide(layer(new Endpoints()))))
})

describe("what was never attempted", () => {
  it.effect("gets its share of a lane while thousands of retries are due", () => {
    const endpoints = new Endpoints()
    let isDown = true
    endpoints.behaviours.set("a", () => isDown ? away : Effect.delay(Effect.succeed({}), "20 millis"))
    return Effect.gen(function*() {
      yield* subscribe("a", undefined, {
        retry: { type: "delays", delaysMs: Array.from({ length: 90 }, () => 10_000) }
      })
      yield* Effect.replicateEffect(Hook.emit(Created, payload), 3000, { discard: true, concurrency: 200 })
      yield* until(
        "each was attempted",
        () => new Set(endpoints.seen.map(({ attempt }) => attempt.deliveryId)).size > 2000
      )
      yield* TestClock.adjust("10 seconds")
      isDown = false
      const before = endpoints.seen.length
      const id = yield* Hook.emit(Created, { ...payload, incidentId: "fresh" })
      yield* until(
        "the new one is sent",
        () => endpoints.seen.some(({ attempt }) => attempt.message.id === id),
        400_000
      )
      assert.isBelow(endpoints.seen.length - before, 1500)
    }).pipe(
      Effect.provide(layer(endpoints)),
      Effect.provide(limits({ circuitFailures: 1e6, circuitSampleAttempts: 1e6 })),
      // What is due at once may take a busy machine more than the second after which the clock would not wait any more.
      Effect.provide(TestClock.layer({ warningDelay: "1 minute" }))
    )
  })
})
