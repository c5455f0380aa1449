/**
 * Lists that may be long, in bounded steps. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { AuditEntry } from "../AuditEntry.ts"
import type { Delivery } from "../Delivery.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { DeliveryFilter, Page } from "./Administration.ts"
import type { AuditFilter } from "./Auditing.ts"

/**
 * A page of a walk, which looks at no more than so many stored items of a kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface WalkPage extends Page {
  readonly look: number
}

/**
 * What a walk found. `next` is the cursor of where the next page goes on, also where this one is short or empty; none at the end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Walked<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | undefined
}

/**
 * Lists that may be long, in bounded steps: where a filter leaves little of what is stored, a page may be short.
 *
 * @category models
 * @since 0.1.0
 */
export interface Walking {
  /** As `listDeliveries`, which reads on until its page is full. */
  readonly walkDeliveries: (
    filter: DeliveryFilter,
    page: WalkPage
  ) => Effect.Effect<Walked<Delivery>, StorageUnavailable>
  /** As `listAudit`, which reads on until its page is full. */
  readonly walkAudit: (filter: AuditFilter, page: WalkPage) => Effect.Effect<Walked<AuditEntry>, StorageUnavailable>
}
