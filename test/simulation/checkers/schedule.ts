/**
 * Guarantee 9: attempts are numbered without gaps, none begins before it is due, and due times and their number are what the
 * subscription's schedule says.
 */
import { defaults } from "../../../src/Limits.ts"
import type { Account } from "../Ledger.ts"
import { delaysOf } from "../Shop.ts"
import type { Checker } from "./index.ts"

export const schedule: Checker = function*({ deliveries, messages, subscriptions }, ledger) {
  for (const { attempts, delivery } of deliveries) {
    const numbers = attempts.map((attempt) => attempt.number)
    if (numbers.some((number, n) => number !== n + 1)) {
      yield `${delivery.id} has the attempts ${numbers.join(", ")} on record`
    }
  }
  const retries = new Map([
    ...ledger.saved.map(({ subscription }) => [subscription.id, delaysOf(subscription)] as const),
    ...subscriptions.map((subscription) => [subscription.id, delaysOf(subscription)] as const)
  ])
  const expiresAtMs = new Map(messages.map((message) => [message.id, message.expiresAtMs]))
  const expiryOf = new Map(deliveries.map(({ delivery: { id, messageId } }) => [id, expiresAtMs.get(messageId)]))
  const subscriptionOf = new Map(deliveries.map(({ delivery }) => [delivery.id, delivery.subscriptionId]))
  for (const account of ledger.accounts.values()) {
    const id = subscriptionOf.get(account.id)
    const delaysMs = (id === undefined ? undefined : retries.get(id)) ?? []
    yield* kept(account, delaysMs, expiryOf.get(account.id) ?? Number.POSITIVE_INFINITY)
  }
}

// --- internal ---

function* kept(account: Account, delaysMs: ReadonlyArray<number>, expiresAtMs: number): Generator<string> {
  for (const attempt of account.attempts) {
    const { at, number } = attempt
    if (attempt.claim && attempt.claim.claimed.attemptCount + 1 !== number) {
      yield `attempt ${attempt.attempt} of ${account.id} has the number ${number}`
    }
    const before = account.records.findLast((record) => record.at < at)
    const isRetried = account.retries.some((retry) => retry < at && retry > (before?.at ?? 0))
    if (!before || isRetried) continue
    const { transition } = before.outcome
    if (transition._tag === "Final") yield `${account.id} was attempted again after its final outcome`
    else if (attempt.claim && attempt.claim.at > before.at && attempt.startedAtMs < transition.dueAtMs) {
      yield `attempt ${number} of ${account.id} began before it was due`
    }
  }
  let failures = 0
  for (const [n, { at, outcome: { attempt, transition } }] of account.records.entries()) {
    const before = account.records[n - 1]?.at ?? 0
    if (account.renewals.some((retry) => retry > before && retry < at)) failures = 0
    if (attempt.outcome === "success" || attempt.outcome === "permanent" || attempt.outcome === "gone") continue
    const endedAtMs = attempt.startedAtMs + attempt.durationMs
    if (attempt.outcome !== "interrupted") failures++
    const delayMs = attempt.outcome === "interrupted" ? 0 : delaysMs[failures - 1]
    if (delayMs === undefined) {
      if (transition._tag !== "Final") yield `${account.id} goes on after its schedule is exhausted`
      continue
    }
    const dueAtMs = endedAtMs + Math.max(delayMs, Math.min(attempt.retryAfterMs ?? 0, defaults.retryAfterCapMs))
    // Retried by hand it does not expire any more.
    const mayExpire = dueAtMs >= expiresAtMs && transition._tag === "Final" && transition.reason === "expired"
    if (mayExpire) continue
    if (transition._tag !== "Retry") yield `${account.id} ended before its schedule was exhausted`
    else if (transition.dueAtMs !== dueAtMs) {
      yield `${account.id} is due at ${transition.dueAtMs} after attempt ${attempt.number}, not at ${dueAtMs}`
    }
  }
}
