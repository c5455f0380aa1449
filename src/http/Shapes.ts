/**
 * What the contracts of several resources have in common.
 */
import { Schema } from "effect"
import { defaults } from "../Limits.ts"

/** @category schemas @since 0.1.0 */
export const JsonObject = Schema.Record(Schema.String, Schema.Json)

/**
 * A key of the caller's, such as an idempotency key.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Text = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(defaults.keyLength),
  // Two keys that differ there alone would be one in the database.
  Schema.makeFilter((text: string) => text.isWellFormed() ? undefined : "a text without lone surrogates")
)

/**
 * A name to filter by: PostgreSQL's texts hold no NUL.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Name = Schema.String.check(
  Schema.isMaxLength(defaults.keyLength),
  Schema.isPattern(/^[^\0]*$/u, { message: "a text without NUL characters" })
)

/**
 * For bodies in which a misspelt property must not pass for one that was left out.
 *
 * @category constants
 * @since 0.1.0
 */
export const closed = { onExcessProperty: "error" } as const

/**
 * The parameters of a path that ends in an id.
 *
 * @category schemas
 * @since 0.1.0
 */
export const id = { params: { id: Schema.String } }
