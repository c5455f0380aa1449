/**
 * How much there is of what waits, in memory.
 */
import { Clock, Effect } from "effect"
import type { Measuring } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verb of measuring.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Measuring => ({
  depths: (counted) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      const atMost = (found: number) => Math.min(counted, found)
      const states = Map.groupBy(tables.messages.values(), ({ state }) => state._tag)
      const claimed = [...tables.work.values()].filter(({ epoch }) => epoch !== undefined).length
      const failing = tables.healths.of()
      return {
        unrouted: atMost(states.get("Unrouted")?.length ?? 0),
        setAside: atMost(states.get("SetAside")?.length ?? 0),
        waiting: atMost(tables.work.size - claimed),
        claimed: atMost(claimed),
        failing: atMost(failing.length),
        open: atMost(failing.filter(({ openUntilMs = 0 }) => openUntilMs > nowMs).length),
        partitionsAheadSeconds: Number.POSITIVE_INFINITY
      }
    })
})
