/**
 * Shares: how a runner's memory and slots are divided among tenants that want them. Each may have an equal part, and what
 * others do not use of theirs.
 */
import type { Lane } from "./Lane.ts"

/**
 * How much each tenant may have of `total`: what the others leave of it, who are left an equal part as far as they want it.
 */
export const divide = <Tenant>(
  total: number,
  wanted: ReadonlyMap<Tenant, number>
): (tenant: Tenant) => number => {
  const part = Math.floor(total / Math.max(1, wanted.size))
  let claimed = 0
  for (const count of wanted.values()) claimed += Math.min(part, count)
  return (tenant) => Math.max(part, total - claimed + Math.min(part, wanted.get(tenant) ?? 0))
}

/** Lanes of different tenants in turn, those of one tenant in their order. */
export const inTurn = (lanes: Iterable<Lane>, tenantOf: (lane: Lane) => string): ReadonlyArray<Lane> => {
  const found: Array<Lane> = []
  let queues = [...Map.groupBy(lanes, tenantOf).values()]
  // Most runners have one tenant, and may have very many lanes of it.
  if (queues.length <= 1) return queues[0] ?? []
  for (let n = 0; queues.length > 0; n++) {
    for (const queue of queues) found.push(...queue.slice(n, n + 1))
    queues = queues.filter((queue) => queue.length > n + 1)
  }
  return found
}
