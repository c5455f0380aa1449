/**
 * Purging in SQL: takes away rows that are of no use any more, along the index that has them in the order in which they go.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError, Statement } from "effect/sql"
import * as PgWalk from "./PgWalk.ts"

/**
 * Deletes up to so many rows; returns whether there may be more. They are locked and judged anew before: one that somebody
 * makes use of again meanwhile, as of an idempotency key, stays, and nobody is waited for.
 */
export const purge = (
  sql: PgClient.PgClient,
  { along, rows, table, until }: {
    readonly table: string
    /** The columns of the index. */
    readonly along: string
    /** What is true of rows that go. */
    readonly until: Statement.Fragment
    readonly rows: number
  }
): Effect.Effect<boolean, SqlError.SqlError> => {
  const name = sql.literal(`hookline.${table}`)
  return Effect.map(
    sql`delete from ${name} where ctid = any(array(
      select ctid from ${name} where ${until} order by ${sql.literal(along)}
      limit ${PgWalk.count(sql, rows)} for update skip locked
    )) returning 1`,
    (gone) => gone.length >= rows
  )
}
