import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Redacted } from "effect"
import * as SocketCluster from "../../src/cluster/SocketCluster.ts"
import { Connections } from "../../src/Connections.ts"
import * as Hook from "../../src/Hook.ts"
import { defaults, layer as limits } from "../../src/Limits.ts"
import { Members } from "../../src/Members.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { Subscriptions } from "../../src/Subscriptions.ts"
import { account, Chat, layerOn, room } from "../support/chat.ts"
import * as Postgres from "../support/postgres.ts"
import { until } from "../support/process.ts"
import { Created } from "../support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

/** A runner of a cluster in this process; it sees a chat of its own. */
const runner = (url: Redacted.Redacted<string>) =>
  Effect.gen(function*() {
    const chat = new Chat()
    const storage = PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url, maxConnections: 4 })))
    const context = yield* Layer.build(Layer.fresh(
      // An endpoint that hangs for long would get little at once.
      layerOn(chat, storage, SocketCluster.runner()).pipe(Layer.provide(limits({ slowAfterMs: 60_000 })))
    ))
    return { chat, context }
  })

const isWhole = Members.use(({ overview }) =>
  Effect.map(
    overview,
    ({ members, shards }) =>
      shards.held === shards.total &&
      members.filter(({ alive, announced }) => alive && (announced?.shards ?? 0) > 0).length === 2
  )
)

describe("guarantee 4, a change of a connection binds", () => {
  it.live(
    "on another runner of the cluster: once it is answered, none of its attempts begins with the old credentials",
    () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.testDatabase
        const [one, two] = [yield* runner(url), yield* runner(url)]
        yield* until("both hold their share", Effect.provide(isWhole, one.context))
        const { id } = yield* Connections.use(({ create }) => create(account())).pipe(Effect.provide(one.context))
        yield* Subscriptions.use(({ create }) => create(room(id))).pipe(Effect.provide(one.context))
        for (const { chat } of [one, two]) yield* chat.open.close

        // More than a lane has slots for: the others are claimed, and wait in memory.
        const count = defaults.laneSlots + 60
        yield* Effect.forEach(Array.from({ length: count }), () => Hook.emit(Created, payload), { concurrency: 20 })
          .pipe(
            Effect.provide(one.context)
          )
        const begun = () => [one, two].filter(({ chat }) => chat.posted.length === defaults.laneSlots)
        yield* until("as many as may be are under way", Effect.sync(() => begun().length === 1))
        const [owner] = begun()
        const other = owner === one ? two : one

        yield* Connections.use(({ update }) => update(id, { config: { token: "pl4nted-two" } })).pipe(
          Effect.provide(other.context)
        )
        for (const { chat } of [one, two]) yield* chat.open.open
        yield* until(
          "all are posted",
          Effect.sync(() => one.chat.posted.length + two.chat.posted.length === count)
        )
        assert.strictEqual(owner?.chat.with("pl4nted-one").length, defaults.laneSlots)
        assert.strictEqual(other.chat.with("pl4nted-one").length, 0)
        assert.strictEqual(
          [one, two].reduce((sum, { chat }) => sum + chat.with("pl4nted-two").length, 0),
          count - defaults.laneSlots
        )
      }),
    60_000
  )
})
