/**
 * How much there is of what waits, for the metrics. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { StorageUnavailable } from "../StorageError.ts"

/**
 * What waits in the whole cluster; each is counted up to a bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface Depths {
  /** Messages before the router, and those that were set aside. */
  readonly unrouted: number
  readonly setAside: number
  /** Unfinished deliveries that nobody has claimed, due or not, and those in runners' hands. */
  readonly waiting: number
  readonly claimed: number
  /** Subscriptions whose last attempt was not accepted, and those of them whose circuit is open. */
  readonly failing: number
  readonly open: number
  /** For how long there are partitions that take what comes, in seconds; without an end where there are none to be made. */
  readonly partitionsAheadSeconds: number
}

/**
 * Measuring.
 *
 * @category models
 * @since 0.1.0
 */
export interface Measuring {
  /** Counts what waits, up to `counted` of each. */
  readonly depths: (counted: number) => Effect.Effect<Depths, StorageUnavailable>
}
