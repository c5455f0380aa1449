/**
 * The errors of the persistence seam, as data, so that the interface of hooks can name them without knowing the seam.
 */
import { Schema } from "effect"

/**
 * The database could not be reached, did not answer in time or is not writable; nothing was changed, or for a verb of the
 * engine: whatever was changed is found again.
 *
 * @category errors
 * @since 0.1.0
 */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>()("StorageUnavailable", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * The database refused a row for what is in it: the fault is in the message.
 *
 * @category errors
 * @since 0.1.0
 */
export class RowRefused extends Schema.TaggedError<RowRefused>()("RowRefused", { message: Schema.String }) {}

/**
 * The connection was lost between the commit and its answer: the message may or may not be stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", {
  message: Schema.String
}) {}
