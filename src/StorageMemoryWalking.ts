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
        walk([...tables.work.keys(), ...tables.finished.keys()], page, (id) => id, (id) => {
          const delivery = tables.delivery(id, nowMs)
          return delivery && fits(delivery, filter) ? delivery : undefined
        })
    ),
  walkAudit: (filter, page) =>
    Effect.sync(() => walk(tables.audit, page, ({ id }) => id, (entry) => isEntry(entry, filter) ? entry : undefined))
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

const walk = <A, B>(
  stored: ReadonlyArray<A>,
  { cursor, limit, look }: WalkPage,
  idOf: (item: A) => string,
  read: (item: A) => B | undefined
): Walked<B> => {
  const below = stored.filter((item) => cursor === undefined || idOf(item) < cursor).sort((a, b) =>
    idOf(a) < idOf(b) ? 1 : -1
  )
  const found = below.slice(0, look).flatMap((item) => {
    const one = read(item)
    return one === undefined ? [] : [{ id: idOf(item), one }]
  })
  const next = found.length > limit
    ? found[limit - 1]?.id
    : below.length >= look
    ? idOfLast(below, look, idOf)
    : undefined
  return { items: found.slice(0, limit).map(({ one }) => one), next }
}

const idOfLast = <A>(items: ReadonlyArray<A>, look: number, idOf: (item: A) => string): string | undefined => {
  const item = items[look - 1]
  return item === undefined ? undefined : idOf(item)
}
