import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import { claim, group, storage as layer, subscribe } from "./support.ts"

const partitions = Effect.flatMap(PgClient.PgClient, (sql) =>
  Effect.map(
    sql<{ readonly n: number }>`select count(*)::int as n from pg_inherits i join pg_class c on c.oid = i.inhparent
      where c.relkind = 'p' and c.relnamespace = 'hookline'::regnamespace`,
    ([row]) => row?.n
  ))

describe("the layout of PostgreSQL", () => {
  it.live("many processes migrate an empty database at once", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const start = Effect.scoped(Layer.build(PgStorage.layer().pipe(Layer.provide(PgClient.layer({ url })))))
      yield* Effect.all(Array.from({ length: 6 }, () => start), { concurrency: "unbounded" })
      const sql = PgClient.layer({ url })
      assert.strictEqual(yield* Effect.provide(partitions, sql), 9 * 4)
      assert.strictEqual(yield* Effect.provide(PgStorage.migrate, sql), 0)
    }))

  it.live("a layout newer than the program is refused, migrating or not", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const client = PgClient.layer({ url })
      const start = (migrate: boolean) =>
        Effect.scoped(Layer.build(PgStorage.layer({ migrate }).pipe(Layer.provide(client))))
      yield* start(true)
      yield* Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql`insert into hookline_migrations (migration_id, name) values (9999, 'later')`
      ).pipe(Effect.provide(client))
      for (const migrate of [true, false]) {
        const error = yield* Effect.flip(start(migrate))
        assert.instanceOf(error, PgStorage.MigrationFailed)
        assert.include(String(error.message), "newer Hookline")
      }
    }))

  it.live("partitions of the coming days are made by housekeeping, and again at the next start after a long stop", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const client = PgClient.layer({ url })
      const storage = PgStorage.layer().pipe(Layer.provideMerge(client))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* storage.maintain({ partitionsAheadDays: 10, heldMaxAgeMs: 1000, rows: 10 })
        assert.strictEqual(yield* partitions, 12 * 4)
        const sql = yield* PgClient.PgClient
        const rows = yield* sql<{ readonly name: string }>`select inhrelid::regclass::text as name from pg_inherits i
          join pg_class c on c.oid = i.inhparent where c.relkind = 'p' and c.relname = 'messages'`
        for (const { name } of rows) yield* sql.unsafe(`drop table ${name}`).unprepared
      }).pipe(Effect.provide(storage))
      const storedAgain = Effect.gen(function*() {
        const storage = yield* Storage
        const id = yield* Id.messageId(yield* storage.now)
        yield* storage.append([{ id, eventId: "a.b", tenantId: "t", orderingKey: undefined, payloadJson: "{}" }])
      })
      yield* Effect.provide(storedAgain, PgStorage.layer().pipe(Layer.provideMerge(PgClient.layer({ url }))))
    }))

  it.live("a claim finds its rows by index among 100,000 others", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
      const subscriptionId = yield* subscribe()
      yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id)
        select gen_random_uuid(), gen_random_uuid(), n,
          case when n % 50 = 0 then ${Id.toUuid(subscriptionId)}::uuid else gen_random_uuid() end,
          ${group.workerGroup}, 'default', 'incident.incident.created' from generate_series(1, 100000) n`
      yield* sql`insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, status,
          attempts, retry_base)
        select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7000'
            || substr(md5(n::text), 1, 16))::uuid,
          gen_random_uuid(), n, ${Id.toUuid(subscriptionId)}::uuid, 'default', 'a.b', 'success', 1, 0
        from generate_series(1, 100000) n`
      yield* sql`analyze hookline.work, hookline.deliveries, hookline.owners, hookline.subscriptions`
      const scanned = Effect.map(
        sql<{ readonly n: number }>`select coalesce(sum(seq_tup_read), 0)::float8 as n from pg_stat_user_tables
          where schemaname = 'hookline' and relname = 'work'`,
        ([row]) => row?.n
      )
      const flushed = sql`select pg_stat_clear_snapshot()`
      yield* sql`select pg_stat_force_next_flush()`
      yield* flushed
      const before = yield* scanned
      for (let n = 0; n < 5; n++) {
        const { claimed, next } = yield* claim(owner, subscriptionId, true)
        assert.strictEqual(claimed.length, 10)
        assert.strictEqual(next.length, 1)
      }
      yield* storage.due({ aheadMs: 0, workerGroups: ["integration.none.none"] })
      yield* flushed
      assert.strictEqual(yield* scanned, before)
      const plan = yield* sql<{ readonly "QUERY PLAN": string }>`explain select w.id from hookline.work w
        where w.worker_group = ${group.workerGroup} and w.subscription_id = ${Id.toUuid(subscriptionId)}::uuid
          and w.epoch is null and w.claims < 2 order by w.due_at, w.seq limit 11 for update skip locked`
      assert.match(plan.map((row) => row["QUERY PLAN"]).join("\n"), /Index Scan using work_waiting/u)
    }).pipe(Effect.provide(layer)))
})
