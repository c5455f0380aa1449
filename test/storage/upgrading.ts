/**
 * A database as the version before left it, with history and unfinished deliveries, and sessions that are in a migration's way.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Deferred, Effect, Layer, Logger, type Scope } from "effect"
import * as Id from "../../src/Id.ts"
import { Limits } from "../../src/Limits.ts"
import { type Migration, migrations } from "../../src/storage/Migrations.ts"
import * as PgMigrating from "../../src/storage/PgMigrating.ts"
import * as Postgres from "../support/postgres.ts"
import { eventId, group } from "./support.ts"

/** The migrations up to a number. */
export const upTo = (last: number): Readonly<Record<string, Migration>> =>
  Object.fromEntries(Object.entries(migrations).filter(([name]) => Number.parseInt(name, 10) <= last))

/** The layout of the version before. */
export const before = upTo(10)

/** Deliveries that have ended, a tenth of them failed, and those that wait, half of them retried. */
export const ended = 4000
export const waiting = 500

/** Migrates, with a lock's time that is over soon; `onLog` hears what is logged. */
export const migrate = (
  given?: Readonly<Record<string, Migration>>,
  { onLog = () => {}, ...limits }: Partial<Limits> & { readonly onLog?: (line: string) => void } = {}
) =>
  Effect.flatMap(PgClient.PgClient, (sql) => PgMigrating.migrate(sql, given)).pipe(
    Effect.updateService(Limits, (all): Limits => ({
      ...all,
      migrationLockMs: 100,
      migrationLockPauseMs: 20,
      migrationPollMs: 20,
      ...limits
    })),
    Effect.provide(Logger.layer([Logger.make<unknown, void>(({ message }) => onLog(String(message)))]))
  )

/** A database with the layout of the version before, filled. */
class Filled extends Context.Service<Filled, { readonly name: string; readonly subscriptionId: Id.SubscriptionId }>()(
  "test/Filled"
) {}

export const filled = Layer.effect(
  Filled,
  Effect.gen(function*() {
    const { name, url } = yield* Postgres.emptyDatabase
    const subscriptionId = yield* Id.subscriptionId(Date.now())
    yield* Effect.andThen(migrate(before), fill(Id.toUuid(subscriptionId))).pipe(
      Effect.provide(PgClient.layer({ url }))
    )
    return { name, subscriptionId }
  })
)

/** A copy of it. */
export const make = Effect.gen(function*() {
  const { name, subscriptionId } = yield* Filled
  const { url } = yield* Postgres.copy(name)
  return { url, client: PgClient.layer({ url }), subscriptionId }
})

/** Says that a runner is at work. */
export const alive = Effect.flatMap(
  PgClient.PgClient,
  (sql) =>
    sql`insert into hookline.runners (id, lease_until) values (gen_random_uuid(), clock_timestamp() + interval '1 hour')`
)

/** Does something in a transaction that stays open until it is let go. */
export const hold = (
  client: Layer.Layer<PgClient.PgClient, unknown>,
  statement: string
): Effect.Effect<{ readonly letGo: Effect.Effect<boolean> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const held = yield* Deferred.make<void>()
    const free = yield* Deferred.make<void>()
    yield* Effect.flatMap(PgClient.PgClient, (sql) =>
      sql.withTransaction(Effect.gen(function*() {
        yield* sql.unsafe(statement).unprepared
        yield* Deferred.succeed(held, undefined)
        yield* Deferred.await(free)
      }))).pipe(Effect.provide(Layer.fresh(client)), Effect.orDie, Effect.forkScoped({ startImmediately: true }))
    yield* Deferred.await(held)
    return { letGo: Deferred.succeed(free, undefined) }
  })

/** Indexes of the schema that nobody can use. */
export const invalid = Effect.flatMap(PgClient.PgClient, (sql) =>
  Effect.map(
    sql<{ readonly name: string }>`select c.relname as name from pg_index i
      join pg_class c on c.oid = i.indexrelid
      where c.relnamespace = 'hookline'::regnamespace and not (indisvalid and indisready)`,
    (rows) => rows.map((row) => row.name)
  ))

/** Whether there is an index of a name. */
export const hasIndex = (name: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      sql<{ readonly has: boolean }>`select to_regclass(${`hookline.${name}`}) is not null as has`,
      ([row]) => row?.has === true
    ))

/** How many partitions there are, and how many of them have an index of their parent. */
export const covered = (table: string, index: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      sql<{ readonly partitions: number; readonly indexes: number }>`select
        (select count(*) from pg_inherits where inhparent = ${`hookline.${table}`}::regclass)::int as partitions,
        (select count(*) from pg_inherits where inhparent = ${`hookline.${index}`}::regclass)::int as indexes`,
      ([row]) => row
    ))

// --- internal ---

/** Rows of two days, in the columns that the version before knows. */
const fill = Effect.fnUntraced(function*(subscription: string) {
  const sql = yield* PgClient.PgClient
  yield* sql`create function pg_temp.uuid7(kind text, n int) returns uuid language sql as $$
    select (lpad(to_hex((extract(epoch from clock_timestamp() - (n % 2) * interval '1 day') * 1000)::bigint - n), 12, '0')
      || '7' || kind || '8000' || lpad(to_hex(n), 12, '0'))::uuid $$`.unprepared
  yield* sql`insert into hookline.subscriptions
      (id, tenant_id, name, events, provider_id, config, signing_secrets, enabled, version, created_at, updated_at)
    values (${subscription}::uuid, 'default', 'a', '{*}', 'test.endpoint', '{}', '[]', true, 1, now(), now())`
  yield* sql`with made as (
      select pg_temp.uuid7('001', n) as id, pg_temp.uuid7('002', n) as message_id, n
      from generate_series(1, ${ended + waiting}::int) n
    ), messages as (
      insert into hookline.messages (id, seq, event_id, tenant_id, payload)
      select message_id, n, ${eventId}, 'default', '{}' from made
    ), history as (
      insert into hookline.deliveries
        (id, message_id, seq, subscription_id, tenant_id, event_id, status, reason, attempts, retry_base)
      select id, message_id, n, ${subscription}::uuid, 'default', ${eventId},
        case when n % 10 = 0 then 'failed' else 'success' end, case when n % 10 = 0 then 'exhausted' end, 1, 0
      from made where n <= ${ended}::int
    )
    insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, attempts, size)
    select id, message_id, n, ${subscription}::uuid, ${group.workerGroup}, 'default', ${eventId}, n % 2, 2
    from made where n > ${ended}::int`
})
