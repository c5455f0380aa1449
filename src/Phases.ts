/**
 * Where the time of an attempt went: the phases of its last request. Whoever makes an attempt provides a place to note them in;
 * the door to the outside fills it, so that no provider has to pass them on, and they are known of a request that failed.
 */
import { Context, Schema } from "effect"

/**
 * The phases, in milliseconds; one that a request did not have is left out: one on a connection that was open already looked no
 * name up and connected to nothing.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Phases = Schema.Struct({
  /** Until the name was resolved. */
  lookupMs: Schema.optionalKey(Schema.Finite),
  /** From then until the connection was made. */
  connectMs: Schema.optionalKey(Schema.Finite),
  /** From then until TLS was agreed on. */
  tlsMs: Schema.optionalKey(Schema.Finite),
  /** From when the request went out until the answer began. */
  firstByteMs: Schema.optionalKey(Schema.Finite),
  /** From the beginning to the end of it all. */
  totalMs: Schema.optionalKey(Schema.Finite)
}).annotate({ identifier: "Phases" })
/** @category models @since 0.1.0 */
export type Phases = typeof Phases.Type

/**
 * A place to note phases in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Note {
  phases: Phases | undefined
}

/**
 * Where the requests of the present fiber note their phases; nowhere unless it is provided.
 *
 * @category services
 * @since 0.1.0
 */
export const Note = Context.Reference<Note | undefined>("hookline/Phases/Note", { defaultValue: () => undefined })
