/**
 * How long history is kept, as rules and data: the terms, the days they leave, and what bounds the life of a delivery so
 * that it stays within them.
 */
import { DateTime } from "effect"
import { defaults, type Limits } from "./Limits.ts"

/**
 * A day in milliseconds: history is kept and dropped by whole days, in UTC.
 *
 * @category constants
 * @since 0.1.0
 */
export const dayMs = 24 * 60 * 60 * 1000

/**
 * The longest term, in days.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDays = defaults.historyKeptMaxMs / dayMs

/**
 * For how long history is kept, and attempts, which never outlast it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terms {
  readonly historyKeptMs: number
  readonly attemptsKeptMs: number
}

/**
 * A tenant's shorter term, after which the bodies of its messages are emptied.
 *
 * @category models
 * @since 0.1.0
 */
export interface TenantTerm {
  readonly tenantId: string
  readonly keptDays: number
}

/**
 * The terms that limits come to: at least a day, and attempts no longer than what they are attempts of.
 *
 * @category rules
 * @since 0.1.0
 */
export const termsOf = (limits: Pick<Limits, "historyKeptMs" | "attemptsKeptMs">): Terms => {
  const historyKeptMs = clamped(limits.historyKeptMs, defaults.historyKeptMaxMs)
  return { historyKeptMs, attemptsKeptMs: clamped(limits.attemptsKeptMs, historyKeptMs) }
}

/**
 * The limits that counts of days come to, where they are said.
 *
 * @category rules
 * @since 0.1.0
 */
export const limitsOf = ({ attemptsDays, historyDays }: {
  readonly historyDays?: number
  readonly attemptsDays?: number
}): Partial<Pick<Limits, "historyKeptMs" | "attemptsKeptMs">> => ({
  ...(historyDays === undefined ? {} : { historyKeptMs: historyDays * dayMs }),
  ...(attemptsDays === undefined ? {} : { attemptsKeptMs: attemptsDays * dayMs })
})

/**
 * What bounds the life of a delivery, within the term of history.
 *
 * **Details**
 *
 * A delivery lives from when its message was emitted until it has ended, and its days are not dropped before that. So that
 * none is held back for long, each part of such a life is at most as long as history is kept: how far ahead a message may
 * be delivered, how long a retry schedule goes on, whatever it says and however far it is with its attempts, and how long
 * a delivery is held for a disabled subscription. An expiry only shortens a life. Idempotency keys and broadcasts are kept
 * for a day at most, the shortest term there is.
 *
 * **Gotchas**
 *
 * The parts add up, and what is retried or replayed by hand begins anew: a delivery may be older than the term, and then
 * holds its days until it has ended.
 *
 * @category rules
 * @since 0.1.0
 */
export const within = (
  limits: Pick<Limits, "historyKeptMs" | "attemptsKeptMs" | "heldMaxAgeMs" | "deliverAheadMs">
): { readonly heldMaxAgeMs: number; readonly deliverAheadMs: number; readonly retryMaxAgeMs: number } => {
  const { historyKeptMs } = termsOf(limits)
  return {
    heldMaxAgeMs: Math.min(limits.heldMaxAgeMs, historyKeptMs),
    deliverAheadMs: Math.min(limits.deliverAheadMs, historyKeptMs),
    retryMaxAgeMs: historyKeptMs
  }
}

/**
 * The day of a time, as `2026-01-31`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const dayOf = (ms: number): string => DateTime.formatIsoDateUtc(DateTime.makeUnsafe(ms))

/**
 * When the first day begins that a term leaves now: what was made before it has expired.
 *
 * @category rules
 * @since 0.1.0
 */
export const firstMs = (nowMs: number, keptMs: number): number => Math.floor((nowMs - keptMs) / dayMs) * dayMs

// --- internal ---

const clamped = (keptMs: number, most: number): number => Math.min(Math.max(keptMs, dayMs), most)
