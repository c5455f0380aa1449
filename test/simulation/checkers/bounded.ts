/**
 * Guarantee 7: a runner has no more attempts in flight than it has slots, all together and for each subscription, holds no
 * more claims than its window and one claim, which a route may overtake, and has one suspect at a time.
 */
import type { DeliveryId } from "../../../src/Id.ts"
import type { Entry } from "../History.ts"
import { isCalm } from "../Plan.ts"
import type { Checker } from "./index.ts"

export const bounded: Checker = function*({ entries, plan }, ledger) {
  // Where answers are lost there are claims that memory does not know.
  if (isCalm(plan)) yield* held(entries, plan.limits.window + plan.limits.claimDeliveries)
  const { firstSlots, laneSlots, slots, suspectClaims } = plan.limits
  const inFlight = new Map<number, { readonly runner: string; readonly lane: string; readonly isSuspect: boolean }>()
  const byNumber = new Map(ledger.attempts.map((attempt) => [attempt.attempt, attempt]))
  for (const entry of entries) {
    if (entry._tag === "Ended") inFlight.delete(entry.attempt)
    if (entry._tag !== "Begun") continue
    const { attempt, runner, subscriptionId: lane } = entry
    const isSuspect = (byNumber.get(attempt)?.claim?.claimed.claims ?? 0) > suspectClaims
    inFlight.set(attempt, { runner, lane, isSuspect })
    const own = [...inFlight.values()].filter((one) => one.runner === runner)
    const inLane = own.filter((one) => one.lane === lane).length
    const suspects = own.filter((one) => one.isSuspect).length
    if (own.length > slots + firstSlots) yield `${runner} has ${own.length} attempts in flight`
    if (inLane > laneSlots) yield `${runner} has ${inLane} attempts of ${lane} in flight`
    if (isSuspect && suspects > 1) yield `${runner} has ${suspects} suspects in flight`
  }
}

// --- internal ---

/** What a runner has claimed and neither recorded nor given back: it is in its memory. */
function* held(entries: ReadonlyArray<Entry>, window: number): Generator<string> {
  const holders = new Map<DeliveryId, string>()
  for (const entry of entries) {
    if (entry._tag === "Recorded") holders.delete(entry.outcome.deliveryId)
    if (entry._tag === "Released") holders.delete(entry.deliveryId)
    if (entry._tag !== "Claimed") continue
    const { claimed, runner } = entry.claim
    holders.set(claimed.deliveryId, runner)
    const count = [...holders.values()].filter((holder) => holder === runner).length
    if (count > window) yield `${runner} holds ${count} claims`
  }
}
