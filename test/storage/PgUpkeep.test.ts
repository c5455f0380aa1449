import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Id from "../../src/Id.ts"
import { defaults } from "../../src/Limits.ts"
import { dayMs, dayOf } from "../../src/Retention.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgAdministration from "../../src/storage/PgAdministration.ts"
import * as PgErrors from "../../src/storage/PgErrors.ts"
import * as PgOwnership from "../../src/storage/PgOwnership.ts"
import * as PgPool from "../../src/storage/PgPool.ts"
import * as PgRetaining from "../../src/storage/PgRetaining.ts"
import * as PgUpkeep from "../../src/storage/PgUpkeep.ts"
import * as PgWalk from "../../src/storage/PgWalk.ts"
import { withEnabled } from "../../src/Subscription.ts"
import { eventId, eventually, group, message, prepareDay, read, storage as layer, subscribe, waits } from "./support.ts"

/** What is there of each kind, and none of it for housekeeping to touch. */
const grown = 20_000

/** The rows that a verb may look at where there is nothing to do. */
const enough = 200

const options = {
  partitionsAheadDays: defaults.partitionsAheadDays,
  heldMaxAgeMs: defaults.heldMaxAgeMs,
  broadcastKeptMs: defaults.broadcastKeptMs,
  replaysKeptMs: defaults.replaysKeptMs,
  rows: defaults.maintenanceRows
}

/** Days of which all, and days of which the attempts alone have expired. */
const terms = { historyKeptMs: 60 * dayMs, attemptsKeptMs: 30 * dayMs }

describe("housekeeping, renewals and changes", () => {
  it.live("look at next to nothing where there is nothing to find, whatever there is", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const now = yield* storage.now
      for (const days of [40, 70]) yield* prepareDay(dayOf(now - days * dayMs))
      const runnerId = yield* Id.runnerId
      yield* storage.takeOver(runnerId, group, 60_000)
      const disabled = yield* Effect.forEach([1, 2 * defaults.heldMaxAgeMs], (agoMs) =>
        Effect.tap(subscribe(), (id) =>
          storage.updateSubscription(id, (current) =>
            withEnabled(current, false, now - agoMs))))
      // With one session of a kind, so that what it planned when the tables were new is planned again.
      const pool = { maxConnections: 1, multiplex: false }
      const session = yield* PgPool.make(sql, { ...pool, startupParameters: PgPool.engine })
      const walking = yield* PgPool.make(sql, { ...pool, startupParameters: { ...PgPool.engine, ...PgWalk.settings } })
      const { claimants } = PgAdministration.make(session, PgErrors.engine)
      const { retention } = PgRetaining.make(session, PgErrors.engine, Effect.never, 0)
      const { renewLease } = PgOwnership.make(session, PgErrors.engine, (reading) =>
        reading)
      const upkeep = PgUpkeep.make(walking, PgErrors.engine)
      const all: ReadonlyArray<readonly [string, PgClient.PgClient, Effect.Effect<unknown, unknown>]> = [
        ["maintain", walking, upkeep.maintain(options)],
        ["expire", walking, upkeep.expire(options.rows)],
        ["move", walking, upkeep.move(options.rows)],
        ["retention", session, retention(terms)],
        ["renewLease", session, renewLease(runnerId, 1000)],
        // Who a change has to wait for.
        ["claimants", session, Effect.forEach(disabled, claimants)]
      ]
      const run = Effect.forEach(all, ([name, of, verb]) => Effect.map(read(of, verb), (tables) => ({ name, tables })))
      yield* run
      for (const id of disabled) {
        yield* grow(sql, id)
      }
      // As it was planned when the tables were new, and when they were counted.
      for (const planned of ["select 1", "analyze"]) {
        yield* sql.unsafe(planned).unprepared
        const looked = (yield* run).map(({ name, tables }) => ({
          name,
          tables: tables.filter(({ n }) => n > enough)
        }))
        assert.deepStrictEqual(looked.filter(({ tables }) => tables.length > 0), [], planned)
      }
    }).pipe(Effect.provide(layer)))
})

/** Takes a key that expires at once, and returns how to take it again. */
const expiredKey = Effect.gen(function*() {
  const storage = yield* Storage
  const take = (ttlMs: number) =>
    Effect.flatMap(message(), (one) => storage.appendOnce(one, { key: "k", contentHash: "a", ttlMs }))
  yield* take(0)
  return { take, storage }
})

const keys = (sql: PgClient.PgClient) => Effect.map(sql`select 1 from hookline.idempotency`, (rows) => rows.length)

describe("housekeeping", () => {
  it.live("leaves a key that was taken again while it was about to purge it", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const { storage, take } = yield* expiredKey
      const beside = yield* PgPool.make(sql, { maxConnections: 1 })
      const isWaiting = Effect.provideService(waits("hookline.idempotency"), PgClient.PgClient, beside)
      const keeping = yield* sql.withTransaction(Effect.gen(function*() {
        assert.strictEqual((yield* take(dayMs))._tag, "Appended")
        const keeping = yield* Effect.forkChild(storage.maintain(options))
        yield* Effect.raceFirst(Fiber.await(keeping), eventually("it waits", isWaiting))
        return keeping
      }))
      yield* Fiber.join(keeping)
      assert.strictEqual(yield* keys(sql), 1)
      assert.strictEqual((yield* take(dayMs))._tag, "Repeated")
    }).pipe(Effect.provide(layer)))

  it.live("takes away how a deleted subscription fared, and how far its limit was used", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const [kept, deleted] = [yield* subscribe(), yield* subscribe()]
      yield* storage.deleteSubscription(deleted)
      // As by an outcome that was recorded meanwhile.
      for (const id of [kept, deleted].map(Id.toUuid)) {
        yield* sql`insert into hookline.circuits (subscription_id, failures, failing_since) values (${id}::uuid, 1, now())`
        yield* sql`insert into hookline.lanes (subscription_id, filled_at) values (${id}::uuid, now())`
      }
      yield* storage.maintain(options)
      for (const table of ["circuits", "lanes"]) {
        const left = yield* sql<{ readonly id: string }>`select subscription_id::text as id from ${sql("hookline")}.${
          sql(table)
        }`
        assert.deepStrictEqual(left.map(({ id }) => Id.fromUuid(id)), [Id.fromUuid(Id.toUuid(kept))], table)
      }
    }).pipe(Effect.provide(layer)))

  for (
    const [what, table, mode] of [["sums", "stats", "access exclusive"], [
      "history",
      "messages",
      "access share"
    ]] as const
  ) {
    it.live(`does all that it can while it has to wait for who holds the ${what}, and fails`, () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        yield* expiredKey
        const ahead = Effect.map(
          sql<
            { readonly n: number }
          >`select count(*)::int as n from pg_inherits where inhparent = 'hookline.attempts'::regclass`,
          ([row]) => row?.n ?? 0
        )
        const before = yield* ahead
        const session = yield* PgPool.make(sql, {
          maxConnections: 1,
          startupParameters: { ...PgPool.engine, ...PgWalk.settings, lock_timeout: "100" }
        })
        const { maintain } = PgUpkeep.make(session, PgErrors.engine)
        const more = { ...options, partitionsAheadDays: options.partitionsAheadDays + 1 }
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe(`lock table hookline.${table} in ${mode} mode`).unprepared
          const { _tag } = yield* Effect.flip(maintain(more))
          assert.strictEqual(_tag, "StorageUnavailable")
        }))
        assert.strictEqual(yield* keys(sql), 0)
        assert.strictEqual(yield* ahead, table === "stats" ? before + 1 : before)
        yield* maintain(more)
        assert.strictEqual(yield* ahead, before + 1)
      }).pipe(Effect.provide(layer)))
  }
})

/** What waits for a subscription, and what else housekeeping looks after; all of it young. */
const grow = Effect.fnUntraced(function*(sql: PgClient.PgClient, id: Id.SubscriptionId) {
  const uuid = Id.toUuid(id)
  const last = Id.toUuid(yield* Id.messageId(yield* (yield* Storage).now))
  const rows = sql`(select n, nextval('hookline.message_seq') as seq,
      overlay(${last} placing lpad(to_hex(n), 8, '0') from 25)::uuid as message_id, overlay(overlay(${last}
        placing lpad(to_hex(n), 8, '0') from 25) placing right(translate(${uuid}, '-', ''), 4) from 21)::uuid as id
    from generate_series(1, ${grown}) n) n`
  yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size, expires_at)
    select id, message_id, seq, ${uuid}::uuid, ${group.workerGroup}, 'default', ${eventId}, 2, now() + interval '1 day' from ${rows}`
  yield* sql`insert into hookline.idempotency (tenant_id, key, message_id, content_hash, expires_at)
    select 'default', id::text, message_id, '', now() + interval '1 day' from ${rows}`
  yield* sql`insert into hookline.broadcasts (worker_group, position, message_id)
    select ${id}, n, message_id from ${rows}`
  yield* sql`insert into hookline.stats (minutes, at, tenant_id, event_id, subscription_id, success, failed, cancelled, attempts)
    select minutes, date_trunc('hour', now()), 'default', 'event.' || n, ${uuid}::uuid, 1, 0, 0, 1
    from ${rows}, (values (5), (60)) steps(minutes)`
  yield* sql`insert into hookline.owners (worker_group, partition, epoch, claimable_at)
    select ${id} || '.' || n, 0, 1, now() from ${rows}`
  yield* sql`insert into hookline.replays (id, tenant_id, filter, fresh_webhook_id, state)
    select id, 'default', '{}', false, 'completed' from ${rows}`
})
