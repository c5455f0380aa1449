import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import { defaults } from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { Storage, StorageUnavailable } from "../src/Storage.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { losing } from "./support/losing.ts"
import { Created, Endpoints, interfered, layerOn, subscribe, until } from "./support/world.ts"

const away = new StorageUnavailable({ message: "the answer was lost" })

const emitMany = (count: number) =>
  Effect.replicateEffect(Hook.emit(Created, { incidentId: "i", systemIds: [] }), count, { concurrency: 100 })

const succeeded = Effect.flatMap(
  Storage,
  (storage) =>
    Effect.map(
      Effect.orDie(storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 1000 })),
      ({ length }) => length
    )
)

describe("where the database's answer is lost", () => {
  for (
    const [limit, change, mostAtOnce] of [
      ["a rate limit", { rateLimit: { messages: 1000, intervalMs: 1000 } }, defaults.laneSlots],
      ["an order", { ordered: true }, 1]
    ] as const
  ) {
    it.effect(`while a subscription gets ${limit}, what was claimed before goes on in its new group`, () => {
      const endpoints = new Endpoints()
      const answer = Latch.makeUnsafe()
      let lost = 0
      const storage = interfered((storage) => ({
        release: (owner, ids) => lost++ === 0 ? Effect.fail(away) : storage.release(owner, ids)
      }))
      return Effect.gen(function*() {
        endpoints.behaviours.set("a", () => Effect.as(answer.await, { statusCode: 200 }))
        const { id } = yield* subscribe("a")
        yield* emitMany(100)
        yield* until("some are under way", () => endpoints.seen.length === defaults.laneSlots)
        yield* Subscriptions.use((service) => service.update(id, change))
        yield* until("what was claimed could not be given back", () => lost > 0)
        let [now, most] = [0, 0]
        endpoints.behaviours.set("a", () =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              most = Math.max(most, ++now)
            }),
            () => Effect.delay(Effect.succeed({}), 10),
            () =>
              Effect.sync(() => {
                now--
              })
          ))
        yield* answer.open
        yield* until("all are delivered", () => Effect.map(succeeded, (count) => count === 100))
        assert.strictEqual(endpoints.seen.length, 100)
        assert.isAtMost(most, mostAtOnce)
      }).pipe(Effect.provide(layerOn(endpoints, storage)))
    })
  }

  it.effect("to the recording of what a gone endpoint said, its subscription is disabled all the same", () => {
    const endpoints = new Endpoints()
    let lost = { lost: 0 }
    const storage = interfered((storage) => {
      const { state, verb } = losing(storage.record, (ids) => ids.length > 0)
      lost = state
      return { record: verb }
    })
    return Effect.gen(function*() {
      const gone = new Provider.GoneError({ code: "HttpStatus", message: "HTTP 410", statusCode: 410 })
      endpoints.behaviours.set("a", () => Effect.fail(gone))
      const { id } = yield* subscribe("a")
      yield* emitMany(1)
      yield* until("it is disabled", () =>
        Effect.orDie(Effect.map(
          Subscriptions.use((service) => service.get(id)),
          ({ disabledReason }) => disabledReason === "gone"
        )))
      assert.strictEqual(lost.lost, 1)
      assert.strictEqual(endpoints.seen.length, 1)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })

  it.effect("to the reading of a change, its subscription's messages go ahead of their routing again", () => {
    const endpoints = new Endpoints()
    let isLost = false
    let completed = 0
    const storage = interfered((storage) => ({
      subscriptions: Effect.suspend(() => {
        if (!isLost) return storage.subscriptions
        isLost = false
        return Effect.fail(away)
      }),
      complete: (messages) => {
        completed += messages.length
        return storage.complete(messages)
      }
    }))
    return Effect.gen(function*() {
      const { id } = yield* subscribe("a")
      yield* emitMany(1)
      yield* until("it is delivered", () => Effect.map(succeeded, (count) => count === 1))
      yield* emitMany(1)
      yield* until("the second went ahead", () => completed === 1)
      isLost = true
      yield* Subscriptions.use((service) => service.update(id, { name: "b" }))
      assert.isFalse(isLost)
      yield* TestClock.adjust(defaults.takeUpIntervalMs + 1000)
      yield* emitMany(1)
      yield* until("one after the change is delivered", () => Effect.map(succeeded, (count) => count === 3))
      yield* emitMany(1)
      yield* until("all are delivered", () => Effect.map(succeeded, (count) => count === 4))
      assert.strictEqual(completed, 2)
    }).pipe(Effect.provide(layerOn(endpoints, storage)))
  })
})
