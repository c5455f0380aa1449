import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, type Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import { MemoryTransactions } from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Broken, Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const world = <A, E>(body: (endpoints: Endpoints) => Effect.Effect<A, E, LayerSuccess>) => {
  const endpoints = new Endpoints()
  return within(layer(endpoints), body(endpoints))
}
type LayerSuccess = ReturnType<typeof layer> extends Layer.Layer<infer R, infer _E, infer _R> ? R
  : never

const fail = (statusCode: number) =>
  Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: `HTTP ${statusCode}`, statusCode }))

describe("Hookline", () => {
  it.effect("delivers an emitted message once to each matching subscription", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        yield* subscribe("a")
        yield* subscribe("b", ["incident.*"])
        yield* subscribe("c", ["other.*"])
        const id = yield* Hook.emit(Created, payload)
        yield* until("both endpoints saw it", () => endpoints.seen.length === 2)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(endpoints.seen.length, 2)
        assert.deepStrictEqual(endpoints.seen.map((seen) => seen.endpoint).sort(), ["a", "b"])
        for (const seen of endpoints.seen) {
          assert.strictEqual(seen.attempt.message.id, id)
          assert.deepStrictEqual(JSON.parse(seen.attempt.message.payloadJson), payload)
        }
        const storage = yield* Storage
        yield* until("both are recorded", () =>
          Effect.map(storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 10 }), (all) =>
            all.length === 2).pipe(Effect.orDie))
      })
    ))

  it.effect("retries by the subscription's schedule and keeps every attempt", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        endpoints.behaviours.set("a", (attempt) => attempt.number < 3 ? fail(500) : Effect.succeed({ statusCode: 204 }))
        yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000, 5000] } })
        yield* Hook.emit(Created, payload)
        yield* until("three attempts were made", () => endpoints.seen.length === 3)
        const [first, second, third] = endpoints.seen.map((seen) => seen.atMs)
        assert.isTrue(first !== undefined && second !== undefined && third !== undefined)
        assert.isAtLeast((second ?? 0) - (first ?? 0), 1000)
        assert.isBelow((second ?? 0) - (first ?? 0), 2000)
        assert.isAtLeast((third ?? 0) - (second ?? 0), 5000)
        assert.isBelow((third ?? 0) - (second ?? 0), 6000)
        const storage = yield* Storage
        const id = endpoints.seen[0]?.attempt.deliveryId
        assert.isDefined(id)
        if (id === undefined) return
        yield* until("it is recorded", () =>
          Effect.map(storage.getDelivery(id), (found) =>
            found._tag === "Some" && found.value.delivery.status === "success")
            .pipe(Effect.orDie))
        const found = yield* storage.getDelivery(id)
        if (found._tag === "None") {
          return assert.fail("the delivery is gone")
        }
        assert.deepStrictEqual(
          found.value.attempts.map((attempt) =>
            attempt.outcome
          ),
          [
            "retryable",
            "retryable",
            "success"
          ]
        )
      })
    ))

  it.effect("a delivery whose schedule is exhausted fails, and can be retried by hand", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        endpoints.behaviours.set("a", () => fail(503))
        yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
        yield* Hook.emit(Created, payload)
        const storage = yield* Storage
        const failed = Effect.map(
          storage.listDeliveries({ status: "failed" }, { cursor: undefined, limit: 1 }),
          (all) => all.length === 1
        ).pipe(Effect.orDie)
        yield* until("it failed", () => failed)
        const [delivery] = yield* storage.listDeliveries({}, { cursor: undefined, limit: 1 })
        assert.strictEqual(delivery?.reason, "exhausted")
        assert.strictEqual(delivery?.attemptCount, 2)
        endpoints.behaviours.delete("a")
        if (!delivery) return
        assert.strictEqual(yield* storage.retryDelivery(delivery.id), "Retried")
        yield* until("it was delivered", () =>
          Effect.map(storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 1 }), (all) =>
            all.length === 1).pipe(Effect.orDie))
        assert.strictEqual(endpoints.seen.length, 3)
        assert.strictEqual(
          new Set(endpoints.seen.map((seen) =>
            seen.attempt.message.id
          )).size,
          1
        )
      })
    ))

  it.effect("a rollback leaves no trace, and listeners hear only after the commit", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        yield* subscribe("a")
        const { withTransaction } = yield* MemoryTransactions
        const heard = yield* Hook.stream(Created).pipe(
          Stream.take(1),
          Stream.runCollect,
          Effect.forkChild({ startImmediately: true })
        )
        yield* withTransaction(Effect.andThen(Hook.emit(Created, payload), Effect.fail("abort"))).pipe(Effect.ignore)
        yield* TestClock.adjust("5 seconds")
        assert.isUndefined(heard.pollUnsafe())
        const id = yield* withTransaction(Hook.emit(Created, { ...payload, incidentId: "i2" }))
        assert.deepStrictEqual((yield* Fiber.join(heard)).map((item) => item.incidentId), ["i2"])
        yield* until("it is delivered", () => endpoints.seen.length === 1)
        assert.strictEqual(endpoints.seen[0]?.attempt.message.id, id)
        const storage = yield* Storage
        assert.strictEqual(
          (yield* storage.listMessages({}, { cursor: undefined, limit: 10, bytes: 1e9 })).items.length,
          1
        )
      })
    ))

  it.effect("a transform runs once, and one that throws sets its message aside, visible and retryable", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        yield* subscribe("a", ["incident.broken"])
        const bad = yield* Hook.emit(Broken, { n: -1 })
        yield* Hook.emit(Broken, { n: 21 })
        yield* until("the good one is delivered", () => endpoints.seen.length === 1)
        assert.deepStrictEqual(JSON.parse(endpoints.seen[0]?.attempt.message.payloadJson ?? ""), { doubled: 42 })
        const storage = yield* Storage
        const message = yield* storage.getMessage(bad)
        assert.deepInclude(message._tag === "Some" ? message.value.state : {}, {
          _tag: "SetAside",
          error: "no negative numbers"
        })
        assert.strictEqual(yield* storage.retryMessage(bad), "Retried")
      })
    ))

  it.effect("once a disable is answered no attempt begins, and deliveries wait until it is enabled", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        const subscription = yield* subscribe("a")
        yield* subscriptions.update(subscription.id, { enabled: false })
        yield* Hook.emit(Created, payload)
        const storage = yield* Storage
        const [held] = yield* Effect.gen(function*() {
          yield* until("it is held", () =>
            Effect.map(storage.listDeliveries({ reason: "held" }, { cursor: undefined, limit: 1 }), (all) =>
              all.length === 1).pipe(Effect.orDie))
          return yield* storage.listDeliveries({}, { cursor: undefined, limit: 1 })
        })
        assert.strictEqual(held?.status, "pending")
        assert.strictEqual(endpoints.seen.length, 0)
        yield* subscriptions.update(subscription.id, { enabled: true })
        yield* until("it is delivered", () =>
          endpoints.seen.length === 1)
      })
    ))

  it.effect("a delete ends unfinished deliveries as cancelled", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        endpoints.behaviours.set("a", () => fail(500))
        const subscriptions = yield* Subscriptions
        const subscription = yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
        yield* Hook.emit(Created, payload)
        yield* until("an attempt was made", () => endpoints.seen.length === 1)
        yield* subscriptions.remove(subscription.id)
        const storage = yield* Storage
        yield* until("it is cancelled", () =>
          Effect.map(
            storage.listDeliveries({ status: "cancelled" }, { cursor: undefined, limit: 1 }),
            (all) => all[0]?.completedAtMs !== undefined
          ).pipe(Effect.orDie))
        // Its retry would have been due by then.
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(endpoints.seen.length, 1)
      })
    ))

  it.effect("an endpoint that is gone disables its subscription", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        endpoints.behaviours.set(
          "a",
          () => Effect.fail(new Provider.GoneError({ code: "HttpStatus", message: "HTTP 410", statusCode: 410 }))
        )
        const subscriptions = yield* Subscriptions
        const { id } = yield* subscribe("a")
        yield* Hook.emit(Created, payload)
        yield* until(
          "it is disabled",
          () =>
            Effect.map(subscriptions.get(id), (found) => !found.enabled && found.disabledReason === "gone").pipe(
              Effect.orDie
            )
        )
        yield* Hook.emit(Created, payload)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(endpoints.seen.length, 1)
      })
    ))

  it.effect("a repeated idempotency key returns the first message, with other content it is a conflict", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        yield* subscribe("a")
        const first = yield* Hook.emit(Created, payload, { idempotencyKey: "k" })
        assert.strictEqual(yield* Hook.emit(Created, payload, { idempotencyKey: "k" }), first)
        const error = yield* Effect.flip(Hook.emit(Created, { ...payload, incidentId: "x" }, { idempotencyKey: "k" }))
        assert.strictEqual(error._tag, "IdempotencyConflict")
        yield* until("it is delivered", () => endpoints.seen.length === 1)
      })
    ))

  it.effect(
    "10,000 messages to a dead endpoint do not slow a healthy one",
    () =>
      world((endpoints) =>
        Effect.gen(function*() {
          const hangs = yield* Latch.make()
          endpoints.behaviours.set("dead", () => Effect.as(hangs.await, {}))
          yield* subscribe("dead")
          yield* Effect.forEach(Array.from({ length: 10_000 }), () => Hook.emit(Created, payload), {
            concurrency: 200,
            discard: true
          })
          yield* until("the dead endpoint has its fill", () => endpoints.of("dead").length >= 64)
          // Messages that are routed later would go to the healthy endpoint as well.
          const storage = yield* Storage
          yield* until(
            "all are routed",
            () =>
              Effect.map(storage.due({ aheadMs: 0 }), (all) => !all.some(({ unrouted }) => unrouted)).pipe(Effect.orDie)
          )
          yield* subscribe("healthy")
          const started = endpoints.of("dead").length
          for (let n = 0; n < 20; n++) {
            yield* Hook.emit(Created, payload)
            yield* until(
              "the healthy endpoint gets it within a second",
              () => endpoints.of("healthy").length === n + 1,
              1000
            )
          }
          assert.isAtMost(endpoints.of("dead").length, Math.max(started, 64))
          yield* hangs.open
        })
      ),
    60_000
  )

  it.effect("a provider that throws is the provider's fault: the delivery is retried", () =>
    world((endpoints) =>
      Effect.gen(function*() {
        endpoints.behaviours.set("a", (attempt) =>
          attempt.number === 1 ? Effect.die(new Error("oops")) : Effect.succeed({}))
        yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [1000] } })
        yield* Hook.emit(Created, payload)
        yield* until("it is tried again", () =>
          endpoints.seen.length === 2)
      })
    ))
})
