import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer, Redacted, Schedule } from "effect"
import { Runner, RunnerAddress, ShardId } from "effect/cluster"
import * as PgRunnerStorage from "../../src/cluster/PgRunnerStorage.ts"
import * as Limits from "../../src/Limits.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { waits } from "../storage/support.ts"
import * as Postgres from "../support/postgres.ts"
import { until } from "../support/process.ts"
import { proxy } from "../support/proxy.ts"

const a = RunnerAddress.make("a", 1)
const b = RunnerAddress.make("b", 1)
const shards = Array.from({ length: 200 }, (_, n) => ShardId.make("default", n + 1))
const names = (ids: ReadonlyArray<ShardId.ShardId>) => ids.map(String).sort()

const runner = (address: RunnerAddress.RunnerAddress) => Runner.make({ address, groups: ["default"], weight: 1 })

/** A storage on a database of its own, reached through a proxy; heartbeats expire soon. */
const world = Effect.suspend(() => worldOf({ lockExpiryMs: 1500, lockRefreshMs: 400, lockAnswerMs: 200 }))

const worldOf = Effect.fnUntraced(function*(limits: Partial<Limits.Limits>) {
  const { url } = yield* Postgres.testDatabase
  yield* Effect.provide(PgStorage.migrate, PgClient.layer({ url, maxConnections: 1 }))
  const parts = new URL(Redacted.value(url))
  const between = yield* proxy({ host: parts.hostname, port: Number(parts.port) })
  parts.port = String(between.port)
  const context = yield* Layer.build(PgClient.layer({ url: Redacted.make(parts.href), maxConnections: 6 }))
  const make = Effect.flatMap(PgClient.PgClient, PgRunnerStorage.make).pipe(
    Effect.provide(context),
    Effect.provide(Limits.layer(limits))
  )
  return { between, client: Layer.succeedContext(context), storage: yield* make, other: yield* make }
})

/** Keeps a runner alive. */
const beating = (storage: Effect.Success<typeof world>["storage"], address: RunnerAddress.RunnerAddress) =>
  Effect.forkScoped(Effect.repeat(Effect.ignore(storage.refresh(address, shards)), Schedule.spaced("200 millis")))

describe("the runners and their shards on PostgreSQL", () => {
  it.live("a shard is held by one runner, until it is given back", () =>
    Effect.gen(function*() {
      const { other, storage } = yield* world
      yield* storage.register(runner(a), true)
      yield* other.register(runner(b), true)
      const [held, rest] = yield* Effect.all([storage.acquire(a, shards), other.acquire(b, shards)], { concurrency: 2 })
      assert.deepStrictEqual(names([...held, ...rest]), names(shards), "each has exactly one holder")
      assert.deepStrictEqual(names(yield* storage.acquire(a, shards)), names(held))
      yield* Effect.forEach(held, (shard) => storage.release(a, shard), { concurrency: "unbounded" })
      assert.deepStrictEqual(names(yield* other.acquire(b, shards)), names(shards))
      assert.deepStrictEqual(yield* storage.refresh(a, held), [])
    }))

  it.live("a shard is left to the one who took it while another waited to look at it", () =>
    Effect.gen(function*() {
      const { client, other, storage } = yield* worldOf({
        lockExpiryMs: 60_000,
        lockRefreshMs: 20_000,
        lockAnswerMs: 10_000
      })
      yield* storage.register(runner(a), true)
      yield* other.register(runner(b), true)
      yield* storage.acquire(a, shards)
      yield* storage.releaseAll(a)
      // The other has begun, and is held up before it takes any.
      const holding = yield* Latch.make()
      const held = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql`select 1 from hookline.members where address like 'b%' for update`
            yield* Deferred.succeed(held, undefined)
            yield* holding.await
          }))
        }).pipe(Effect.provide(client))
      )
      yield* Deferred.await(held)
      const taking = yield* Effect.forkChild(other.acquire(b, shards), { startImmediately: true })
      yield* until("the other waits", Effect.provide(waits("update hookline.members"), client))
      assert.deepStrictEqual(names(yield* storage.acquire(a, shards)), names(shards))
      yield* holding.open
      assert.deepStrictEqual(yield* Fiber.join(taking), [])
      yield* Fiber.join(holder)
      assert.deepStrictEqual(names(yield* storage.refresh(a, shards)), names(shards))
    }))

  it.live("a runner whose heartbeat has expired is none, and its shards are free", () =>
    Effect.gen(function*() {
      const { other, storage } = yield* world
      yield* storage.register(runner(a), true)
      yield* storage.acquire(a, shards)
      yield* other.register(runner(b), true)
      yield* beating(other, b)
      assert.deepStrictEqual(yield* other.acquire(b, shards), [])
      yield* until(
        "the other alone is left",
        Effect.map(other.getRunners, (found) => found.length === 1 && found[0]?.[0].address.host === "b")
      )
      assert.deepStrictEqual(names(yield* other.acquire(b, shards)), names(shards))
      assert.deepStrictEqual(yield* storage.refresh(a, shards), [], "who comes back hears of it")
    }))

  it.live("a runner that leaves keeps its shards until it gives them back", () =>
    Effect.gen(function*() {
      const { other, storage } = yield* world
      yield* storage.register(runner(a), true)
      yield* other.register(runner(b), true)
      yield* storage.acquire(a, shards)
      yield* storage.unregister(a)
      assert.deepStrictEqual((yield* other.getRunners).map(([found]) => found.address.host), ["b"])
      assert.deepStrictEqual(yield* other.acquire(b, shards), [])
      yield* storage.releaseAll(a)
      assert.deepStrictEqual(names(yield* other.acquire(b, shards)), names(shards))
    }))

  it.live("a database that falls silent is waited for, and let go of before the heartbeat expires", () =>
    Effect.gen(function*() {
      const { between, storage } = yield* world
      yield* storage.register(runner(a), true)
      yield* storage.acquire(a, shards)
      yield* between.silence
      assert.deepStrictEqual(names(yield* storage.refresh(a, shards)), names(shards), "a late answer is no loss")
      const lost = yield* Effect.forkChild(
        Effect.repeat(storage.refresh(a, shards), { schedule: Schedule.spaced("100 millis"), until: () => false })
      )
      assert.strictEqual((yield* Fiber.await(lost))._tag, "Failure")
      yield* between.leave
      yield* between.comeBack
      yield* until("it is confirmed again", Effect.map(storage.refresh(a, []), () => true))
      assert.deepStrictEqual(names(yield* storage.acquire(a, shards)), names(shards))
    }))
})
