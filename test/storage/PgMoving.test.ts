import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as Id from "../../src/Id.ts"
import { defaults } from "../../src/Limits.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgAdministration from "../../src/storage/PgAdministration.ts"
import * as PgErrors from "../../src/storage/PgErrors.ts"
import * as PgPool from "../../src/storage/PgPool.ts"
import * as PgUpkeep from "../../src/storage/PgUpkeep.ts"
import type { Subscription } from "../../src/Subscription.ts"
import {
  claim,
  deliver,
  eventually,
  group,
  message,
  read,
  routing,
  storage as layer,
  subscribe,
  waits
} from "./support.ts"

/** Deliveries that wait in the event's group, more than a change moves itself. */
const waiting = 2 * defaults.maintenanceRows + 100

/** The rows that a portion of a hundred may look at. */
const enough = 500

const world = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const storage = yield* Storage
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 60_000)
  const id = yield* subscribe()
  const { id: claimed } = yield* deliver(owner, id, true)
  yield* deliver(owner, id)
  // As if they had been emitted.
  yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size)
    select overlay(gen_random_uuid()::text placing '7' from 15)::uuid, w.message_id, w.seq + n, w.subscription_id, w.worker_group, w.tenant_id, w.event_id, w.size
    from hookline.work w, generate_series(1, ${waiting - 1}::int) n where w.epoch is null`
  const own = { workerGroup: `subscription.${id}`, partition: 0 }
  const { owner: ownOwner } = yield* storage.takeOver(yield* Id.runnerId, own, 60_000)
  const groups = Effect.map(
    sql<{ readonly worker_group: string; readonly n: number }>`
      select worker_group, count(*)::int as n from hookline.work where epoch is null group by worker_group`,
    (rows) => new Map(rows.map((row) => [row.worker_group, row.n]))
  )
  const change = (changed: Partial<Subscription>) =>
    storage.updateSubscription(id, (current) => ({ ...current, ...changed }))
  return { change, claimed, groups, id, own, owner, ownOwner, sql, storage }
})

describe("a subscription of which more waits than one transaction may move", () => {
  it.live("gets its own group at once; what waits is moved in portions, and claimed when all of it is there", () =>
    Effect.gen(function*() {
      const { change, claimed, groups, id, own, owner, ownOwner, storage } = yield* world
      yield* change({ ordered: true })
      assert.deepStrictEqual(
        yield* groups,
        new Map([[group.workerGroup, waiting - defaults.maintenanceRows], [own.workerGroup, defaults.maintenanceRows]])
      )
      for (const one of [owner, ownOwner]) {
        assert.deepStrictEqual((yield* claim(one, id)).claimed, [])
        assert.deepStrictEqual((yield* claim(one, id, true)).claimed, [])
      }
      assert.deepStrictEqual((yield* storage.due({ aheadMs: 1000 })).flatMap(({ lanes }) => lanes), [])
      assert.isTrue(yield* storage.move(defaults.maintenanceRows))
      assert.deepStrictEqual((yield* claim(ownOwner, id)).claimed, [])
      assert.isTrue(yield* storage.move(defaults.maintenanceRows))
      assert.isFalse(yield* storage.move(defaults.maintenanceRows))
      assert.deepStrictEqual(yield* groups, new Map([[own.workerGroup, waiting]]))
      // What was claimed before is awaited.
      assert.deepStrictEqual((yield* claim(ownOwner, id)).claimed, [])
      yield* storage.release(owner, [claimed])
      assert.strictEqual((yield* claim(ownOwner, id)).claimed.length, 10)
    }).pipe(Effect.provide(layer)))

  it.live("that is changed back meanwhile has everything back in the event's group", () =>
    Effect.gen(function*() {
      const { change, groups, id, owner, storage } = yield* world
      yield* change({ ordered: true })
      yield* change({ ordered: false })
      yield* storage.move(defaults.maintenanceRows).pipe(Effect.repeat({ while: (more) => more }))
      assert.deepStrictEqual(yield* groups, new Map([[group.workerGroup, waiting]]))
      assert.strictEqual((yield* claim(owner, id)).claimed.length, 10)
    }).pipe(Effect.provide(layer)))

  it.live("goes on awaiting what is added to that while the housekeeping finds that the rest has ended", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const sql = yield* PgClient.PgClient
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 60_000)
      const id = yield* subscribe()
      const { id: ended } = yield* deliver(owner, id, true)
      yield* storage.updateSubscription(id, (current) => ({ ...current, ordered: true }))
      yield* storage.release(owner, [ended])
      const [added, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      // As a route does of what had gone ahead of it.
      const route = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`with made as (
            insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size, epoch)
            select gen_random_uuid(), message_id, seq + 1, subscription_id, ${group.workerGroup}, tenant_id, event_id, size,
              ${owner.epoch} from hookline.work returning id
          )
          update hookline.subscriptions set awaited = awaited || (select array_agg(id) from made)`
        yield* Deferred.succeed(added, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(added)
      const house = yield* Effect.forkScoped(storage.maintain({
        partitionsAheadDays: 1,
        heldMaxAgeMs: 1e9,
        broadcastKeptMs: 1e9,
        replaysKeptMs: 1e12,
        rows: 100
      }))
      yield* eventually("the housekeeping waits", waits("set awaited = null"))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(route)
      yield* Fiber.join(house)
      const own = { workerGroup: `subscription.${id}`, partition: 0 }
      const { owner: ownOwner } = yield* storage.takeOver(yield* Id.runnerId, own, 60_000)
      assert.deepStrictEqual((yield* claim(ownOwner, id)).claimed, [])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("awaits what had gone ahead of its routing also where that is written while the change commits", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const sql = yield* PgClient.PgClient
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 60_000)
      const id = yield* subscribe()
      const { version } = yield* storage.subscriptions
      const ahead = yield* message({ orderingKey: "k" })
      yield* storage.append([ahead])
      const begun = { id: Id.deliveryOf(ahead.id, id), messageId: ahead.id, subscriptionId: id, claimed: true }
      const [changed, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const change = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.subscription_version set version = version + 1`
        yield* sql`update hookline.subscriptions set ordered = true`
        yield* Deferred.succeed(changed, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkScoped)
      yield* Deferred.await(changed)
      const route = yield* Effect.forkScoped(
        storage.route({ ...routing(owner, version, ahead.id, [begun]), isBegun: true })
      )
      yield* eventually("the route waits", waits("current as materialized"))
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(change)
      assert.strictEqual((yield* Fiber.join(route))._tag, "Routed")
      const awaited = yield* sql<{ readonly n: number }>`
        select count(*)::int as n from hookline.subscriptions s join hookline.work w on w.id = any(s.awaited)`
      assert.deepStrictEqual(awaited.map(({ n }) => n), [1])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("leaves what others have locked for later, and does not wait for them", () =>
    Effect.gen(function*() {
      const { change, groups, id, own, ownOwner, sql, storage } = yield* world
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`select id from hookline.work where epoch is null limit 3 for update`
        yield* change({ ordered: true })
        yield* storage.move(waiting)
        assert.isFalse(yield* storage.move(waiting))
        assert.deepStrictEqual((yield* claim(ownOwner, id)).claimed, [])
      }))
      assert.isTrue(yield* storage.move(waiting))
      assert.deepStrictEqual(yield* groups, new Map([[own.workerGroup, waiting]]))
    }).pipe(Effect.provide(layer)))

  it.live("is looked at for what is to be moved, and not from end to end", () =>
    Effect.gen(function*() {
      const { change, id, sql, storage } = yield* world
      const session = yield* PgPool.make(sql, { maxConnections: 1, multiplex: false, startupParameters: PgPool.engine })
      const changing = PgAdministration.make(session, PgErrors.engine)
      const { move } = PgUpkeep.make(session, PgErrors.engine)
      const looked = (effect: Effect.Effect<unknown, unknown>) =>
        Effect.map(read(session, effect), (tables) => tables.find(({ name }) => name === "work")?.n ?? 0)
      yield* change({ maxConcurrency: 5 })
      for (const planned of ["select 1", "analyze"]) {
        yield* sql.unsafe(planned).unprepared
        assert.isAtMost(yield* looked(move(100)), enough)
      }
      yield* storage.move(defaults.maintenanceRows).pipe(Effect.repeat({ while: (more) => more }))
      // It has the group already, and nothing is parked there.
      const order = (ordered: boolean) => changing.updateSubscription(id, (current) => ({ ...current, ordered }))
      assert.isAtMost(yield* looked(order(true)), enough)
      assert.isFalse(yield* storage.move(1))
      yield* sql`update hookline.work set due_at = 'infinity'
        where id in (select id from hookline.work where epoch is null order by id desc limit 3)`
      assert.isAtMost(yield* looked(order(false)), enough)
      assert.deepStrictEqual(yield* sql`select 1 from hookline.work where due_at = 'infinity'`, [])
      yield* change({ maxConcurrency: undefined })
      assert.isAtMost(yield* looked(move(100)), enough)
    }).pipe(Effect.provide(layer)))
})
