/**
 * The sums of deliveries. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { SubscriptionId } from "../Id.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Tally } from "../Tally.ts"

/** @category models @since 0.1.0 */
export interface CountFilter {
  readonly tenantId?: string
  readonly eventId?: string
  readonly providerId?: string
  readonly subscriptionId?: SubscriptionId
  /** Leaves out what work queues do. */
  readonly withoutWorkQueues?: boolean
}

/**
 * What was counted of deliveries since a time, and of those that are not finished.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly totals: Tally
  /** Those with the most deliveries, the most first. */
  readonly byEvent: ReadonlyArray<Tally & { readonly eventId: string }>
  readonly byProvider: ReadonlyArray<Tally & { readonly providerId: string }>
  readonly bySubscription: ReadonlyArray<
    Tally & { readonly subscriptionId: SubscriptionId; readonly providerId: string; readonly name: string }
  >
  /** By when it was recorded, oldest first; times in which nothing was are left out. */
  readonly series: ReadonlyArray<Tally & { readonly atMs: number }>
  readonly unfinished: {
    readonly pending: number
    readonly retrying: number
    /** Whether there may be more: not all were looked at. */
    readonly atLeast: boolean
  }
}

/**
 * Counting. The sums are kept by the verbs that record how deliveries end, and outlive what they count.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counting {
  /**
   * The sums since `fromMs`, which is when a step of time begins: steps of `Limits.statsFineStepMs` where `fine`, which are kept
   * for some hours, else of `Limits.statsStepMs`. Up to `top` of each kind; unfinished deliveries, of which `counted` are
   * looked at. A delivery is counted for its message's tenant; what is retried by hand is no longer counted as ended.
   */
  readonly count: (
    filter: CountFilter,
    options: { readonly fromMs: number; readonly fine: boolean; readonly top: number; readonly counted: number }
  ) => Effect.Effect<Counts, StorageUnavailable>
}
