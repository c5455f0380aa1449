import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Core from "../src/Core.ts"
import * as Hook from "../src/Hook.ts"
import { eventOfGroup } from "../src/Message.ts"
import { Storage } from "../src/Storage.ts"
import { Created, Endpoints, layer, subscribe, until } from "./support/world.ts"

const eventId = "incident.incident.created"

const emit = (n: number) => Hook.emit(Created, { incidentId: `i-${n % 40}`, systemIds: [String(n)] })

/** The worker groups that had an owner. */
const groups = Effect.map(
  Storage.use((storage) => Effect.orDie(storage.owners({}, { cursor: undefined, limit: 100 }))),
  (owners) => owners.map(({ workerGroup }) => workerGroup).filter((group) => eventOfGroup(group) === eventId)
)

describe("a hot event", () => {
  it.effect("is shared out to as many dispatchers as it has partitions, and delivered once", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      yield* subscribe("a")
      yield* storage.setPartitions(eventId, 4)
      yield* Effect.forEach(Array.from({ length: 200 }, (_, n) => n), emit, { concurrency: 20, discard: true })
      yield* until("all are delivered", () => endpoints.seen.length === 200, 10_000)
      assert.deepStrictEqual(
        (yield* groups).sort(),
        [0, 1, 2, 3].map((n) => `integration.${eventId}#${n}.4`)
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(new Set(endpoints.seen.map(({ attempt }) => attempt.message.id)).size, 200)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("gets other partitions while messages flow: nothing is lost or comes twice, and order is kept where it is promised", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      yield* subscribe("a")
      yield* subscribe("ordered", undefined, { ordered: true })
      const counts = [1, 3, 8, 2, 1, 5]
      for (let n = 0; n < 240; n++) {
        if (n % 40 === 0) yield* storage.setPartitions(eventId, counts[n / 40] ?? 1)
        yield* emit(n)
        if (n % 7 === 0) yield* TestClock.adjust(5)
      }
      yield* until("all are delivered", () => endpoints.seen.length === 480, 30_000)
      yield* TestClock.adjust("10 seconds")
      for (const endpoint of ["a", "ordered"]) {
        assert.strictEqual(new Set(endpoints.of(endpoint).map(({ attempt }) => attempt.message.id)).size, 240)
        assert.strictEqual(endpoints.of(endpoint).length, 240)
      }
      const byKey = Map.groupBy(
        endpoints.of("ordered").map(({ attempt }) => JSON.parse(attempt.message.payloadJson)),
        ({ incidentId }) => incidentId
      )
      for (const seen of byKey.values()) {
        const numbers = seen.map(({ systemIds }) => Number(systemIds[0]))
        assert.deepStrictEqual(numbers, [...numbers].sort((a, b) => a - b))
      }
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("is heard by handlers of every process in one order", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      yield* storage.setPartitions(eventId, 3)
      const [cursor] = yield* storage.listen([`integration.${eventId}`])
      if (!cursor) return yield* Effect.die("nobody listens")
      yield* Effect.forEach(Array.from({ length: 30 }, (_, n) => n), emit, { concurrency: 10, discard: true })
      const heard = Effect.orDie(storage.hear([cursor], 100))
      yield* until("all are told", () => Effect.map(heard, (found) => found.length === 30), 10_000)
      const positions = (yield* heard).map(({ position }) => position)
      assert.deepStrictEqual(positions, positions.map((_, n) => (positions[0] ?? 0) + n))
      assert.isFalse(Core.isOwn(eventId))
    }).pipe(Effect.provide(layer(new Endpoints()))))
})
