import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import * as Hook from "../src/Hook.ts"
import * as Limits from "../src/Limits.ts"
import { Storage } from "../src/Storage.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import * as Postgres from "./support/postgres.ts"
import { until } from "./support/process.ts"
import { proxy } from "./support/proxy.ts"
import { Created, Endpoints, layerOn, subscribe } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

/** A world whose database is behind a proxy. */
const world = (endpoints: Endpoints) =>
  Effect.gen(function*() {
    const database = yield* Postgres.testDatabase
    const url = new URL(Redacted.value(database.url))
    const between = yield* proxy({ host: url.hostname, port: Number(url.port) })
    url.port = String(between.port)
    const client = PgClient.layer({ url: Redacted.make(url.href), maxConnections: 10 })
    const context = yield* Layer.build(
      layerOn(endpoints, PgStorage.layer().pipe(Layer.provideMerge(client)))
    )
    return { between, context }
  })

describe("the database goes away", () => {
  it.live("without a word on the engine's connections: they are given up, and all is delivered over new ones", () => {
    const endpoints = new Endpoints()
    return Effect.scoped(Effect.gen(function*() {
      const database = yield* Postgres.testDatabase
      const url = new URL(Redacted.value(database.url))
      const between = yield* proxy({ host: url.hostname, port: Number(url.port) })
      url.port = String(between.port)
      const engine = PgStorage.layer({ engine: { url: Redacted.make(url.href) } }).pipe(
        Layer.provideMerge(PgClient.layer({ url: database.url, maxConnections: 4 })),
        Layer.provide(Limits.layer({ answerTimeoutMs: 1000, statementTimeoutMs: 2000 }))
      )
      const context = yield* Layer.build(layerOn(endpoints, engine))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* subscribe("a")
        const emitMany = Effect.forEach(Array.from({ length: 50 }), () => Hook.emit(Created, payload), {
          concurrency: 10
        })
        yield* emitMany
        yield* until("they are delivered", Effect.sync(() => endpoints.seen.length === 50))
        yield* between.silence
        const known = between.state.connections
        yield* emitMany
        yield* until(
          "all are delivered and recorded",
          Effect.map(
            storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 200 }),
            (all) => all.length === 100
          )
        )
        assert.isAbove(between.state.connections, known)
      }).pipe(Effect.provide(context))
    }))
  }, 60_000)

  it.live("without a word on a caller's connection: that emit's outcome is unknown, and later ones are stored", () => {
    const endpoints = new Endpoints()
    return Effect.scoped(Effect.gen(function*() {
      const database = yield* Postgres.testDatabase
      const url = new URL(Redacted.value(database.url))
      const between = yield* proxy({ host: url.hostname, port: Number(url.port) })
      url.port = String(between.port)
      const storage = PgStorage.layer({ engine: { url: database.url } }).pipe(
        Layer.provideMerge(PgClient.layer({ url: Redacted.make(url.href), maxConnections: 4 })),
        Layer.provide(Limits.layer({ emitTimeoutMs: 1000 }))
      )
      const context = yield* Layer.build(layerOn(endpoints, storage))
      yield* Effect.gen(function*() {
        yield* subscribe("a")
        yield* Hook.emit(Created, payload)
        yield* between.silence
        for (const options of [{}, { idempotencyKey: "k" }]) {
          const outcomes = new Set<string>()
          yield* until(
            "an emit is stored again",
            Effect.map(Effect.result(Hook.emit(Created, payload, options)), (emitted) => {
              if (emitted._tag === "Failure") outcomes.add(emitted.failure._tag)
              return emitted._tag === "Success"
            })
          )
          for (const tag of outcomes) assert.oneOf(tag, ["StorageUnavailable", "EmitOutcomeUnknown"])
        }
      }).pipe(Effect.provide(context))
    }))
  }, 60_000)

  it.live("for 10 s in mid-run: emits fail typed, what was stored is delivered, and work resumes by itself", () => {
    const endpoints = new Endpoints()
    return Effect.scoped(Effect.gen(function*() {
      const { between, context } = yield* world(endpoints)
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* subscribe("a")
        const stored = new Set<string>()
        const failures = new Set<string>()
        let stop = false
        const emitting = yield* Effect.gen(function*() {
          const emitted = yield* Effect.result(Hook.emit(Created, payload))
          if (emitted._tag === "Success") stored.add(emitted.success)
          else failures.add(emitted.failure._tag)
        }).pipe(
          Effect.repeat({ schedule: Schedule.spaced("1 millis"), until: () => stop }),
          Effect.replicateEffect(8, { concurrency: "unbounded" }),
          Effect.forkChild
        )
        yield* until("deliveries flow", Effect.sync(() => endpoints.seen.length > 200))
        yield* between.leave
        const before = stored.size
        // The outage itself: nothing is waited for.
        yield* Effect.sleep("10 seconds")
        assert.isAtMost(stored.size - before, 8, "nothing is stored while the database is away")
        yield* between.comeBack
        const seen = endpoints.seen.length
        yield* until("deliveries flow again", Effect.sync(() => endpoints.seen.length > seen + 200))
        stop = true
        yield* Fiber.join(emitting)
        yield* until(
          "all that was stored is delivered",
          Effect.sync(() => {
            const received = new Set<string>(endpoints.seen.map((seen) => seen.attempt.message.id))
            return [...stored].every((id) => received.has(id))
          })
        )
        yield* until(
          "every outcome is recorded",
          Effect.map(
            storage.listDeliveries({ status: "pending" }, { cursor: undefined, limit: 1 }),
            (all) => all.length === 0
          )
        )
        const received = endpoints.seen.map((seen) => seen.attempt.message.id)
        assert.strictEqual(new Set(received).size, received.length, "what was accepted is not sent again")
        assert.isAbove(failures.size, 0)
        for (const tag of failures) assert.oneOf(tag, ["StorageUnavailable", "EmitOutcomeUnknown"])
        assert.isAtMost(between.state.connections, 200, "it knocks with patience")
      }).pipe(Effect.provide(context))
    }))
  }, 90_000)

  it.live("with its sessions ended again and again: nothing is lost, and nothing that was recorded comes twice", () => {
    const endpoints = new Endpoints()
    return Effect.scoped(Effect.gen(function*() {
      const database = yield* Postgres.testDatabase
      const client = PgClient.layer({ url: database.url, maxConnections: 10 })
      const context = yield* Layer.build(layerOn(endpoints, PgStorage.layer().pipe(Layer.provideMerge(client))))
      const admin = yield* Layer.build(PgClient.layer({ url: database.url, maxConnections: 1 }))
      const end = PgClient.PgClient.use((sql) =>
        sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name like 'hookline%'`
      ).pipe(Effect.provide(admin))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* subscribe("a")
        const stored = new Set<string>()
        for (let round = 0; round < 10; round++) {
          yield* Effect.forEach(
            Array.from({ length: 100 }),
            () =>
              Effect.map(Hook.emit(Created, payload), (id) => stored.add(id)).pipe(
                Effect.catch(() => Effect.void)
              ),
            { concurrency: 20, discard: true }
          )
          yield* end
        }
        const finished = Effect.map(
          Effect.zip(
            storage.listDeliveries({ status: "pending" }, { cursor: undefined, limit: 1 }),
            storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 2000 })
          ),
          ([pending, success]) => pending.length === 0 && success.length >= stored.size
        )
        yield* until("all that was stored is delivered and recorded", finished)
        const received = endpoints.seen.map((seen) => seen.attempt.message.id)
        assert.isAbove(stored.size, 500)
        for (const id of stored) assert.include(received, id)
        assert.strictEqual(new Set(received).size, received.length)
      }).pipe(Effect.provide(context))
    }))
  }, 60_000)
})
