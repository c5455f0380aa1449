import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import { Connections } from "../src/Connections.ts"
import { Storage } from "../src/Storage.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { account, Chat, layerOn, room } from "./support/chat.ts"
import * as Postgres from "./support/postgres.ts"

const storages: Record<string, Layer.Layer<Connections | Subscriptions | Storage, unknown>> = {
  memory: layerOn(new Chat(), StorageMemory.layer),
  PostgreSQL: layerOn(new Chat(), PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer)))
}

/** Changes that are meant for one version, all at once: which were made. */
const atOnce = (changes: ReadonlyArray<Effect.Effect<unknown, { readonly _tag: string }>>) =>
  Effect.gen(function*() {
    const exits = yield* Effect.forEach(changes, Effect.exit, { concurrency: "unbounded" })
    const refused = exits.map((exit) => Option.getOrUndefined(Exit.findErrorOption(exit)))
    return { made: exits.filter(Exit.isSuccess).length, refused: refused.filter((error) => error !== undefined) }
  })

for (const [name, storage] of Object.entries(storages)) {
  describe(`changes that are meant for one version, on ${name}`, () => {
    it.live(
      "are made once: a change, a rotation and a deletion of a subscription at a time",
      () =>
        Effect.gen(function*() {
          const subscriptions = yield* Subscriptions
          const { id: connectionId } = yield* Effect.flatMap(Connections, ({ create }) => create(account()))
          for (let round = 0; round < 10; round++) {
            const { subscription: { id, version } } = yield* subscriptions.create(room(connectionId))
            const { made, refused } = yield* atOnce([
              subscriptions.update(id, { name: "b" }, { version }),
              subscriptions.rotateSecret(id, {}, { version }),
              subscriptions.remove(id, { version }),
              subscriptions.rotateSecret(id, {}, { version })
            ])
            assert.strictEqual(made, 1)
            for (const { _tag } of refused) assert.oneOf(_tag, ["SubscriptionChanged", "SubscriptionNotFound"])
          }
        }).pipe(Effect.provide(storage)),
      60_000
    )

    it.live(
      "are refused for their version before anything else that they may be refused for",
      () =>
        Effect.gen(function*() {
          const subscriptions = yield* Subscriptions
          const connections = yield* Connections
          const connection = yield* connections.create(account())
          const { subscription } = yield* subscriptions.create(room(connection.id))
          yield* subscriptions.update(subscription.id, { name: "b" })
          yield* connections.update(connection.id, { name: "b" })
          const late = { version: subscription.version }
          const changed = yield* Effect.flip(subscriptions.update(subscription.id, { events: [] }, late))
          assert.strictEqual(changed._tag, "SubscriptionChanged")
          const other = yield* Effect.flip(
            connections.update(connection.id, { config: "no object" }, { version: connection.version })
          )
          assert.strictEqual(other._tag, "ConnectionChanged")
        }).pipe(Effect.provide(storage)),
      60_000
    )

    it.live(
      "are made once: a change and a deletion of a connection at a time, and what is refused is not noted",
      () =>
        Effect.gen(function*() {
          const connections = yield* Connections
          for (let round = 0; round < 10; round++) {
            const { id, version } = yield* connections.create(account())
            const { made, refused } = yield* atOnce([
              connections.update(id, { name: "b" }, { version }),
              connections.remove(id, { version }),
              connections.remove(id, { version })
            ])
            assert.strictEqual(made, 1)
            for (const { _tag } of refused) assert.oneOf(_tag, ["ConnectionChanged", "ConnectionNotFound"])
          }
          const entries = yield* Storage.use((storage) => storage.listAudit({}, { cursor: undefined, limit: 100 }))
          assert.lengthOf(entries.filter(({ action }) => action !== "connection.create"), 10)
        }).pipe(Effect.provide(storage)),
      60_000
    )
  })
}
