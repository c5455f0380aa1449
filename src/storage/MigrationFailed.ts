/**
 * Why the database's layout does not fit the program. The message says what to do.
 */
import { Schema } from "effect"

/**
 * The database's layout can't be brought up to date, or is newer than this code.
 *
 * @category errors
 * @since 0.1.0
 */
export class MigrationFailed extends Schema.TaggedError<MigrationFailed>()("MigrationFailed", {
  message: Schema.String
}) {}
