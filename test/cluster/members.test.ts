import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted } from "effect"
import { ClusterRefused } from "../../src/cluster/Agreement.ts"
import * as LocalAddress from "../../src/cluster/LocalAddress.ts"
import * as SocketCluster from "../../src/cluster/SocketCluster.ts"
import * as Hook from "../../src/Hook.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Id from "../../src/Id.ts"
import * as Limits from "../../src/Limits.ts"
import { Members } from "../../src/Members.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import { until } from "../support/process.ts"
import { clustered, Created, Endpoints, IncidentPlugin, subscribe } from "../support/world.ts"

const storage = (url: Redacted.Redacted<string>) =>
  PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url, maxConnections: 4 })))

/** A runner in this process; others in it are others of the cluster. */
const runner = (url: Redacted.Redacted<string>, endpoints: Endpoints, limits: Partial<Limits.Limits> = {}) =>
  Layer.build(Layer.fresh(
    clustered(endpoints, storage(url), SocketCluster.runner()).pipe(Layer.provide(Limits.layer(limits)))
  ))

const joined = (count: number) =>
  until(
    `${count} runners hold all shards`,
    Members.use(({ overview }) => overview).pipe(
      Effect.map(({ members, shards }) =>
        shards.held === shards.total &&
        members.filter(({ alive, announced }) => alive && announced && announced.shards > 0).length === count
      )
    )
  )

const payload = { incidentId: "i1", systemIds: ["s1"] }

/** A machine whose clock is ahead. */
const ahead = (ms: number) =>
  Layer.effect(
    Clock.Clock,
    Effect.map(Clock.Clock, (clock): Clock.Clock => ({
      ...clock,
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + ms,
      currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + ms),
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + BigInt(ms) * 1_000_000n,
      currentTimeNanos: Effect.map(clock.currentTimeNanos, (now) => now + BigInt(ms) * 1_000_000n),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      sleep: (duration) => clock.sleep(duration)
    }))
  )

describe("the members of a cluster", () => {
  it.live("must have the settings in force; those of a cluster without runners give way", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const endpoints = new Endpoints()
      const refused = (limits: Partial<Limits.Limits>) =>
        Effect.flip(runner(url, endpoints, limits)).pipe(
          Effect.map((error) => error instanceof ClusterRefused ? error.message : `${error}`),
          Effect.scoped
        )
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runner(url, endpoints)
        const expected = "The cluster of this database has 300 shards and a lock expiry of 4000 ms, this process "
        assert.include(yield* refused({ shards: 128 }), `${expected}128 and 4000 ms`)
        assert.include(yield* refused({ lockExpiryMs: 9000 }), `${expected}300 and 9000 ms`)
      }))
      yield* runner(url, endpoints, { shards: 128 })
    }), 60_000)

  it.live("keep to the database's time, also one whose clock is ten minutes ahead", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const endpoints = new Endpoints()
      const behind = yield* runner(url, endpoints)
      const ten = 10 * 60_000
      const before = yield* Clock.currentTimeMillis
      const emitted = yield* runner(url, endpoints).pipe(
        Effect.flatMap((early) =>
          Effect.gen(function*() {
            yield* joined(2)
            yield* subscribe("a", ["incident.*"])
            return yield* Effect.forEach(Array.from({ length: 20 }), () => Hook.emit(Created, payload))
          }).pipe(Effect.provide(early))
        ),
        Effect.provide(ahead(ten))
      )
      const more = yield* Effect.provide(Hook.emit(Created, payload), behind)
      yield* until("all are delivered", Effect.sync(() => endpoints.seen.length === 21))
      const after = yield* Clock.currentTimeMillis
      for (const id of [...emitted, more]) {
        assert.isAtLeast(Id.timeOf(id), before - 1000)
        assert.isAtMost(Id.timeOf(id), after + 1000)
      }
    }), 60_000)

  it.live("hear at once of what a client emits that owns nothing itself", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const endpoints = new Endpoints()
      // No sweep finds it: the client's hint alone.
      const context = yield* runner(url, endpoints, { sweepIntervalMs: 3_600_000, groupIdleMs: 3_600_000 })
      yield* Effect.provide(subscribe("a"), context)
      const client = yield* Layer.build(Layer.fresh(
        Hookline.emitter({ plugins: IncidentPlugin, cluster: SocketCluster.client }).pipe(
          Layer.provide(storage(url))
        )
      ))
      yield* Effect.provide(Hook.emit(Created, payload), client)
      yield* until("it is delivered", Effect.sync(() => endpoints.seen.length === 1))
    }), 60_000)
})

describe("the address at which others reach a runner", () => {
  it("is taken from the database's settings, in any of their forms", () => {
    const url = (text: string) => LocalAddress.targetOf({ url: Redacted.make(text) })
    assert.deepStrictEqual(url("postgres://u:p@db.example:6000/d"), { host: "db.example", port: 6000 })
    assert.deepStrictEqual(url("postgres://u:p@[::1]/d"), { host: "::1", port: 5432 })
    assert.isUndefined(url("postgres:///d?host=/var/run/postgresql"))
    assert.deepStrictEqual(LocalAddress.targetOf({ host: "db", port: 7000 }), { host: "db", port: 7000 })
    assert.isUndefined(LocalAddress.targetOf({ host: "/var/run/postgresql" }))
  })

  it.live("is that of a connection to the database, and loopback where there is none", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* LocalAddress.towards(undefined), "127.0.0.1")
      assert.strictEqual(yield* LocalAddress.towards({ host: "127.0.0.1", port: 9 }), "127.0.0.1")
    }))
})
