import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { CurrentActor } from "../src/Access.ts"
import * as Keys from "../src/Keys.ts"
import { defaults } from "../src/Limits.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"

describe("keys", () => {
  it.effect("a flood of unknown ones has few of the storage's connections, and keeps no good one out", () => {
    let current = 0
    let most = 0
    const counting = Layer.effect(
      Storage,
      Effect.map(Storage, (storage) =>
        Storage.of({
          ...storage,
          findKey: (digest) =>
            Effect.acquireUseRelease(
              Effect.sync(() => {
                most = Math.max(most, ++current)
              }),
              () => Effect.andThen(Effect.yieldNow, storage.findKey(digest)),
              () =>
                Effect.sync(() => {
                  current--
                })
            )
        }))
    ).pipe(Layer.provide(StorageMemory.layer))
    return Effect.gen(function*() {
      const keys = yield* Keys.Keys
      const { secret } = yield* keys.create({ name: "good", scopes: ["read"] })
      const unknown = Array.from({ length: 100 }, (_, n) => Redacted.make(`hk_${String(n).padStart(43, "0")}`))
      const found = yield* Effect.forEach([...unknown, secret], keys.verify, { concurrency: "unbounded" })
      assert.deepStrictEqual(found.flatMap(Option.toArray).map(({ actor }) => actor.name), ["good"])
      assert.strictEqual(most, defaults.keyLookups)
    }).pipe(Effect.provide(Keys.layer.pipe(Layer.provide(counting))))
  })

  it.effect("that a program makes are logged under whom it names", () =>
    Effect.gen(function*() {
      const keys = yield* Keys.Keys
      const storage = yield* Storage
      const actor = { kind: "program", id: "ada", name: "Ada" } as const
      yield* Effect.provideService(keys.create({ name: "billing", scopes: ["read"] }), CurrentActor, actor)
      const { items } = yield* storage.walkAudit({ actorId: "ada" }, { cursor: undefined, limit: 10, look: 10 })
      assert.deepStrictEqual(items.map((entry) => [entry.action, entry.actor]), [["key.create", actor]])
    }).pipe(Effect.provide(Layer.provideMerge(Keys.layer, StorageMemory.layer))))
})
