/**
 * Guarantee 2: a receiver sees a message again only when it failed, by the record, or when its outcome was lost with its
 * owner; never where nothing went wrong with a runner, the database or an endpoint. All that it sees of a message, it sees as one
 * delivery.
 */
import type { DeliveryId } from "../../../src/Id.ts"
import { isCalm } from "../Plan.ts"
import type { Checker } from "./index.ts"

export const duplicates: Checker = function*({ plan }, ledger) {
  for (const account of ledger.accounts.values()) {
    for (const [n, attempt] of account.attempts.entries()) {
      const before = account.attempts[n - 1]
      if (!before?.claim || !attempt.claim) continue
      const { recorded } = before
      const isRecorded = recorded !== undefined && recorded.at < attempt.at
      const isRetried = account.retries.some((retry) => retry > before.at && retry < attempt.at)
      const what = `attempt ${attempt.attempt} of ${account.id} repeats ${before.attempt}`
      if (isRecorded && recorded.outcome.transition._tag === "Final" && !isRetried) {
        yield `${what}, whose outcome is final`
      } else if (!isRecorded && attempt.claim.epoch === before.claim.epoch) {
        yield `${what} under one epoch, though no outcome was recorded`
      } else if (isCalm(plan) && !isRetried && before.received?.accepted === true && before.received.at < attempt.at) {
        yield `${what}, though it was accepted and nothing went wrong`
      }
    }
  }
  const pairs = new Map<string, DeliveryId>()
  for (const { deliveryId, messageId, subscriptionId } of ledger.attempts) {
    const pair = `${messageId} to ${subscriptionId}`
    const known = pairs.get(pair) ?? deliveryId
    pairs.set(pair, known)
    if (known !== deliveryId) yield `${deliveryId} brings ${pair}, as ${known} does`
  }
}
