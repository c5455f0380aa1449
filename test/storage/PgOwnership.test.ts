import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import * as Deadlines from "../../src/Deadlines.ts"
import * as Id from "../../src/Id.ts"
import { Storage, StorageUnavailable } from "../../src/Storage.ts"
import * as PgAppend from "../../src/storage/PgAppend.ts"
import * as PgPool from "../../src/storage/PgPool.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { outcome, retryAt } from "../../src/testing/StorageSuiteWorld.ts"
import * as Postgres from "../support/postgres.ts"
import { proxy } from "../support/proxy.ts"
import {
  claim,
  deliver,
  eventually,
  group,
  message,
  record,
  routing,
  storage as layer,
  subscribe,
  success,
  waits
} from "./support.ts"

/** Runs a statement in a transaction that lasts until what is returned is run. */
const held = Effect.fnUntraced(function*(statement: string) {
  const sql = yield* PgClient.PgClient
  const [begun, over] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  const holding = yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql.unsafe(statement)
    yield* Deferred.succeed(begun, undefined)
    yield* Deferred.await(over)
  })).pipe(Effect.forkScoped)
  yield* Deferred.await(begun)
  return Effect.andThen(Deferred.succeed(over, undefined), Fiber.join(holding))
})

/** Holds the commits of what changes a table until they are released; tells whether one waits. */
const commitsHeld = Effect.fnUntraced(function*(change: string) {
  const sql = yield* PgClient.PgClient
  yield* sql`create function hold() returns trigger language plpgsql as
    'begin perform pg_advisory_xact_lock(7); return null; end'`
  yield* sql`create constraint trigger held after ${sql.literal(change)} deferrable initially deferred
    for each row execute function hold()`
  const isWaiting = Effect.map(
    sql`select 1 from pg_locks where locktype = 'advisory' and not granted`,
    (waiting) => waiting.length > 0
  )
  return { isWaiting, release: yield* held("select pg_advisory_xact_lock(7)") }
})

describe("ownership on PostgreSQL", () => {
  it.live("a superseded owner's record that waited for the take-over changes nothing", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const first = yield* Id.runnerId
      const { owner } = yield* storage.takeOver(first, group, 1000)
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId, true)
      const [taken, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const takeOver = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.owners set epoch = nextval('hookline.epoch_seq')
          where worker_group = ${group.workerGroup}`
        yield* Deferred.succeed(taken, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(taken)
      const recording = yield* Effect.forkScoped(record(owner, id, success))
      yield* eventually("the record waits", waits("asked as materialized"))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(takeOver)
      assert.deepStrictEqual(yield* Fiber.join(recording), [])
      const rows = yield* sql`select 1 from hookline.work where epoch is not null`
      assert.strictEqual(rows.length, 1)
      assert.deepStrictEqual(yield* sql`select 1 from hookline.attempts`, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a recovery that waited for another one leaves what was claimed meanwhile, and counts it against no rate limit", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const runnerId = yield* Id.runnerId
      const id = yield* subscribe({ rateLimit: { messages: 1, intervalMs: 60_000 } })
      const { owner: gone } = yield* storage.takeOver(runnerId, group, 1000)
      const [again, crashed] = [yield* deliver(gone, id, true), yield* deliver(gone, id, true)]
      yield* sql`update hookline.work set claims = 3 where id = ${Id.toUuid(crashed.id)}::uuid`
      const { owner } = yield* storage.takeOver(runnerId, group, 1000)
      const [changed, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      // As another recovery, and a claim after it.
      const other = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.work set epoch = ${owner.epoch}, claims = claims + 1`
        yield* Deferred.succeed(changed, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(changed)
      const recovery = yield* Effect.forkScoped(storage.recover([owner], 3))
      yield* eventually("the recovery waits", waits("old as materialized"))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(other)
      assert.strictEqual(yield* Fiber.join(recovery), 0)
      assert.deepStrictEqual(
        (yield* storage.held([owner])).map(({ deliveryId }) => deliveryId).sort(),
        [again.id, crashed.id].sort()
      )
      assert.deepStrictEqual([...yield* storage.filled([id])], [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a change of a subscription committed between match and route makes the route stale", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      yield* subscribe()
      const appended = yield* message()
      yield* storage.append([appended])
      const { version } = yield* storage.subscriptions
      const [changed, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const change = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.subscription_version set version = version + 1`
        yield* Deferred.succeed(changed, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(changed)
      const route = yield* Effect.forkScoped(storage.route(routing(owner, version, appended.id, [])))
      yield* eventually("the route waits", waits("current as materialized"))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(change)
      assert.deepStrictEqual(yield* Fiber.join(route), { _tag: "Stale" })
      const waiting = (yield* storage.unrouted([owner], { messages: 10, bytes: 1000 })).messages
      assert.deepStrictEqual(waiting.map((found) => found.id), [appended.id])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("what was parked behind a delivery that ended unseen is found, and nothing that still has to wait", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const runnerId = yield* Id.runnerId
      const id = yield* subscribe({ ordered: true })
      const own = { workerGroup: `subscription.${id}`, partition: 0 }
      const { owner: router } = yield* storage.takeOver(runnerId, group, 1000)
      const { owner } = yield* storage.takeOver(runnerId, own, 1000)
      const make = (orderingKey: string) =>
        Effect.gen(function*() {
          const one = yield* message({ orderingKey })
          yield* storage.append([one])
          const { version } = yield* storage.subscriptions
          const deliveryId = yield* Id.deliveryId(yield* storage.now)
          const made = { id: deliveryId, messageId: one.id, subscriptionId: id, claimed: false }
          yield* storage.route(routing(router, version, one.id, [{ ...made, workerGroup: own.workerGroup }]))
          return deliveryId
        })
      const [a1, a2, b1] = [yield* make("a"), yield* make("a"), yield* make("b")]
      yield* make("b")
      const claims = Effect.map(claim(owner, id), ({ claimed }) => claimed.map(({ deliveryId }) => deliveryId).sort())
      assert.deepStrictEqual(yield* claims, [a1, b1].sort())
      assert.deepStrictEqual(yield* storage.unpark([owner]), [])
      // As by a statement that began before the second was routed.
      yield* sql`delete from hookline.work where id = ${Id.toUuid(a1)}::uuid`
      assert.deepStrictEqual(yield* claims, [])
      assert.deepStrictEqual(yield* storage.unpark([owner]), [own.workerGroup])
      assert.deepStrictEqual(yield* claims, [a2])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a record that waits for a change of its subscription holds nothing that the change needs", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const id = yield* subscribe()
      const [first, second] = [yield* deliver(owner, id, true), yield* deliver(owner, id, true)]
      const fails = (deliveryId: Id.DeliveryId) =>
        storage.record([{ ...outcome(owner, deliveryId, retryAt(0)), sign: "failed" }])
      yield* fails(first.id)
      const [changed, waiting] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const change = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.subscriptions set name = 'b'`
        yield* Deferred.succeed(changed, undefined)
        yield* Deferred.await(waiting)
        yield* sql`delete from hookline.circuits`
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(changed)
      const recorded = yield* Effect.forkScoped(fails(second.id))
      yield* eventually("the record waits", waits("asked as materialized"))
      yield* Deferred.succeed(waiting, undefined)
      yield* Fiber.join(change)
      assert.deepStrictEqual(yield* Fiber.join(recorded), [second.id])
      const [health] = yield* storage.health([id])
      assert.strictEqual(health?.failures, 1)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a suspect is not claimed for a subscription whose disable commits while the claim waits", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const subscriptionId = yield* subscribe()
      yield* deliver(owner, subscriptionId)
      yield* sql`update hookline.work set claims = 2`
      const [disabled, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const change = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.subscriptions set enabled = false`
        yield* Deferred.succeed(disabled, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(disabled)
      const claiming = yield* Effect.forkScoped(
        storage.claim({
          owners: [owner],
          lanes: [],
          limit: 10,
          bytes: 1e9,
          suspectClaims: 2,
          suspectProviders: ["test.endpoint"]
        })
      )
      yield* Effect.raceFirst(
        eventually("the claim waits", waits("asked as materialized")),
        Effect.asVoid(Effect.exit(Fiber.join(claiming)))
      )
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(change)
      assert.deepStrictEqual((yield* Fiber.join(claiming)).claimed, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a lone suspect is claimed where one claim already makes a suspect", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const { id } = yield* deliver(owner, yield* subscribe())
      yield* sql`update hookline.work set claims = 1`
      const { claimed } = yield* storage.claim({
        owners: [owner],
        lanes: [],
        limit: 10,
        bytes: 1e9,
        suspectClaims: 1,
        suspectProviders: ["test.endpoint"]
      })
      assert.deepStrictEqual(claimed.map((found) => found.deliveryId), [id])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a take-over ends the frozen session that blocks it, after its patience, and no other", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const first = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const other = { workerGroup: "integration.a.b", partition: 0 }
      yield* storage.takeOver(yield* Id.runnerId, other, 1000)
      const held = yield* Deferred.make<void>()
      const hold = (workerGroup: string, ready: Deferred.Deferred<void>, until: Effect.Effect<void>) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql`select 1 from hookline.owners where worker_group = ${workerGroup} for share`
          yield* Deferred.succeed(ready, undefined)
          yield* until
          return yield* sql`select 1`
        }))
      const release = yield* Deferred.make<void>()
      const bystanding = yield* Deferred.make<void>()
      const bystander = yield* Effect.forkScoped(hold(other.workerGroup, bystanding, Deferred.await(release)))
      const frozen = yield* Effect.forkScoped(hold(group.workerGroup, held, Deferred.await(release)))
      yield* Deferred.await(held)
      yield* Deferred.await(bystanding)
      // Both have been quiet for longer than a second.
      yield* eventually(
        "the sessions are quiet",
        Effect.map(
          sql<{ readonly n: number }>`select count(*)::int as n from pg_stat_activity
            where datname = current_database() and state = 'idle in transaction'
              and state_change < clock_timestamp() - interval '1.1 second'`,
          ([row]) => row?.n === 2
        )
      )
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 200)
      assert.isAbove(owner.epoch, first.owner.epoch)
      yield* Deferred.succeed(release, undefined)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(frozen)))
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(bystander)))
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live(
    "a take-over waits for no owner that is frozen while it reads its claims' payloads",
    () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.testDatabase
        const target = new URL(Redacted.value(url))
        const between = yield* proxy({ host: target.hostname, port: Number(target.port) })
        target.port = String(between.port)
        const through = (url: Redacted.Redacted<string>) =>
          Layer.build(Layer.fresh(
            PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url, maxConnections: 4 })))
          ))
        const frozen = yield* through(Redacted.make(target.href))
        const next = yield* through(url)
        const first = yield* Effect.gen(function*() {
          const storage = yield* Storage
          const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
          const subscriptionId = yield* subscribe()
          const payloadJson = JSON.stringify("x".repeat(1_000_000))
          for (let n = 0; n < 10; n++) yield* deliver(owner, subscriptionId, false, { payloadJson })
          const { claimed } = yield* claim(owner, subscriptionId)
          assert.strictEqual(claimed.length, 10)
          yield* between.choke
          yield* Effect.forkScoped(storage.load(claimed))
          return owner
        }).pipe(Effect.provide(frozen))
        yield* Effect.gen(function*() {
          const storage = yield* Storage
          const sql = yield* PgClient.PgClient
          const blocked = Effect.map(
            sql<{ readonly pid: number }>`select pid from pg_stat_activity
            where datname = current_database() and wait_event = 'ClientWrite'`,
            (rows) => rows.map(({ pid }) => pid)
          )
          yield* eventually(
            "the server can't get rid of what it read",
            Effect.map(blocked, (pids) => pids.length === 1)
          )
          const pids = yield* blocked
          const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 60_000)
          assert.isAbove(owner.epoch, first.epoch)
          // It was not ended for it.
          assert.deepStrictEqual(yield* blocked, pids)
        }).pipe(Effect.provide(next))
        between.close()
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("a take-over whose session is lost under way is a typed error", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const [held, release] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`select 1 from hookline.owners for update`
        yield* Deferred.succeed(held, undefined)
        yield* Deferred.await(release)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(held)
      const taking = yield* Effect.forkScoped(storage.takeOver(yield* Id.runnerId, group, 20_000))
      yield* eventually("the take-over waits", waits("hookline.owners"))
      yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`
      const exit = yield* Fiber.await(taking)
      assert.isTrue(
        Exit.isFailure(exit) &&
          exit.cause.reasons.every((reason) => reason._tag === "Fail" && reason.error instanceof StorageUnavailable)
      )
      yield* Deferred.succeed(release, undefined)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a message that the owner before read while it was taken over from is in doubt", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const { owner: before } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      yield* storage.append([yield* message()])
      // The commit of a take-over waits for whoever has the lock.
      const { isWaiting, release } = yield* commitsHeld("update on hookline.owners")
      const taking = yield* Effect.forkScoped(storage.takeOver(yield* Id.runnerId, group, 60_000))
      yield* eventually("the commit waits", isWaiting)
      yield* storage.append([yield* message()])
      const { messages } = yield* storage.unrouted([before], { messages: 10, bytes: 1e6 })
      yield* release
      const { doubtfulSeq, owner } = yield* Fiber.join(taking)
      assert.deepStrictEqual(messages.map(({ seq }) => seq <= doubtfulSeq), [true, true])
      // And it stays so for whom this one gives the group back to.
      yield* storage.giveBack([owner])
      assert.strictEqual((yield* storage.takeOver(yield* Id.runnerId, group, 1000)).doubtfulSeq, doubtfulSeq)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a take-over comes after what its owner is storing, of which it tells the epoch", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const runnerId = yield* Id.runnerId
      const { owner } = yield* storage.takeOver(runnerId, group, 1000)
      // The commit of an append waits for whoever has the lock.
      const { isWaiting, release } = yield* commitsHeld("insert on hookline.inbox")
      const one = yield* message()
      const appending = yield* Effect.forkScoped(storage.append([one], runnerId))
      yield* eventually("the append's commit waits", isWaiting)
      const taking = yield* Effect.forkScoped(storage.takeOver(yield* Id.runnerId, group, 60_000))
      yield* eventually("the take-over waits", waits("hookline.owners"))
      yield* release
      const [placed] = yield* Fiber.join(appending)
      assert.strictEqual(placed?.epoch, owner.epoch)
      const { doubtfulSeq } = yield* Fiber.join(taking)
      assert.isAtLeast(doubtfulSeq, placed?.seq ?? Number.NaN)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("what is stored does not wait for a take-over, and is told of no epoch meanwhile", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const runnerId = yield* Id.runnerId
      yield* storage.takeOver(runnerId, group, 1000)
      const release = yield* held("select 1 from hookline.owners for update")
      const [placed] = yield* storage.append([yield* message()], runnerId)
      assert.isDefined(placed)
      assert.isUndefined(placed?.epoch)
      yield* release
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a session whose snapshots last is told of no epoch, and locks nothing", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const runnerId = yield* Id.runnerId
      yield* storage.takeOver(runnerId, group, 1000)
      const lasting = yield* PgPool.make(sql, {
        maxConnections: 1,
        multiplex: false,
        startupParameters: { default_transaction_isolation: "repeatable read" }
      })
      const appending = PgAppend.make(lasting, storage.now, yield* Deadlines.make, 10_000)
      const [placed] = yield* appending.append([yield* message()], runnerId)
      assert.isDefined(placed)
      assert.isUndefined(placed?.epoch)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("giving back does not shorten the lease of an earlier owner", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const killed = yield* Id.runnerId
      yield* storage.renewLease(killed, 60_000)
      yield* storage.takeOver(killed, group, 1000)
      const second = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      yield* storage.giveBack([second.owner])
      const third = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      assert.isAtLeast(third.claimableAtMs, second.claimableAtMs)
      assert.isAbove(second.claimableAtMs, (yield* storage.now) + 30_000)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("a group is found whose every delivery was claimed by a runner that was killed, once its lease is over", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const killed = yield* Id.runnerId
      yield* storage.renewLease(killed, 60_000)
      const { owner } = yield* storage.takeOver(killed, group, 1000)
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId, true)
      assert.deepStrictEqual(yield* storage.due({ aheadMs: 0 }), [])
      yield* storage.renewLease(killed, 0)
      yield* eventually(
        "the group is found",
        Effect.map(storage.due({ aheadMs: 0 }), (found) => found[0]?.workerGroup === group.workerGroup)
      )
      const successor = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      yield* storage.recover([successor.owner], 3)
      const { claimed } = yield* claim(successor.owner, subscriptionId)
      assert.deepStrictEqual(claimed.map((found) => found.deliveryId), [id])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("work that is due is found in every group and lane, and alike in the named groups", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const runner = yield* Id.runnerId
      yield* storage.renewLease(runner, 60_000)
      const subscriptions = [yield* subscribe(), yield* subscribe(), yield* subscribe()].toSorted()
      const { owner } = yield* storage.takeOver(runner, group, 1000)
      for (const id of subscriptions) {
        yield* deliver(owner, id)
        yield* deliver(owner, id)
      }
      yield* storage.append([yield* message({ eventId: "b.one" }), yield* message({ eventId: "a.two" })])
      const found = yield* storage.due({ aheadMs: 0 })
      const summary = found.map((due) => ({
        workerGroup: due.workerGroup,
        unrouted: due.unrouted,
        lanes: due.lanes.map((lane) => lane.subscriptionId).toSorted()
      })).toSorted((a, b) => a.workerGroup < b.workerGroup ? -1 : 1)
      assert.deepStrictEqual(summary, [
        { workerGroup: "integration.a.two", unrouted: true, lanes: [] },
        { workerGroup: "integration.b.one", unrouted: true, lanes: [] },
        { workerGroup: group.workerGroup, unrouted: false, lanes: subscriptions }
      ])
      for (const due of found) {
        assert.deepStrictEqual(yield* storage.due({ aheadMs: 0, workerGroups: [due.workerGroup] }), [due])
      }
      assert.deepStrictEqual(yield* storage.due({ aheadMs: 0, workerGroups: ["integration.no.such"] }), [])
      yield* sql`update hookline.work set due_at = clock_timestamp() + interval '1 hour'`
      assert.deepStrictEqual(yield* storage.due({ aheadMs: 1000, workerGroups: [group.workerGroup] }), [])
      yield* storage.updateSubscription(subscriptions[0] ?? (yield* Id.subscriptionId(1)), (current) => ({
        ...current,
        enabled: false
      }))
      const [left] = yield* storage.due({ aheadMs: 7_200_000, workerGroups: [group.workerGroup] })
      assert.deepStrictEqual(left?.lanes.map((lane) => lane.subscriptionId).toSorted(), subscriptions.slice(1))
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
