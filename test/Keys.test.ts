import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
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
})
