/**
 * The audit log, written with each change. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { AuditEntry } from "../AuditEntry.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Page } from "./Administration.ts"

/** @category models @since 0.1.0 */
export interface AuditFilter {
  readonly tenantId?: string
  readonly resourceId?: string
  readonly actorId?: string
  readonly action?: string
}

/**
 * The audit log.
 *
 * @category models
 * @since 0.1.0
 */
export interface Auditing {
  /** Runs verbs of administration as one transaction: all that they change, or nothing. */
  readonly atomically: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageUnavailable, R>
  /** Adds an entry, in the transaction of `atomically` where there is one. */
  readonly audit: (entry: AuditEntry) => Effect.Effect<void, StorageUnavailable>
  /** Entries, newest first. */
  readonly listAudit: (
    filter: AuditFilter,
    page: Page
  ) => Effect.Effect<ReadonlyArray<AuditEntry>, StorageUnavailable>
}
