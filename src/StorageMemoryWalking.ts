/**
 * Walking in memory: a page looks at a bounded number of items, whatever the filter leaves of them, as it does in a database.
 */
import { Clock, Effect } from "effect"
import type { Delivery } from "./Delivery.ts"
import type { DeliveryFilter, Walked, Walking, WalkPage } from "./Storage.ts"
import { fits as isEntry } from "./StorageMemoryAuditing.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of walking.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Walking => ({
  walkDeliveries: (filter, page) =>
    Effect.map(
      Clock.currentTimeMillis,
      (nowMs) =>
        walk(
          [...tables.work.keys(), ...tables.finished.keys()].flatMap((id) => {
            const delivery = tables.delivery(id, nowMs)
            return delivery && isOf(delivery, filter) ? [delivery] : []
          }),
          page,
          (delivery) => fits(delivery, filter)
        )
    ),
  walkAudit: (filter, page) =>
    Effect.sync(() =>
      walk(tables.audit.filter((entry) => isOf(entry, filter)), page, (entry) => isEntry(entry, filter))
    )
})

/**
 * Whether a delivery is one of those that are asked for.
 *
 * @category guards
 * @since 0.1.0
 */
export const fits = (delivery: Delivery, filter: DeliveryFilter): boolean =>
  (filter.tenantId === undefined || delivery.tenantId === filter.tenantId) &&
  (filter.subscriptionId === undefined || delivery.subscriptionId === filter.subscriptionId) &&
  (filter.subscriptionIds === undefined || filter.subscriptionIds.includes(delivery.subscriptionId)) &&
  (filter.eventId === undefined || delivery.eventId === filter.eventId) &&
  (filter.messageId === undefined || delivery.messageId === filter.messageId) &&
  (filter.status === undefined || delivery.status === filter.status) &&
  (filter.reason === undefined || delivery.reason === filter.reason) &&
  (filter.fromMs === undefined || delivery.createdAtMs >= filter.fromMs) &&
  (filter.toMs === undefined || delivery.createdAtMs <= filter.toMs)

// --- internal ---

/** What is another tenant's is not looked at: a page would tell how much there is of it. */
const isOf = (item: { readonly tenantId: string }, { tenantId }: { readonly tenantId?: string }) =>
  tenantId === undefined || item.tenantId === tenantId

const walk = <A extends { readonly id: string }>(
  stored: ReadonlyArray<A>,
  { cursor, limit, look }: WalkPage,
  isMeant: (item: A) => boolean
): Walked<A> => {
  const below = stored.filter(({ id }) => cursor === undefined || id < cursor).sort((a, b) => a.id < b.id ? 1 : -1)
  const found = below.slice(0, look).filter(isMeant)
  const last = found.length > limit ? found[limit - 1] : below[look - 1]
  return { items: found.slice(0, limit), next: last?.id }
}
