import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import * as Dispatchers from "../src/Dispatchers.ts"
import * as Hook from "../src/Hook.ts"
import * as Hooks from "../src/Hooks.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Registry from "../src/Registry.ts"
import { OutcomeUnknown, RowRefused, Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { interfered } from "./support/world.ts"

const Counted = Hook.make("counted", { payload: Schema.Struct({ n: Schema.Int }) })

const on = <R>(storage: Layer.Layer<Storage | R>, wakes: Array<string> = []) =>
  Hooks.layer.pipe(
    Layer.provide(Plugin.make("test", { hooks: [Counted] })),
    Layer.provideMerge(Registry.layer),
    Layer.provide(Layer.succeed(Dispatchers.Dispatchers, {
      runnerId: undefined,
      wake: (group) => Effect.sync(() => void wakes.push(group)),
      confirm: () => Effect.void
    })),
    Layer.provideMerge(storage)
  )

const emission = (n: number, idempotencyKey?: string): Hook.Emission => ({
  eventId: "test.counted",
  payload: { n },
  ...(idempotencyKey === undefined ? {} : { options: { idempotencyKey } })
})

describe("a batch", () => {
  it.effect("is heard here once it is committed, in order, without what it repeats", () => {
    const wakes: Array<string> = []
    return Effect.gen(function*() {
      const { emitBatch } = yield* Hook.Hooks
      const { withTransaction } = yield* StorageMemory.MemoryTransactions
      const heard = yield* Effect.forkChild(Stream.runCollect(Stream.take(Hook.stream(Counted), 3)), {
        startImmediately: true
      })
      const ids = yield* withTransaction(Effect.gen(function*() {
        const ids = yield* emitBatch([emission(1, "a"), emission(2), emission(1, "a")])
        assert.deepStrictEqual(wakes, [])
        return ids
      }))
      assert.strictEqual(ids[0], ids[2])
      assert.deepStrictEqual(wakes, ["integration.test.counted", "integration.test.counted"])
      yield* Effect.exit(withTransaction(Effect.andThen(emitBatch([emission(3)]), Effect.fail("changed my mind"))))
      assert.deepStrictEqual(yield* emitBatch([emission(1, "a"), emission(4)]).pipe(Effect.map(([id]) => id)), ids[0])
      assert.deepStrictEqual(yield* Fiber.join(heard), [{ n: 1 }, { n: 2 }, { n: 4 }])
      assert.strictEqual(wakes.length, 3)
      assert.deepStrictEqual(yield* emitBatch([]), [])
    }).pipe(Effect.provide(on(StorageMemory.layer, wakes)))
  })

  it.effect("tells which message is refused, why, and that nothing of it is stored", () =>
    Effect.gen(function*() {
      const { emitBatch } = yield* Hook.Hooks
      yield* emitBatch([emission(1, "a")])
      const refusals = yield* Effect.forEach([
        [emission(1), emission(1.5)],
        [emission(1), { ...emission(1), eventId: "test.other" }],
        [emission(2), emission(3), emission(4, "a")]
      ], (batch) => Effect.flip(emitBatch(batch)))
      assert.deepStrictEqual(
        refusals.map((error) => error._tag === "BatchRefused" ? [error.path, error.reason._tag] : [error._tag]),
        [["messages[1]", "PayloadRefused"], ["messages[1]", "HookNotRegistered"], [
          "messages[2]",
          "IdempotencyConflict"
        ]]
      )
      const storage = yield* Storage
      const { items } = yield* storage.listMessages({}, { cursor: undefined, limit: 10, bytes: 1e9 })
      assert.strictEqual(items.length, 1)
    }).pipe(Effect.provide(on(StorageMemory.layer))))

  it.effect("whose commit got no answer may be stored; one that the database refuses is not", () =>
    Effect.gen(function*() {
      const failing = (error: OutcomeUnknown | RowRefused) =>
        Effect.gen(function*() {
          const { emitBatch } = yield* Hook.Hooks
          return yield* Effect.flip(emitBatch([emission(1)]))
        }).pipe(Effect.provide(on(interfered(() => ({ appendBatch: () => Effect.fail(error) })))))
      assert.strictEqual((yield* failing(new OutcomeUnknown({ message: "lost" })))._tag, "EmitOutcomeUnknown")
      const refused = yield* failing(new RowRefused({ message: "no" }))
      assert.deepInclude(refused, { _tag: "BatchRefused", path: "messages" })
    }))
})
