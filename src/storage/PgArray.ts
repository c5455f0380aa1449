/**
 * Arrays as parameters. The driver infers an array's type from its elements and refuses what mixes integers and fractions or
 * is all null; as a text in PostgreSQL's own notation its type is the statement's cast.
 */

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

/**
 * The array literal of one column of many rows, to be unnested beside others. Nulls at its end are left out, as `unnest` fills up what
 * is shorter: of the columns of an outcome most are null in every row.
 *
 * **Gotchas**
 *
 * One of the columns has to be of values alone: where all are shorter than the rows are many, rows are missing.
 *
 * @category conversions
 * @since 0.1.0
 */
export const column = <A>(
  rows: ReadonlyArray<A>,
  valueOf: (row: A) => string | number | boolean | null | undefined
): string => {
  let text = ""
  let nulls = 0
  for (const row of rows) {
    const value = valueOf(row)
    if (value === null || value === undefined) {
      nulls++
      continue
    }
    for (; nulls > 0; nulls--) text += "NULL,"
    text += typeof value === "string" ? `${quoted(value)},` : `${value},`
  }
  return `{${text.slice(0, -1)}}`
}

// --- internal ---

const quoted = (text: string): string =>
  text.includes("\"") || text.includes("\\") ? `"${text.replace(/["\\]/gu, "\\$&")}"` : `"${text}"`
