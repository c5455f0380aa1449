import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import { migrations } from "../../src/storage/Migrations.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import { claim, eventually, group, subscribe } from "./support.ts"

const partitions = Effect.flatMap(PgClient.PgClient, (sql) =>
  Effect.map(
    sql<{ readonly n: number }>`select count(*)::int as n from pg_inherits i join pg_class c on c.oid = i.inhparent
      where c.relkind = 'p' and c.relnamespace = 'hookline'::regnamespace`,
    ([row]) => row?.n
  ))

describe("the layout of PostgreSQL", () => {
  it.live("many processes migrate an empty database at once", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.emptyDatabase
      const migrate = () =>
        Effect.provide(PgStorage.migrate, Layer.fresh(PgClient.layer({ url })))
          .pipe(Effect.retry({ times: 5, while: (error) => error._tag === "StorageUnavailable" }))
      const done = yield* Effect.all(Array.from({ length: 6 }, migrate), { concurrency: "unbounded" })
      assert.deepStrictEqual(done.toSorted(), [0, 0, 0, 0, 0, Object.keys(migrations).length])
      const sql = PgClient.layer({ url })
      assert.strictEqual(yield* Effect.provide(partitions, sql), 9 * 4)
      assert.strictEqual(yield* Effect.provide(PgStorage.migrate, sql), 0)
    }))

  it.live("a layout newer than the program is refused, migrating or not", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.emptyDatabase
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
      const { url } = yield* Postgres.emptyDatabase
      const client = PgClient.layer({ url })
      const storage = PgStorage.layer().pipe(Layer.provideMerge(client))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* storage.maintain({
          partitionsAheadDays: 10,
          heldMaxAgeMs: 1000,
          broadcastKeptMs: 3_600_000,
          replaysKeptMs: 1e12,
          rows: 10
        })
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
      const { url } = yield* Postgres.emptyDatabase
      const client = PgClient.layer({ url })
      const storage = PgStorage.layer().pipe(Layer.provideMerge(client))
      const { owner, subscriptionId } = yield* Effect.provide(fill, storage)
      // A session's statistics are complete when it has ended: each step has sessions of its own.
      const before = yield* Effect.provide(read("n_tup_ins", 100_000), client)
      yield* Effect.gen(function*() {
        for (let n = 0; n < 12; n++) {
          const { claimed, next } = yield* claim(owner, subscriptionId, true)
          assert.strictEqual(claimed.length, 10)
          assert.strictEqual(next.length, 1)
        }
      }).pipe(Effect.provide(storage))
      assert.strictEqual(yield* Effect.provide(read("n_tup_upd", 120), client), before)
    }))
})

/** Puts unfinished deliveries of many subscriptions and finished ones of one into the database. */
const fill = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const storage = yield* Storage
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
  const subscriptionId = yield* subscribe()
  const uuid = Id.toUuid(subscriptionId)
  yield* sql`create function uuid7(n int) returns uuid language sql volatile as
    $$ select (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '70008000'
      || lpad(to_hex(n), 12, '0'))::uuid $$`.unprepared
  yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size)
    select uuid7(n), uuid7(n + 100000), n, case when n % 50 = 0 then ${uuid}::uuid else uuid7(n) end,
      ${group.workerGroup}, 'default', 'incident.incident.created', 2 from generate_series(1, 100000) n`
  yield* sql`insert into hookline.deliveries
      (id, message_id, seq, subscription_id, tenant_id, event_id, status, attempts, retry_base)
    select uuid7(n), uuid7(n + 100000), n, ${uuid}::uuid, 'default', 'a.b', 'success', 1, 0
    from generate_series(1, 100000) n`
  yield* sql`analyze hookline.work, hookline.deliveries, hookline.owners, hookline.subscriptions`
  return { owner, subscriptionId }
})

/** The rows of `work` that were read by sequential scans, once a counter has come to a number. */
const read = (counter: string, atLeast: number) =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    yield* eventually(
      "the statistics are complete",
      Effect.map(
        sql`select 1 from pg_stat_user_tables where relid = 'hookline.work'::regclass
          and ${sql(counter)} >= ${atLeast}::int`,
        (rows) => rows.length > 0
      )
    )
    const [row] = yield* sql<{ readonly read: number }>`select seq_tup_read::float8 as read
      from pg_stat_user_tables where relid = 'hookline.work'::regclass`
    return row?.read
  })
