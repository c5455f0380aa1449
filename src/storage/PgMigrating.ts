/**
 * Runs migrations while runners go on: one at a time, each a transaction of its own that is noted with it, by effect's
 * migrator, or indexes that are built beside the traffic and then noted. A migration waits for a lock only as long as the
 * statements that queue up behind it can, and tries again.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Schedule } from "effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import { Limits } from "../Limits.ts"
import type { StorageUnavailable } from "../Storage.ts"
import { MigrationFailed } from "./MigrationFailed.ts"
import { type Migration, migrations as all } from "./Migrations.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgIndexes from "./PgIndexes.ts"
import * as PgPool from "./PgPool.ts"

const table = "hookline_migrations"

/**
 * The version of the layout that a database has: the number of its last migration, 0 where there is none.
 *
 * @category migrations
 * @since 0.1.0
 */
export const version = (sql: PgClient.PgClient): Effect.Effect<number, StorageUnavailable> =>
  PgErrors.engine(Effect.gen(function*() {
    const [found] = yield* sql<{ readonly there: boolean }>`select to_regclass(${table}) is not null as there`
    if (found?.there !== true) return 0
    const [latest] = yield* sql<{ readonly id: number | null }>`select max(migration_id)::int as id from ${sql(table)}`
    return latest?.id ?? 0
  }))

/**
 * Applies the migrations that a database lacks, over a connection of its own; returns how many. Of several processes one does,
 * and the others wait until it is done.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate = (
  client: PgClient.PgClient,
  migrations: Readonly<Record<string, Migration>> = all
): Effect.Effect<number, MigrationFailed | StorageUnavailable> =>
  Effect.gen(function*() {
    const steps = Object.entries(migrations)
      .map(([name, migration]) => ({ id: Number.parseInt(name, 10), name, migration }))
      .sort((a, b) => a.id - b.id)
    const lacks = (found: number) => steps.filter(({ id }) => id > found)
    if (lacks(yield* version(client)).length === 0) return 0
    const sql = yield* PgPool.make(client, {
      maxConnections: 1,
      // The session has the migrations' lock: it must not be closed for being idle.
      idleTimeout: undefined,
      multiplex: false,
      connectionTTL: undefined,
      applicationName: "hookline-migrate",
      startupParameters: {
        // What is large takes its time, and is ended by nobody but an operator.
        statement_timeout: "0",
        lock_timeout: "0",
        idle_in_transaction_session_timeout: "0"
      }
    })
    yield* Effect.addFinalizer(() => Effect.ignore(sql`select pg_advisory_unlock_all()`))
    let done = 0
    while (true) {
      // Each time, as a session that was lost meanwhile had the lock.
      yield* alone(sql)
      const [next] = lacks(yield* version(sql))
      if (next === undefined) return done
      if (yield* apply(sql, next)) done += 1
    }
  }).pipe(Effect.scoped)

// --- internal ---

interface Step {
  readonly name: string
  readonly migration: Migration
}

/**
 * Has the database's migrations to itself as long as the session lasts. The lock is asked for and not waited for: a statement
 * that waits has a snapshot, and an index that is built waits for all that are older than it.
 */
const alone = (sql: PgClient.PgClient) =>
  Effect.gen(function*() {
    const { migrationPollMs } = yield* Limits
    const take = PgErrors.engine(
      Effect.map(
        sql<{ readonly taken: boolean }>`select pg_try_advisory_lock(hashtext('hookline.migrate')) as taken`,
        ([row]) => row?.taken === true
      )
    )
    if (yield* take) return
    yield* Effect.logInfo("Another process migrates the database: waiting until it is done")
    yield* Effect.repeat(take, { schedule: Schedule.spaced(migrationPollMs), until: (taken) => taken })
  })

/** Applies a migration and notes it; whether it was done here. */
const apply = (sql: PgClient.PgClient, { migration, name }: Step) =>
  Effect.gen(function*() {
    if (migration._tag === "Indexes") {
      yield* Effect.forEach(
        migration.indexes,
        (index) =>
          PgIndexes.build(sql, index, {
            briefly: (statement) => patiently(sql, name, sql.withTransaction(briefly(sql, [statement]))),
            patiently: (effect) => patiently(sql, name, effect)
          }),
        { discard: true }
      )
    }
    const statements = migration._tag === "Indexes" ? [] : migration.statements
    const applied = yield* patiently(
      sql,
      name,
      Migrator.make({})({ loader: Migrator.fromRecord({ [name]: briefly(sql, statements) }), table }).pipe(
        Effect.provideService(SqlClient.SqlClient, sql)
      )
    )
    return applied.length > 0
  })

/** Runs statements of a transaction that lets nobody wait behind it for long. */
const briefly = (sql: PgClient.PgClient, statements: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { migrationLockMs, migrationStatementMs } = yield* Limits
    // A partitioned table stays locked while each of its partitions is waited for: that is bounded by the statement's time.
    yield* sql`select set_config('lock_timeout', ${String(migrationLockMs)}, true),
      set_config('statement_timeout', ${String(migrationStatementMs)}, true)`
    yield* Effect.forEach(statements, (statement) => sql.unsafe(statement).unprepared, { discard: true })
  })

/** Tries again, for a time, what found others in its way; a session that was lost meanwhile had the migrations' lock. */
const patiently = <A>(
  sql: PgClient.PgClient,
  name: string,
  effect: Effect.Effect<A, SqlError.SqlError | Migrator.MigrationError>
) =>
  Effect.gen(function*() {
    const { migrationLockPauseMs, migrationLockTotalMs } = yield* Limits
    return yield* Effect.andThen(alone(sql), effect).pipe(
      Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
      Effect.tapError((error) =>
        isOurs(error) && isInTheWay(error)
          ? Effect.logInfo(`Migration ${name} found others in its way (${reason(error)}), and is tried again`)
          : Effect.void
      ),
      Effect.retry({
        schedule: Schedule.spaced(migrationLockPauseMs).pipe(Schedule.upTo({ duration: migrationLockTotalMs })),
        while: (error) => isOurs(error) && isInTheWay(error)
      }),
      Effect.mapError((error) => isOurs(error) ? failed(name, error, migrationLockTotalMs) : error)
    )
  })

type MigratingError = SqlError.SqlError | Migrator.MigrationError

const isOurs = (error: MigratingError | StorageUnavailable): error is MigratingError =>
  error._tag !== "StorageUnavailable"

const sqlErrorOf = (error: SqlError.SqlError | Migrator.MigrationError): SqlError.SqlError | undefined =>
  SqlError.isSqlError(error) ? error : SqlError.isSqlError(error.cause) ? error.cause : undefined

/** A deadlock, a lock that was not to be had in time, a statement that was cancelled. */
const isInTheWay = (error: SqlError.SqlError | Migrator.MigrationError): boolean => {
  const cause = sqlErrorOf(error)
  return cause !== undefined && ["40P01", "55P03", "57014"].includes(PgErrors.sqlState(cause))
}

/** No answer, connections that can't be had, a server that stops: what passes. */
const isAway = (error: SqlError.SqlError) => /^(?:|08...|53...|57P..)$/u.test(PgErrors.sqlState(error))

const failed = (name: string, error: SqlError.SqlError | Migrator.MigrationError, totalMs: number) => {
  const cause = sqlErrorOf(error)
  if (cause !== undefined && isAway(cause)) return PgErrors.unavailable(cause)
  return new MigrationFailed({
    message: isInTheWay(error)
      ? `The database can't be migrated: ${name} found others in its way for ${Math.round(totalMs / 1000)} s ` +
        `(${reason(error)}). Long transactions hold the locks that it needs: find them in pg_stat_activity, by their ` +
        "xact_start, end them, and run `hookline migrate` again. What was done stays done."
      : `The database can't be migrated: ${name} failed (${reason(error)}). The migrations before it stay done, and ` +
        "`hookline migrate` goes on with it."
  })
}

/** The server's own words: migrations have no parameters that could leak. */
const reason = (error: SqlError.SqlError | Migrator.MigrationError): string => {
  const cause = sqlErrorOf(error)?.reason.cause
  return cause instanceof Error ? cause.message : error.message
}
