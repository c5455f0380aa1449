import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import * as Measured from "../src/dispatcher/Measured.ts"
import * as Id from "../src/Id.ts"
import { Storage, StorageUnavailable } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"

const owner = { workerGroup: "integration.a.b", partition: 0, epoch: 1 }

const away = new StorageUnavailable({ message: "away" })

/** A storage that is measured, and what was measured of it, by name and labels. */
const measured = (change: Partial<Storage["Service"]>) =>
  Effect.gen(function*() {
    const registry = Context.make(Metric.MetricRegistry, new Map())
    const storage = yield* Measured.make.pipe(
      Effect.provideContext(registry),
      Effect.provide(
        Layer.effect(Storage, Effect.map(Storage, (storage) => ({ ...storage, ...change }))).pipe(
          Layer.provide(StorageMemory.layer)
        )
      )
    )
    const read = () =>
      Object.fromEntries(
        Metric.snapshotUnsafe(registry).map((snapshot) => [
          [snapshot.id, ...Object.values(snapshot.attributes ?? {})].join(" "),
          snapshot.type === "Histogram" || snapshot.type === "Counter" ? Number(snapshot.state.count) : undefined
        ])
      )
    return { storage, read }
  })

describe("a storage that is measured", () => {
  it.effect("counts each statement with its time and its rows", () =>
    Effect.gen(function*() {
      const { read, storage } = yield* measured({})
      yield* storage.subscriptions
      yield* storage.release(owner, [])
      yield* storage.unrouted([owner], { messages: 1, bytes: 1 })
      assert.deepInclude(read(), {
        "hookline_statement_duration_seconds subscriptions": 1,
        "hookline_statement_duration_seconds release": 1,
        "hookline_statement_duration_seconds unrouted": 1,
        "hookline_statement_rows release": 1,
        "hookline_statement_rows unrouted": 1
      })
    }))

  it.effect("counts what was not answered, and what came too late", () =>
    Effect.gen(function*() {
      const { read, storage } = yield* measured({
        claim: () => Effect.fail(away),
        route: () => Effect.succeed({ _tag: "Stale" }),
        record: () => Effect.succeed([])
      })
      assert.deepInclude(read(), { "hookline_routes_stale_total": 0, "hookline_outcomes_fenced_total": 0 })
      const options = { owners: [], lanes: [], limit: 1, bytes: 1, suspectClaims: 2, suspectProviders: [] }
      assert.strictEqual(yield* Effect.flip(storage.claim(options)), away)
      yield* storage.route({ version: 0, messages: [], deliveries: [] })
      yield* storage.record([])
      assert.deepInclude(read(), {
        "hookline_statement_failures_total claim": 1,
        "hookline_statement_duration_seconds claim": 1,
        "hookline_routes_stale_total": 1,
        "hookline_outcomes_fenced_total": 0
      })
    }))

  it.effect("changes no answer of what it measures", () =>
    Effect.gen(function*() {
      const { read, storage } = yield* measured({})
      const { claimableAtMs } = yield* storage.takeOver(yield* Id.runnerId, {
        workerGroup: "integration.a.b",
        partition: 0
      }, 1)
      assert.isNumber(claimableAtMs)
      assert.deepInclude(read(), { "hookline_take_overs_total": 1 })
    }))
})
