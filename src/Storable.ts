/**
 * What can be stored: PostgreSQL's texts and JSON hold neither NUL characters nor halves of a surrogate pair.
 */
import type { Schema } from "effect"

/** @category guards @since 0.1.0 */
export const isStorable = (text: string): boolean => !text.includes("\0") && text.isWellFormed()

/**
 * What is expected of a text that can't be stored.
 *
 * @category constants
 * @since 0.1.0
 */
export const expected = "Expected a text without NUL characters and lone surrogates"

/**
 * Why a text is refused, in words; undefined where it is not.
 *
 * @category conversions
 * @since 0.1.0
 */
export const refusal = (
  text: string,
  { length, mayBeEmpty = false }: { readonly length: number; readonly mayBeEmpty?: boolean }
): string | undefined =>
  !isStorable(text)
    ? expected
    : text.length > length || (!mayBeEmpty && text.trim().length === 0)
    ? `Expected a text of 1 to ${length} characters`
    : undefined

/**
 * Where a JSON value has a text or a name that can't be stored.
 *
 * @category conversions
 * @since 0.1.0
 */
export const pathOfUnstorable = (
  value: Schema.Json,
  path: ReadonlyArray<PropertyKey>
): ReadonlyArray<PropertyKey> | undefined => {
  if (typeof value === "string") return isStorable(value) ? undefined : path
  if (typeof value !== "object" || value === null) return undefined
  for (const [name, item] of Object.entries(value)) {
    if (!isStorable(name)) return path
    const found = pathOfUnstorable(item, [...path, Array.isArray(value) ? Number(name) : name])
    if (found) return found
  }
  return undefined
}
