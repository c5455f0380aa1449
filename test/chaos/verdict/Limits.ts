/**
 * Limits: a subscription's hold in the whole cluster, whichever runners route its messages and own its group one after the
 * other.
 *
 * Both are judged by when attempts began and ended as the runners recorded it: a receiver on a busy machine sees them later.
 */
import * as RateLimit from "../../../src/RateLimit.ts"
import type { Request } from "../Receivers.ts"
import { type Attempt, clockTolerance, type Evidence, type Finding } from "./Evidence.ts"
import type { Story } from "./Story.ts"

export const ofLimits = (evidence: Evidence, stories: ReadonlyArray<Story>): ReadonlyArray<Finding> => {
  const limited = limitedOf(evidence, stories)
  return [
    {
      what: "more attempts began in a time than their rate limit lets begin",
      of: limited.flatMap(({ attempts, rateLimit, receiver }) =>
        rateLimit === undefined ? [] : tooFast(rateLimit, attempts).map((what) => `${receiver}: ${what}`)
      )
    },
    {
      what: "more attempts were under way at once than their limit lets be",
      of: limited.flatMap(({ attempts, maxConcurrency, receiver }) =>
        maxConcurrency === undefined ?
          [] :
          atOnce(attempts).flatMap(({ attempt: { deliveryId, number }, count }) =>
            count > maxConcurrency ? [`${receiver}: ${count} with ${deliveryId} ${number}`] : []
          )
      )
    },
    {
      what: "a process had more requests open at once than their limit lets be",
      of: limited.flatMap(({ maxConcurrency, receiver, stories }) =>
        maxConcurrency === undefined ? [] : tooOpen(maxConcurrency, stories).map((what) => `${receiver}: ${what}`)
      )
    }
  ]
}

/** How far each limit was used. */
export const usedOf = (evidence: Evidence, stories: ReadonlyArray<Story>): ReadonlyArray<string> =>
  limitedOf(evidence, stories).flatMap(({ attempts, maxConcurrency, rateLimit, receiver }) => [
    ...(rateLimit === undefined ? [] : [
      `${receiver}: ${
        Math.max(0, ...windows(rateLimit, attempts).map(({ spent }) => spent)).toFixed(1)
      } beyond the rate, ` +
      `of ${burstOf(rateLimit)}`
    ]),
    ...(maxConcurrency === undefined ? [] : [
      `${receiver}: ${Math.max(0, ...atOnce(attempts).map(({ count }) => count))} at once, of ${maxConcurrency}`
    ])
  ])

// --- internal ---

const limitedOf = ({ subscriptions }: Evidence, stories: ReadonlyArray<Story>) => {
  const byId = Map.groupBy(stories, ({ delivery }) => delivery.subscriptionId)
  return subscriptions.filter(({ maxConcurrency, rateLimit }) =>
    maxConcurrency !== undefined || rateLimit !== undefined
  )
    .map((subscription) => {
      const own = byId.get(subscription.id) ?? []
      return { ...subscription, stories: own, attempts: own.flatMap(({ attempts }) => attempts) }
    })
}

const burstOf = ({ burst, messages }: RateLimit.RateLimit): number => burst ?? messages

/** For each attempt, the window that ends with it and in which most began beyond what the time makes up for. */
const windows = (rateLimit: RateLimit.RateLimit, attempts: ReadonlyArray<Attempt>) => {
  const costMs = RateLimit.costMs(rateLimit)
  let worst = { at: 0, fromMs: 0, lead: Number.POSITIVE_INFINITY }
  return attempts.map(({ startedAtMs }) => startedAtMs).toSorted((a, b) => a - b).map((timeMs, n) => {
    // It begins with the attempt that was least ahead of the rate.
    const lead = n - timeMs / costMs
    if (lead < worst.lead) worst = { at: n, fromMs: timeMs, lead }
    const count = n - worst.at + 1
    const forMs = timeMs - worst.fromMs
    return { count, forMs, spent: count - forMs / costMs }
  })
}

/**
 * In milliseconds: between when an attempt is counted and when it begins, its process may be held up, by a busy machine. A
 * frozen one begins nothing late, though that might be a lease later: freezes are longer than that. Of a killed one, what it
 * had claimed counts as begun, so its successor begins rather less.
 */
const slackMs = 500

/** In any window, no more begin than a burst and what the time between the first and the last makes up for. */
const tooFast = (rateLimit: RateLimit.RateLimit, attempts: ReadonlyArray<Attempt>): ReadonlyArray<string> =>
  windows(rateLimit, attempts).flatMap(({ count, forMs, spent }) =>
    spent > burstOf(rateLimit) + slackMs / RateLimit.costMs(rateLimit) ? [`${count} in ${forMs} ms`] : []
  )

/** In milliseconds: a process learns anew what the database's clock says, and may set its own back by as much. */
const learningMs = 20

/**
 * How many are under way when each attempt begins. What is recorded under one epoch is told by one clock; under another, by
 * another's. A request that a frozen or killed runner had begun may go on unseen beside others, but then it is not recorded:
 * what is, was over when the next epoch began.
 */
const atOnce = (attempts: ReadonlyArray<Attempt>) => {
  let open: ReadonlyArray<Attempt> = []
  return attempts.toSorted((a, b) => a.startedAtMs - b.startedAtMs).map((attempt) => {
    open = [
      ...open.filter(({ durationMs, epoch, startedAtMs }) =>
        startedAtMs + durationMs - (epoch === attempt.epoch ? learningMs : clockTolerance) > attempt.startedAtMs
      ),
      attempt
    ]
    return { attempt, count: open.length }
  })
}

/**
 * What receivers saw, which are also the requests of which no outcome was recorded: of one process, never more at once. A
 * request is open until it is answered, which is before its sender can begin the next. Not looked at is what was not answered
 * in full, or is of a delivery that timed out once: its sender may have given it up before the receiver came to know.
 */
const tooOpen = (limit: number, stories: ReadonlyArray<Story>): ReadonlyArray<string> => {
  const requests = stories.flatMap(({ attempts, requests }) =>
    attempts.some(({ outcome }) => outcome === "timeout" || outcome === "interrupted") ? [] : requests.filter(isWhole)
  )
  return [...Map.groupBy(requests, ({ process }) => process)].flatMap(([process, own]) => {
    let open: ReadonlyArray<Request> = []
    return own.toSorted((a, b) => a.atMs - b.atMs).flatMap((request) => {
      open = [...open.filter(({ atMs, endedAtMs = atMs }) => endedAtMs > request.atMs), request]
      return open.length > limit ? [`${open.length} of ${process} with ${request.deliveryId}`] : []
    })
  })
}

const isWhole = ({ full, status }: Request): boolean => full && status !== undefined
