/**
 * Arrays as parameters. The driver infers an array's type from its elements and refuses what mixes integers and fractions or
 * is all null. So a column of many rows names its type and goes in PostgreSQL's binary form; of the others, as a text in its own
 * notation, the type is the statement's cast. Which of many rows a statement wrote, it tells by their places.
 */

import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

/**
 * A text from outside, such as an endpoint's error, without the NUL that PostgreSQL refuses: it would refuse the whole batch.
 *
 * @category conversions
 * @since 0.1.0
 */
export const storable = (text: string | undefined): string | null => text?.replaceAll("\0", "\uFFFD") ?? null

/**
 * The array literal of values, to be cast in the statement.
 *
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-INPUT
 * @category conversions
 * @since 0.1.0
 */
export const array = (values: ReadonlyArray<string | number | boolean | null>): string => {
  const parts: Array<string | number | boolean> = []
  for (const value of values) parts.push(typeof value === "string" ? quoted(value) : value ?? "NULL")
  return `{${parts.join(",")}}`
}

/** The types of columns, and what their values are. */
interface Types {
  readonly text: string
  readonly int4: number
  readonly float8: number
  readonly bool: boolean
}

/**
 * The array literal of UUIDs without hyphens, which the driver's own form would need.
 *
 * @category conversions
 * @since 0.1.0
 */
export const uuids = <A>(rows: ReadonlyArray<A>, uuidOf: (row: A) => string): string => {
  // Joined at once: a text that grows is made anew for each of them.
  return `{${rows.map(uuidOf).join(",")}}`
}

/**
 * One column of many rows, to be unnested beside others, in PostgreSQL's binary form: nothing is escaped on the one side and read
 * character by character on the other. Nulls at its end are left out, as `unnest` fills up what is shorter: of the columns of
 * an outcome most are null in every row.
 *
 * **Gotchas**
 *
 * One of the columns has to be of values alone: where all are shorter than the rows are many, rows are missing.
 *
 * @category conversions
 * @since 0.1.0
 */
export const column = <Type extends keyof Types, A>(
  type: Type,
  rows: ReadonlyArray<A>,
  valueOf: (row: A) => Types[Type] | null | undefined
): PgTypes.Parameter => {
  const values = rows.map((row) => valueOf(row) ?? null)
  let { length } = values
  while (length > 0 && values[length - 1] === null) length--
  values.length = length
  return Result.getOrThrow(PgTypes.array(values, PgTypes.OID[type]))
}

/**
 * Which of the rows that a statement was given it wrote, by their places: ids would be longer, and a row for each.
 *
 * @category models
 * @since 0.1.0
 */
export interface Places {
  readonly places: ReadonlyArray<number> | null
}

/**
 * Those of the given that stand at places, from 1 on.
 *
 * @category conversions
 * @since 0.1.0
 */
export const picked = <A>(given: ReadonlyArray<A>, places: Places["places"] | undefined): ReadonlyArray<A> =>
  (places ?? []).flatMap((place) => given[place - 1] ?? [])

// --- internal ---

const quoted = (text: string): string =>
  text.includes("\"") || text.includes("\\") ? `"${text.replace(/["\\]/gu, "\\$&")}"` : `"${text}"`
