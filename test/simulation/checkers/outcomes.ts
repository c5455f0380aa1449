/**
 * Guarantees 2 and 10: every delivery ends in one outcome, with a reason that its history bears out. What counts as delivered
 * was sent and accepted before that was recorded.
 */
import type { Delivery } from "../../../src/Delivery.ts"
import { defaults } from "../../../src/Limits.ts"
import type { Account } from "../Ledger.ts"
import type { Checker } from "./index.ts"

export const outcomes: Checker = function*({ deliveries, messages }, ledger) {
  const expiring = new Set(messages.filter((message) => message.expiresAtMs !== undefined).map((message) => message.id))
  const deleted = new Set(ledger.saved.filter((one) => one.deleted).map((one) => one.subscription.id))
  for (const account of ledger.accounts.values()) yield* once(account)
  for (const { attempts, delivery } of deliveries) {
    const account = ledger.account(delivery.id)
    if (account.records.length !== attempts.length) {
      yield `${delivery.id} has ${attempts.length} attempts, and ${account.records.length} were recorded`
    }
    const complaint = unfounded(delivery, attempts.at(-1)?.outcome, account, {
      isDeleted: deleted.has(delivery.subscriptionId),
      isSkipped: ledger.skipped.has(delivery.id),
      isExpiring: expiring.has(delivery.messageId)
    })
    if (complaint !== undefined) yield `${delivery.id} is ${delivery.status} (${delivery.reason}), but ${complaint}`
  }
  for (const { at, outcome, runner } of [...ledger.accounts.values()].flatMap((account) => account.records)) {
    if (outcome.attempt.outcome !== "success") continue
    const accepted = ledger.account(outcome.deliveryId).attempts.some((attempt) =>
      attempt.runner === runner && attempt.number === outcome.attempt.number && attempt.received?.accepted === true &&
      attempt.received.at < at && attempt.ended?.how === "success"
    )
    if (!accepted) yield `${outcome.deliveryId} was recorded as delivered before its receiver had accepted it`
  }
}

// --- internal ---

/** One final outcome, unless it was retried by hand since. */
function* once(account: Account): Generator<string> {
  let final: number | undefined
  for (const { at, outcome } of account.records) {
    const retried = account.retries.some((retry) => retry > (final ?? at) && retry < at)
    if (final !== undefined && !retried) yield `${account.id} has an outcome recorded after its final one`
    if (outcome.transition._tag === "Final") final = at
  }
}

const unfounded = (
  { reason, status }: Delivery,
  last: string | undefined,
  account: Account,
  { isDeleted, isExpiring, isSkipped }: {
    readonly isDeleted: boolean
    readonly isExpiring: boolean
    readonly isSkipped: boolean
  }
): string | undefined => {
  switch (status) {
    case "success":
      return last === "success" ? undefined : `its last attempt ended as ${last}`
    case "cancelled":
      if (reason === "skipped") return isSkipped ? undefined : "nobody skipped it"
      return isDeleted ? undefined : "its subscription was not deleted"
    case "failed": {
      if (reason === "crashed-owner") {
        const claims = account.claims.at(-1)?.claimed.claims ?? 0
        return claims >= defaults.crashedClaims ? undefined : `it was claimed ${claims} times`
      }
      if (reason === "expired") return isExpiring ? undefined : "its message does not expire"
      if (reason === "exhausted") return last === "retryable" || last === "timeout" ? undefined : `it ended as ${last}`
      return last === reason ? undefined : `its last attempt ended as ${last}`
    }
    default:
      return undefined
  }
}
