/**
 * How long history is kept, and what of it goes. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { TenantTerm, Terms } from "../Retention.ts"
import type { StorageUnavailable } from "../StorageError.ts"

/**
 * The tables of history, in the order in which a day of them is dropped.
 *
 * @category models
 * @since 0.1.0
 */
export type HistoryTable = "messages" | "routings" | "deliveries" | "attempts"

/**
 * What is stored of a table of history.
 *
 * @category models
 * @since 0.1.0
 */
export interface TableSize {
  readonly table: HistoryTable
  /** Days that it has a partition for, those made ahead too. */
  readonly partitions: number
  readonly oldestDay: string | undefined
  /** With its indexes. */
  readonly bytes: number
  /** As estimated. */
  readonly rows: number
}

/**
 * What needs a day that has expired: unfinished deliveries, messages that have not been routed or were set aside, or
 * messages that were broadcast lately.
 *
 * @category models
 * @since 0.1.0
 */
export type Holder = "unfinished" | "unrouted" | "set-aside" | "broadcast"

/**
 * A day that has expired and is still there.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExpiredDay {
  readonly day: string
  /** What is to go of it: all, or its attempts. */
  readonly of: "history" | "attempts"
  /** What holds it back, counted up to `Limits.retentionCounted`. */
  readonly heldBy: ReadonlyArray<{ readonly holder: Holder; readonly count: number }>
  /** Whether it is being dropped: it waits for transactions that may still read it. */
  readonly isDropping: boolean
}

/** @category models @since 0.1.0 */
export interface Retention {
  readonly tables: ReadonlyArray<TableSize>
  /** Oldest first. */
  readonly expired: ReadonlyArray<ExpiredDay>
}

/**
 * What was dropped.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dropped {
  readonly days: ReadonlyArray<Pick<ExpiredDay, "day" | "of">>
  /** The day that waits for others, with those after it: it is gone on with the next time. */
  readonly waiting: string | undefined
  /** Somebody else is at it, or migrates: nothing was done. */
  readonly isBusy: boolean
}

/**
 * Retention.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retaining {
  /** What is stored, and what has expired. */
  readonly retention: (terms: Terms) => Effect.Effect<Retention, StorageUnavailable>
  /**
   * Drops the days that have expired and that nothing needs: a day of history when no unfinished delivery was made on it
   * or is of a message of it, and no message of it is unrouted, set aside or was broadcast lately; a day of attempts when
   * no delivery that was made on it is unfinished, once. Meanwhile nothing of such a day is retried or replayed. No row is
   * ever deleted by itself, and nobody waits for it; what was interrupted is gone on with.
   */
  readonly dropExpired: (terms: Terms) => Effect.Effect<Dropped, StorageUnavailable>
  /**
   * Empties bodies whose tenant has a shorter term, up to `rows` messages of each: payloads, what a transform made of
   * them, what was sent and answered; of messages that nothing needs any more and that were routed more than `settledMs`
   * ago. What can't be emptied yet is looked at again later. Tells how many messages were emptied, and whether there may
   * be more.
   */
  readonly emptyBodies: (options: { readonly rows: number; readonly settledMs: number }) => Effect.Effect<
    { readonly emptied: number; readonly more: boolean },
    StorageUnavailable
  >
  /** The tenants' shorter terms, in the order of their tenants. */
  readonly tenantTerms: Effect.Effect<ReadonlyArray<TenantTerm>, StorageUnavailable>
  /** Sets a tenant's term, or ends it; tells what it was. What was emptied stays so. */
  readonly setTenantTerm: (
    tenantId: string,
    keptDays: number | undefined
  ) => Effect.Effect<number | undefined, StorageUnavailable>
}
