import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Id from "../src/Id.ts"
import { defaults } from "../src/Limits.ts"
import * as Stats from "../src/Stats.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { add, none, type Tally } from "../src/Tally.ts"
import { deliver, group, record, subscribe, success } from "./storage/support.ts"

const world = Stats.layer.pipe(Layer.provideMerge(StorageMemory.layer))

/** A hundred days from the beginning of time, with a group that is owned and a subscription. */
const begun = Effect.gen(function*() {
  yield* TestClock.adjust("100 days")
  const storage = yield* Storage
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
  const subscriptionId = yield* subscribe()
  const succeed = Effect.gen(function*() {
    const { id } = yield* deliver(owner, subscriptionId, true)
    yield* record(owner, id, success)
  })
  return { storage, succeed, stats: yield* Stats.Stats }
})

const sum = (parts: ReadonlyArray<Tally>): Tally => parts.reduce<Tally>((sum, part) => add(sum, part), none)

describe("statistics", () => {
  it.effect("say what ended within the last hours, in steps of which none is left out", () =>
    Effect.gen(function*() {
      const { stats, succeed } = yield* begun
      yield* succeed
      yield* TestClock.adjust("125 minutes")
      yield* succeed
      const day = yield* stats.get({})
      assert.deepStrictEqual(day.totals, { success: 2, failed: 0, cancelled: 0, attempts: 2 })
      assert.strictEqual(day.stepMs, 3_600_000)
      assert.strictEqual(day.fromMs % day.stepMs, 0)
      assert.isAtMost(day.fromMs, day.toMs - 24 * 3_600_000)
      assert.deepStrictEqual(
        day.series.map(({ atMs }) => atMs),
        Array.from({ length: 25 }, (_, i) => day.fromMs + i * 3_600_000)
      )
      assert.deepStrictEqual(day.series.map(({ success }) => success).filter((n) => n > 0), [1, 1])
      assert.deepStrictEqual(sum(day.series), day.totals)
      const hour = yield* stats.get({}, 1)
      assert.deepStrictEqual(hour.totals, { success: 1, failed: 0, cancelled: 0, attempts: 1 })
      assert.deepStrictEqual([hour.stepMs, hour.series.length], [300_000, 13])
      assert.strictEqual((yield* stats.get({}, 6)).stepMs, 300_000)
      const month = yield* stats.get({}, 720)
      assert.strictEqual(month.series.length, 721)
      assert.deepStrictEqual(month.totals, day.totals)
    }).pipe(Effect.provide(world)))

  it.effect("outlive what they count for as long as they are kept, and no longer", () =>
    Effect.gen(function*() {
      const { storage, succeed } = yield* begun
      yield* succeed
      const counted = Effect.map(
        storage.count({}, { fromMs: 0, fine: false, top: 10, counted: 10 }),
        ({ totals }) => totals.success
      )
      const keepHouse = storage.maintain({
        partitionsAheadDays: 1,
        heldMaxAgeMs: 1000,
        broadcastKeptMs: 1000,
        replaysKeptMs: 1e12,
        rows: 100
      })
      yield* TestClock.adjust(defaults.statsKeptMs - 3_600_000)
      yield* keepHouse
      assert.strictEqual(yield* counted, 1)
      yield* TestClock.adjust(2 * 3_600_000)
      yield* keepHouse
      assert.strictEqual(yield* counted, 0)
    }).pipe(Effect.provide(world)))

  it.effect("are refused for hours that are none, or too many", () =>
    Effect.gen(function*() {
      const { stats } = yield* begun
      for (const hours of [0, 721, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(stats.get({}, hours))
        assert.deepInclude(error, { _tag: "StatsRefused", path: "hours" })
      }
    }).pipe(Effect.provide(world)))
})
