/**
 * No attempt begins before its message is to be delivered, and none when it has expired, unless it is retried by hand.
 */
import type { Checker } from "./index.ts"

export const times: Checker = function*({ messages }, ledger) {
  const byId = new Map(messages.map((message) => [message.id, message]))
  for (const { at, attempt, deliveryId, messageId, startedAtMs } of ledger.attempts) {
    const { deliverAtMs = 0, expiresAtMs = Number.POSITIVE_INFINITY } = byId.get(messageId) ?? {}
    if (startedAtMs < deliverAtMs) {
      yield `attempt ${attempt} of ${deliveryId} began ${deliverAtMs - startedAtMs} ms too early`
    }
    const isRetried = ledger.account(deliveryId).retries.some((retry) => retry < at)
    if (startedAtMs >= expiresAtMs && !isRetried) {
      yield `attempt ${attempt} of ${deliveryId} began ${startedAtMs - expiresAtMs} ms after its message had expired`
    }
  }
}
