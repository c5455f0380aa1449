/**
 * Guarantees 4 and 10: a message is routed once, to just those subscriptions that want it as they are at that moment, or, where
 * it was delivered ahead of that, as they were at one since it was read; whether enabled or not. Only one whose transform throws is
 * set aside.
 */
import type { Subscription } from "../../../src/Subscription.ts"
import { numberOf } from "../Receivers.ts"
import { isPoisonous } from "../Shop.ts"
import type { Checker } from "./index.ts"

export const routing: Checker = function*({ messages }, ledger) {
  for (const { eventId, id, payloadJson } of messages) {
    const routed = ledger.routed.get(id) ?? []
    const n = numberOf(payloadJson)
    if (routed.length > 1) yield `${id} was routed ${routed.length} times`
    for (const { at, deliveries, isBegun, runner, setAside } of routed) {
      const isAside = eventId === "shop.sent" && isPoisonous(n)
      if (setAside !== isAside) yield `${id} was ${setAside ? "" : "not "}set aside`
      const expectedAt = (place: number) => {
        const all = isAside ? [] : [...ledger.subscriptionsAt(place).values()]
        return all.filter((one) => wants(one, eventId, n)).map((one) => one.id).sort().join()
      }
      const read = ledger.reads.get(id)?.findLast((one) => one.at < at && one.runner === runner)?.at ?? at
      const since = isBegun ? ledger.saved.filter((one) => one.at > read && one.at < at).map((one) => one.at) : []
      const found = deliveries.map((delivery) => delivery.subscriptionId).sort().join()
      const expected = [isBegun ? read : at, ...since].map(expectedAt)
      if (!expected.includes(found)) yield `${id} went to ${found} and not to ${expected.join(" or ")}`
    }
  }
}

// --- internal ---

/** Told apart from the code that matches: by hand, for the few patterns and filters that the workload uses. */
const wants = ({ events, filter }: Subscription, eventId: string, n: number): boolean =>
  events.some((pattern) =>
    pattern === eventId ||
    (eventId.startsWith("hookline.") ? pattern === "hookline.*" : pattern === "*" || pattern === "shop.*")
  ) &&
  (filter === undefined || holds(JSON.stringify(filter), n))

const holds = (filter: string, n: number): boolean => {
  // Hookline's own events have no number: only what is not so holds.
  if (n < 0) return filter.includes("not")
  if (filter.includes("lessThan")) return n < 20
  if (filter.includes("atLeast")) return n >= 10
  return ![1, 2, 3, 5, 8, 13, 21].includes(n)
}
