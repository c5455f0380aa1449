import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Layer, type Redacted } from "effect"
import * as SocketCluster from "../../src/cluster/SocketCluster.ts"
import * as Hook from "../../src/Hook.ts"
import { defaults, layer as limits } from "../../src/Limits.ts"
import { Members } from "../../src/Members.ts"
import * as Provider from "../../src/Provider.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import { until } from "../support/process.ts"
import { Broken, clustered, Created, Endpoints, subscribe } from "../support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const runner = (url: Redacted.Redacted<string>, endpoints: Endpoints) =>
  Layer.build(Layer.fresh(
    clustered(
      endpoints,
      PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url, maxConnections: 4 }))),
      SocketCluster.runner()
      // Else what waits is given back because its endpoint hangs.
    ).pipe(Layer.provide(limits({ slowAfterMs: 60_000 })))
  ))

const ready = Members.use(({ readiness }) => Effect.map(readiness, ({ ready }) => ready))

describe("a database that answers as a read-only stand-by", () => {
  it.live(
    "is waited for: no attempt begins that could not be recorded, emits fail typed, and work resumes",
    () =>
      Effect.gen(function*() {
        const { name, url } = yield* Postgres.testDatabase
        const endpoints = new Endpoints()
        let failing = true
        endpoints.behaviours.set(
          "fails",
          () =>
            failing
              ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 503", statusCode: 503 }))
              : Effect.succeed({})
        )
        const held = yield* Latch.make()
        let ended = 0
        endpoints.behaviours.set("holds", () =>
          Effect.andThen(held.await, () => {
            ended++
            return Effect.succeed({})
          }))
        const admin = yield* Layer.build(PgClient.layer({ url, maxConnections: 1, applicationName: "admin" }))
        const standBy = (on: boolean) =>
          PgClient.PgClient.use((sql) =>
            sql`set default_transaction_read_only = off`.unprepared.pipe(
              Effect.andThen(sql.unsafe(`alter database ${name} set default_transaction_read_only = ${on}`).unprepared),
              Effect.andThen(sql`select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name <> 'admin'`)
            )
          ).pipe(Effect.provide(admin))
        const contexts = yield* Effect.all([runner(url, endpoints), runner(url, endpoints)])
        const [first] = contexts
        const all = (condition: Effect.Effect<boolean, unknown, Members>) =>
          Effect.map(
            Effect.forEach(contexts, (context) => Effect.provide(condition, context)),
            (met) => met.every((is) => is)
          )
        const emit = Effect.provide(Hook.emit(Created, payload), first)
        const emitMany = Effect.replicateEffect(Hook.emit(Broken, { n: 1 }), defaults.laneSlots + 60, {
          concurrency: "unbounded"
        }).pipe(Effect.provide(first))

        yield* until("both are ready", all(ready))
        yield* subscribe("fails", ["incident.incident.created"], {
          retry: { type: "delays", delaysMs: Array.from({ length: 99 }, () => 200) }
        }).pipe(
          Effect.provide(first)
        )
        yield* Effect.provide(subscribe("holds", ["incident.broken"]), first)
        const stored = [yield* emit, yield* emit]
        yield* until("they are attempted again and again", Effect.sync(() => endpoints.seen.length > 6))
        // More than a lane has slots for: some wait in memory, and would begin as soon as others end.
        stored.push(...yield* emitMany)
        yield* until(
          "as many as may be are under way",
          Effect.sync(() => endpoints.of("holds").length === defaults.laneSlots)
        )
        yield* standBy(true)
        yield* until("neither is ready", all(Effect.map(ready, (is) => !is)))
        const begun = endpoints.seen.length
        yield* held.open
        yield* until("what was under way ends", Effect.sync(() => ended >= defaults.laneSlots))
        for (let n = 0; n < 5; n++) {
          const refused = yield* Effect.flip(emit)
          assert.strictEqual(refused._tag, "StorageUnavailable")
        }
        assert.strictEqual(endpoints.seen.length, begun)

        failing = false
        yield* standBy(false)
        yield* until("both are ready again", all(ready))
        stored.push(yield* emit)
        yield* until(
          "all are delivered",
          Effect.sync(() => {
            const accepted = new Set<string>([
              ...endpoints.of("holds"),
              ...endpoints.seen.slice(begun)
            ].map(({ attempt }) => attempt.message.id))
            return stored.every((id) => accepted.has(id))
          })
        )
      }),
    60_000
  )
})
