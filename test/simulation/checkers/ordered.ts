/**
 * Guarantee 6: of an ordered subscription, what was stored before another message of its key was emitted is sent before it,
 * and not any more once that one is sent, whatever event it is of. What was retried by hand comes when it comes.
 */
import type { DeliveryId } from "../../../src/Id.ts"
import { numberOf } from "../Receivers.ts"
import { keyOf } from "../Shop.ts"
import type { Checker } from "./index.ts"

export const ordered: Checker = function*({ deliveries, entries, messages }, ledger) {
  const subscriptions = ledger.constant((subscription) => subscription.ordered ? true : undefined)
  if (subscriptions.size === 0) return
  const numbers = new Map(messages.map(({ id, payloadJson }) => [id, numberOf(payloadJson)]))
  const begun = new Map<number, number>()
  const stored = new Map<number, number>()
  for (const [at, entry] of entries.entries()) {
    if (entry._tag === "Emitting" && !begun.has(entry.n)) begun.set(entry.n, at)
    if (entry._tag === "Emitted" && entry.told === "stored" && !stored.has(entry.n)) stored.set(entry.n, at)
  }
  const sent = (id: DeliveryId) => {
    const { attempts, retries } = ledger.account(id)
    return attempts.filter((attempt) => attempt.at < (retries[0] ?? Number.POSITIVE_INFINITY)).map(({ at }) => at)
  }
  for (const id of subscriptions.keys()) {
    const own = deliveries.filter(({ delivery }) => delivery.subscriptionId === id).map(({ delivery }) => ({
      n: numbers.get(delivery.messageId) ?? -1,
      sent: sent(delivery.id)
    }))
    for (const earlier of own) {
      const last = earlier.sent.at(-1)
      for (const later of own) {
        const [first] = later.sent
        if (first === undefined || keyOf(earlier.n) !== keyOf(later.n)) continue
        const isBefore = (stored.get(earlier.n) ?? Number.POSITIVE_INFINITY) < (begun.get(later.n) ?? 0)
        if (isBefore && last !== undefined && first < last) yield `${id} was sent ${later.n} before ${earlier.n}`
      }
    }
  }
}
