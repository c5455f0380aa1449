/**
 * What every process may hear, in memory.
 */
import { Effect } from "effect"
import type { Broadcast, Broadcasting } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of broadcasting.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Broadcasting => ({
  listen: (workerGroups) =>
    Effect.clockWith((clock) =>
      Effect.sync(() =>
        workerGroups.map((workerGroup) => {
          const channel = tables.channels.get(workerGroup) ?? { position: 0, listenedAtMs: 0, messages: [] }
          channel.listenedAtMs = clock.currentTimeMillisUnsafe()
          tables.channels.set(workerGroup, channel)
          return { workerGroup, position: channel.position }
        })
      )
    ),
  hear: (cursors, limit) =>
    Effect.sync(() =>
      cursors.flatMap(({ position, workerGroup }, cursor) =>
        (tables.channels.get(workerGroup)?.messages ?? [])
          .filter((one) => one.position > position)
          .slice(0, limit)
          .map((one): Broadcast => ({ cursor, position: one.position, message: one.stored.message }))
      )
    )
})
