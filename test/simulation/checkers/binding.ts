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
    const { revision, subscriptionId, versions } = attempt
    const least = bound.get(subscriptionId) ?? 0
    const binds = (version: number) => {
      const subscription = ledger.version(subscriptionId, version)
      return version >= least && subscription?.enabled === true && revisionOf(subscription) === revision
    }
    if (versions.length > 0 && !versions.some(binds)) {
      yield `attempt ${attempt.attempt} of ${attempt.deliveryId} began under version ${versions.join(" or ")} and ` +
        `revision ${revision} of ${subscriptionId}, where ${least} was answered`
    }
  }
}
