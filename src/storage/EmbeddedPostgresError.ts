/**
 * Why the embedded PostgreSQL can't be had. The message says what to do: whoever reads it knows Hookline, not PostgreSQL.
 */
import { Schema } from "effect"

/**
 * The embedded server can't be started; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()("EmbeddedPostgresError", {
  message: Schema.String
}) {}

/**
 * The error of a sentence.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failed = (message: string): EmbeddedPostgresError => new EmbeddedPostgresError({ message })
