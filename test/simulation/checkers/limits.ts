/**
 * The limits of a subscription hold in the whole cluster: no more attempts of it are under way at once, and no more begin in
 * a time. Where runners are killed or frozen, what they had begun may go on unseen, and what they begin may be late.
 */
import * as RateLimit from "../../../src/RateLimit.ts"
import { isCalm } from "../Plan.ts"
import type { Checker } from "./index.ts"

export const limits: Checker = function*({ entries, plan }, ledger) {
  const atOnce = ledger.constant(({ maxConcurrency }) => maxConcurrency)
  const inFlight = new Map<number, { readonly subscriptionId: string; readonly runner: string }>()
  for (const entry of entries) {
    if (entry._tag === "Ended") inFlight.delete(entry.attempt)
    if (entry._tag !== "Begun") continue
    const { attempt, runner, subscriptionId } = entry
    inFlight.set(attempt, { subscriptionId, runner })
    const limit = atOnce.get(subscriptionId)
    if (limit === undefined) continue
    const count = [...inFlight.values()].filter((one) =>
      one.subscriptionId === subscriptionId && (isCalm(plan) || one.runner === runner)
    ).length
    if (count > limit) {
      yield `${count} attempts of ${subscriptionId} were under way at once`
    }
  }
  const slackMs = isCalm(plan) ? 50 : plan.limits.leaseMs + 500
  for (const [id, limit] of ledger.constant(({ rateLimit }) => rateLimit)) {
    const times = ledger.attempts.filter(({ subscriptionId }) => subscriptionId === id).map(({ atMs }) => atMs)
    const burst = limit.burst ?? limit.messages
    for (const [i, from] of times.entries()) {
      for (const [j, to] of times.entries()) {
        if (j > i && j - i + 1 > burst + (to - from + slackMs) / RateLimit.costMs(limit)) {
          yield `${j - i + 1} attempts of ${id} began in ${to - from} ms`
        }
      }
    }
  }
}
