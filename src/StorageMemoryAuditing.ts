/**
 * The audit log in memory.
 */
import { Effect } from "effect"
import type { AuditEntry } from "./AuditEntry.ts"
import type { AuditFilter, Auditing } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of the audit log.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Auditing => ({
  // No verb of administration fails half-way.
  atomically: (effect) => effect,
  audit: (entry) => Effect.sync(() => void tables.audit.push(entry)),
  listAudit: (filter, { cursor, limit }) =>
    Effect.sync(() =>
      tables.audit
        .filter((entry) => fits(entry, filter))
        .filter((entry) => cursor === undefined || entry.id < cursor)
        .sort((a, b) => a.id < b.id ? 1 : -1)
        .slice(0, limit)
    )
})

/**
 * Whether an entry is one of those that are asked for.
 *
 * @category guards
 * @since 0.1.0
 */
export const fits = (entry: AuditEntry, { action, actorId, resourceId, tenantId }: AuditFilter): boolean =>
  (tenantId ?? entry.tenantId) === entry.tenantId && (resourceId ?? entry.resourceId) === entry.resourceId &&
  (action ?? entry.action) === entry.action && (actorId === undefined || actorId === entry.actor.id)
