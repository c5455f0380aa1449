/**
 * Guarantee 4: once a change of a subscription was answered, no attempt begins under an older version of it; and every
 * attempt uses the configuration of the version that it was claimed under, which is an enabled one.
 */
import type { SubscriptionId } from "../../../src/Id.ts"
import { revisionOf } from "../Shop.ts"
import type { Checker } from "./index.ts"

export const binding: Checker = function*({ entries }, ledger) {
  const bound = new Map<SubscriptionId, number>()
  let next = 0
  for (const [at, entry] of entries.entries()) {
    if (entry._tag === "Changed" && entry.bound) {
      const { subscriptionId, version } = entry.bound
      bound.set(subscriptionId, Math.max(version, bound.get(subscriptionId) ?? 0))
    }
    const attempt = ledger.attempts[next]
    if (attempt?.at !== at) continue
    next++
    if (!attempt.claim) continue
    const { subscriptionId } = attempt
    const { version } = attempt.claim
    const least = bound.get(subscriptionId) ?? 0
    const what = `attempt ${attempt.attempt} of ${attempt.deliveryId}`
    if (version < least) yield `${what} began under version ${version} of ${subscriptionId} after ${least} was answered`
    const subscription = ledger.version(subscriptionId, version)
    if (subscription?.enabled !== true) yield `${what} was claimed for ${subscriptionId} while it was not enabled`
    else if (revisionOf(subscription) !== attempt.revision) {
      yield `${what} used revision ${attempt.revision} of a configuration whose version ${version} is another`
    }
  }
}
