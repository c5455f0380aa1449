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

// --- internal ---

const quoted = (text: string): string =>
  text.includes("\"") || text.includes("\\") ? `"${text.replace(/["\\]/gu, "\\$&")}"` : `"${text}"`
