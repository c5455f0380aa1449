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
          const nowMs = clock.currentTimeMillisUnsafe()
          // One that was forgotten meanwhile begins beyond where it ended.
          const group = tables.listened.get(workerGroup) ?? { position: nowMs, listenedAtMs: nowMs, messages: [] }
          group.listenedAtMs = nowMs
          tables.listened.set(workerGroup, group)
          return { workerGroup, position: group.position }
        })
      )
    ),
  hear: (cursors, limit) =>
    Effect.sync(() =>
      cursors.flatMap(({ position, workerGroup }, cursor) =>
        (tables.listened.get(workerGroup)?.messages ?? [])
          .filter((one) => one.position > position)
          .slice(0, limit)
          .map((one): Broadcast => ({ cursor, position: one.position, message: one.stored.message }))
      )
    )
})
