/**
 * An endpoint that is down is spared: what is due again is not claimed while the circuit is open that its record tells of,
 * unless it was closed by an answer or the subscription was changed. Of several outcomes that are recorded at once one that is
 * accepted says that the endpoint is there.
 */
import type { SubscriptionId } from "../../../src/Id.ts"
import type { Entry } from "../History.ts"
import type { Checker } from "./index.ts"

export const circuits: Checker = function*({ deliveries, entries }) {
  const subscriptionOf = new Map(deliveries.map(({ delivery }) => [delivery.id, delivery.subscriptionId]))
  const open = new Map<SubscriptionId, number>()
  let startMs: number | undefined
  for (const [at, entry] of entries.entries()) {
    if (entry._tag === "Saved") open.delete(entry.subscription.id)
    if (entry._tag === "Begun") startMs ??= entry.startedAtMs - entry.atMs
    if (entry._tag === "Recorded") {
      const { deliveryId, openUntilMs, sign } = entry.outcome
      const id = subscriptionOf.get(deliveryId)
      if (id === undefined) continue
      if (sign === "accepted" || sign === "refused") open.delete(id)
      const isThere = (one: Entry) =>
        one._tag === "Recorded" && one.outcome.sign === "accepted" && subscriptionOf.get(one.outcome.deliveryId) === id
      if (openUntilMs !== undefined && !batchOf(entries, at).some(isThere)) open.set(id, openUntilMs)
    }
    if (entry._tag !== "Claimed" || startMs === undefined) continue
    const { attemptCount, deliveryId, subscriptionId } = entry.claim.claimed
    // One that is new may be claimed as it is routed, by a runner that does not know.
    if (attemptCount > 0 && entry.atMs + startMs < (open.get(subscriptionId) ?? 0)) {
      yield `${deliveryId} was claimed while the circuit of ${subscriptionId} was open`
    }
  }
}

// --- internal ---

/** The outcomes that were recorded by one statement, of which the one at a place is. */
const batchOf = (entries: ReadonlyArray<Entry>, at: number): ReadonlyArray<Entry> => {
  const one = entries[at]
  const isSame = (other: Entry | undefined) =>
    one?._tag === "Recorded" && other?._tag === "Recorded" && other.atMs === one.atMs && other.runner === one.runner
  let [from, to] = [at, at]
  while (isSame(entries[from - 1])) from--
  while (isSame(entries[to + 1])) to++
  return entries.slice(from, to + 1)
}
