/**
 * Indexes of tables that are large and in use. `create index concurrently` lets rows be written while it builds, but not within
 * a transaction and not on a partitioned table: so each index is built by itself, a partitioned one partition by partition,
 * and whatever was interrupted is gone on with, so that it can be begun anew at any time.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"

/**
 * An index of the schema `hookline`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Index {
  readonly table: string
  /** Begins with the table's name: an index of a partition is named after both. */
  readonly name: string
  readonly columns: string
  readonly where?: string
}

/**
 * How the steps are run that build it, each by itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Steps<E> {
  /** Runs what locks a table for a moment, in a transaction that waits for the lock no longer than runners can. */
  readonly briefly: (statement: string) => Effect.Effect<void, E>
  /** Runs what locks nobody out, for as long as it takes. */
  readonly patiently: <A>(effect: Effect.Effect<A, SqlError.SqlError>) => Effect.Effect<A, E>
}

/**
 * Builds an index, or what is missing of it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const build = <E>(sql: PgClient.PgClient, index: Index, steps: Steps<E>): Effect.Effect<void, E> =>
  Effect.gen(function*() {
    const [state] = yield* steps.patiently(
      sql.unsafe<{ readonly partitioned: boolean; readonly unbuilt: boolean }>(
        `select c.relkind = 'p' as partitioned, to_regclass('hookline.${index.name}') is null
          and not exists (select from hookline.${index.table}) as unbuilt
        from pg_class c where c.oid = 'hookline.${index.table}'::regclass`
      ).unprepared
    )
    if (state?.unbuilt === true) return yield* steps.briefly(`create index if not exists ${definition(index)}`)
    yield* Effect.logInfo(`Building the index ${index.name}, which may take long and holds nobody up`)
    if (state?.partitioned !== true) return yield* concurrently(sql, index, steps)
    // Partitions that are made from here on have the index.
    yield* steps.briefly(`create index if not exists ${definition(index, "only ")}`)
    const partitions = yield* steps.patiently(
      sql.unsafe<{ readonly name: string }>(
        `select c.relname as name from pg_inherits p join pg_class c on c.oid = p.inhrelid
        where p.inhparent = 'hookline.${index.table}'::regclass and not p.inhdetachpending and not exists (
          select from pg_inherits x join pg_index i on i.indexrelid = x.inhrelid
          where x.inhparent = 'hookline.${index.name}'::regclass and i.indrelid = c.oid
        ) order by c.relname desc`
      ).unprepared
    )
    yield* Effect.forEach(partitions, ({ name: table }) =>
      Effect.gen(function*() {
        // It may take hours to come to the oldest, which may have been dropped meanwhile.
        const [found] = yield* steps.patiently(
          sql.unsafe<{ readonly there: boolean }>(
            `select exists (select from pg_inherits where inhrelid = to_regclass('hookline.${table}')
              and inhparent = 'hookline.${index.table}'::regclass) as there`
          ).unprepared
        )
        if (found?.there !== true) return
        const name = table + index.name.slice(index.table.length)
        yield* concurrently(sql, { ...index, table, name }, steps)
        yield* steps.briefly(`alter index hookline.${index.name} attach partition hookline.${name}`)
      }), { discard: true })
  })

// --- internal ---

const definition = ({ columns, name, table, where }: Index, only = "") =>
  `${name} on ${only}hookline.${table} (${columns})${where === undefined ? "" : ` where ${where}`}`

/** Builds an index of one table; one that a build left half done is of no use to anybody. */
const concurrently = <E>(sql: PgClient.PgClient, index: Index, { patiently }: Steps<E>) =>
  patiently(Effect.gen(function*() {
    const [found] = yield* sql.unsafe<{ readonly valid: boolean }>(
      `select indisvalid as valid from pg_index where indexrelid = to_regclass('hookline.${index.name}')`
    ).unprepared
    if (found?.valid === true) return
    if (found) yield* sql.unsafe(`drop index concurrently hookline.${index.name}`).unprepared
    yield* Effect.logDebug(`Building ${index.name}`)
    yield* sql.unsafe(`create index concurrently ${definition(index)}`).unprepared
  }))
