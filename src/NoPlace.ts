/**
 * The error of whoever finds no place among those that a runner has so many of: tests, and listeners.
 */
import { Schema } from "effect"

/**
 * Every place is taken, or the tenant's share of them: nothing was begun, and a moment later there may be one.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoPlace extends Schema.TaggedError<NoPlace>()("NoPlace", {
  /** It is the tenant's share: others would find a place. */
  ofTenant: Schema.Boolean,
  message: Schema.String
}) {}
