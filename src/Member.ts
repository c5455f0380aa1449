/**
 * A runner as the others see it: what it announces of itself, and the groups it owns.
 */
import { Schema } from "effect"
import type { RunnerId } from "./Id.ts"

/**
 * What a runner says of itself.
 *
 * @category models
 * @since 0.1.0
 */
export const Announcement = Schema.Struct({
  /** How other runners reach it; none in a cluster of one. */
  address: Schema.optionalKey(Schema.String),
  /** Of its Hookline. */
  version: Schema.String,
  startedAtMs: Schema.Number,
  /** Shards that it holds. */
  shards: Schema.Int,
  /** The events whose hooks it has the code of: it can route their messages. */
  events: Schema.Array(Schema.String),
  /** The providers whose code it has. */
  providers: Schema.Array(Schema.String)
})

/** @category models @since 0.1.0 */
export type Announcement = typeof Announcement.Type

/**
 * A runner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Member {
  readonly id: RunnerId
  /** Its lease is in force. */
  readonly alive: boolean
  readonly leaseUntilMs: number
  /** Worker groups that it owns. */
  readonly dispatchers: number
  /** None before it has said anything. */
  readonly announced: Announcement | undefined
}

/**
 * Who owns a worker group; nobody when it was given back.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ownership {
  readonly workerGroup: string
  readonly partition: number
  readonly epoch: number
  readonly runnerId: RunnerId | undefined
}
