/**
 * Guarantee 3: no attempt begins after its runner's lease, counted from when the renewal was sent that was answered last, nor
 * after the lease was given back.
 */
import type { Checker } from "./index.ts"

export const leases: Checker = function*({ entries }) {
  const leased = new Map<string, number>()
  for (const entry of entries) {
    if (entry._tag === "Leased") leased.set(entry.runner, Math.max(entry.untilMs, leased.get(entry.runner) ?? 0))
    if (entry._tag === "LeaseReturned") leased.set(entry.runner, 0)
    if (entry._tag !== "Begun") continue
    const untilMs = leased.get(entry.runner) ?? 0
    if (entry.atMs >= untilMs) {
      yield `${entry.runner} began attempt ${entry.attempt} of ${entry.deliveryId} ${
        entry.atMs - untilMs
      } ms after its lease`
    }
  }
}
