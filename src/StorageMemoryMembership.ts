/**
 * Who is there, in memory.
 */
import { Clock, Effect } from "effect"
import { timeOf } from "./Id.ts"
import type { Member } from "./Member.ts"
import type { Membership } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of membership.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Membership => ({
  announce: (runnerId, announcement) =>
    Effect.sync(() => {
      if (tables.leases.has(runnerId)) tables.announced.set(runnerId, announcement)
    }),
  members: Effect.map(Clock.currentTimeMillis, (nowMs) =>
    [...tables.leases].map(([id, leaseUntilMs]): Member => ({
      id,
      alive: leaseUntilMs > nowMs,
      leaseUntilMs,
      dispatchers: tables.ownedBy(id).size,
      announced: tables.announced.get(id)
    })).sort((a, b) => a.id < b.id ? -1 : 1)),
  owners: ({ runnerId }, { cursor, limit }) =>
    Effect.sync(() =>
      tables.owners()
        .filter((owned) => runnerId === undefined || owned.runnerId === runnerId)
        .filter((owned) => cursor === undefined || owned.workerGroup > cursor)
        .sort((a, b) => a.workerGroup < b.workerGroup ? -1 : 1)
        .slice(0, limit)
        .map(({ epoch, partition, runnerId, workerGroup }) => ({ workerGroup, partition, epoch, runnerId }))
    ),
  oldestUnroutedMs: Effect.sync(() => {
    let oldest: number | undefined
    for (const inbox of tables.inboxes.values()) {
      const [first] = inbox.first(1)
      if (!first) continue
      const atMs = timeOf(first.message.id)
      oldest = Math.min(oldest ?? atMs, atMs)
    }
    return oldest
  }),
  neededProviders: Effect.sync(() =>
    [...Map.groupBy([...tables.subscriptions.values()].filter((item) => item.enabled), (item) => item.providerId)]
      .map(([providerId, items]) => ({ providerId, subscriptions: items.length }))
      .sort((a, b) => a.providerId < b.providerId ? -1 : 1)
  )
})
