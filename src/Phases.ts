/**
 * Where the time of an attempt went: the phases of its last request.
 */
import { Schema } from "effect"
import { told } from "./Told.ts"

/**
 * The phases, in milliseconds; one that a request did not have is left out: one on a connection that was open already looked no
 * name up and connected to nothing.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Phases = Schema.Struct({
  lookupMs: Schema.optionalKey(Schema.Finite).pipe(told("Until the name was resolved")),
  connectMs: Schema.optionalKey(Schema.Finite).pipe(told("From then until the connection was made")),
  tlsMs: Schema.optionalKey(Schema.Finite).pipe(told("From then until TLS was agreed on")),
  firstByteMs: Schema.optionalKey(Schema.Finite).pipe(told("From when the request went out until the answer began")),
  totalMs: Schema.optionalKey(Schema.Finite).pipe(told("From the beginning to the end of it all"))
}).annotate({ identifier: "Phases" })
/** @category models @since 0.1.0 */
export type Phases = typeof Phases.Type
