/**
 * A configuration at rest: its secrets sealed for what it belongs to, opened for its use, and kept where a change leaves them
 * blank.
 */
import { Effect, Redacted, type Schema } from "effect"
import * as SecretFields from "./SecretFields.ts"
import type { Secrets, UnsealError } from "./Secrets.ts"

/**
 * A configuration with the id of what it belongs to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Owned {
  readonly id: string
  readonly config: Schema.Json
}

/**
 * Seals the secrets of a configuration.
 *
 * @category conversions
 * @since 0.1.0
 */
export const seal = (
  secrets: Secrets["Service"],
  schema: Schema.Constraint,
  { config, id }: Owned
): Effect.Effect<Schema.Json> => SecretFields.map(schema, config, (secret) => secrets.seal(Redacted.make(secret), id))

/**
 * Opens the secrets of a configuration.
 *
 * @category conversions
 * @since 0.1.0
 */
export const open = (
  secrets: Secrets["Service"],
  schema: Schema.Constraint,
  { config, id }: Owned
): Effect.Effect<Schema.Json, UnsealError> =>
  SecretFields.map(schema, config, (sealed) => Effect.map(secrets.open(sealed, id), Redacted.value))

/**
 * What comes of a partial change of an opened configuration: its keys take the places of the present ones, but for blank
 * secrets, which stay as they are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = (schema: Schema.Constraint, opened: Schema.Json, change: Schema.Json): Schema.Json =>
  isRecord(opened) && isRecord(change) ? SecretFields.keep(schema, { ...opened, ...change }, opened) : change

/**
 * Every text of a value, for who looks for sealed ones without its schema.
 *
 * @category conversions
 * @since 0.1.0
 */
export function* texts(value: Schema.Json): Generator<string> {
  if (typeof value === "string") yield value
  else if (typeof value === "object" && value !== null) {
    for (const item of Object.values(value)) yield* texts(item)
  }
}

// --- internal ---

const isRecord = (value: Schema.Json): value is { readonly [key: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
