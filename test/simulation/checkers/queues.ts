/**
 * Every work queue gets every message of its hook, from when the first process that has it is up: one delivery each, as many
 * queues as there may be on one hook, and no other receiver's; and the handler that saw it is the one that it is for.
 */
import { providerOf, queues as all } from "../Shop.ts"
import type { Checker } from "./index.ts"

export const queues: Checker = function*({ deliveries, entries, messages, subscriptions }, ledger) {
  const up = entries.findIndex((entry) => entry._tag === "Runner" && entry.what === "up")
  if (up < 0) return
  for (const { hook, workerGroup } of all) {
    const own = subscriptions.filter(({ providerId }) => providerId === providerOf(workerGroup))
    if (own.length !== 1) yield `${workerGroup} has ${own.length} subscriptions`
    const ids = new Set(own.map(({ id }) => id))
    const found = Map.groupBy(
      deliveries.filter(({ delivery }) => ids.has(delivery.subscriptionId)),
      ({ delivery }) => delivery.messageId
    )
    for (const { eventId, id, state } of messages) {
      const isFirm = ledger.routed.get(id)?.some(({ at }) => at > up) === true
      const count = found.get(id)?.length ?? 0
      const expected = eventId === `shop.${hook.id}` && state._tag === "Routed" ? 1 : 0
      if (count > expected || (isFirm && count < expected)) {
        yield `${workerGroup} has ${count} deliveries of ${id}, a message of ${eventId}`
      }
    }
  }
}
