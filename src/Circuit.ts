/**
 * The circuit of an endpoint, pure: when it fails, its deliveries wait instead of burning their attempts, and one of them is
 * sent now and then to see whether it is back.
 *
 * ```
 * closed ──▶ open ──▶ half-open ──▶ closed      open: nothing is sent; half-open: one attempt at a time, the probe
 *              ▲          │
 *              └──────────┘ each time for twice as long
 * ```
 */
import type { Limits } from "./Limits.ts"

/**
 * What an attempt says of its endpoint: it took the message, it answered and refused it, or it failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Sign = "accepted" | "refused" | "failed"

/**
 * A circuit, with what it has to know of the attempts so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Circuit {
  /** Failures since the last attempt that was answered. */
  readonly failures: number
  /** When the first attempt began that was not accepted, with none accepted since. */
  readonly failingSinceMs: number | undefined
  /** How often it opened since it was closed. */
  readonly opens: number
  /** Until when nothing is sent; undefined while it is closed. */
  readonly openUntilMs: number | undefined
  /** Whether people were warned that nothing is accepted any more. */
  readonly warned: boolean
  /** The attempts of a while, for the share that failed. */
  readonly sample: { readonly sinceMs: number; readonly attempts: number; readonly failed: number }
}

const none = { sinceMs: 0, attempts: 0, failed: 0 }

/**
 * The circuit of an endpoint that nothing is known of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const closed: Circuit = {
  failures: 0,
  failingSinceMs: undefined,
  opens: 0,
  openUntilMs: undefined,
  warned: false,
  sample: none
}

/** @category models @since 0.1.0 */
export type State = "closed" | "open" | "half-open"

/**
 * The state of a circuit at a time.
 *
 * @category accessors
 * @since 0.1.0
 */
export const stateAt = (self: Pick<Circuit, "openUntilMs">, nowMs: number): State =>
  self.openUntilMs === undefined ? "closed" : self.openUntilMs > nowMs ? "open" : "half-open"

/**
 * Takes a circuit one step, by an attempt that began at `startedAtMs` and ended at `nowMs`.
 *
 * **Details**
 *
 * It opens after `circuitFailures` failures in a row over `circuitFailingMs` or longer, when `circuitFailedShare` of at least
 * `circuitSampleAttempts` attempts failed within `circuitSampleMs`, or when its probe fails: for `circuitOpenMs`, twice as long
 * each time, up to `circuitOpenCapMs`. Any answer closes it: an endpoint that refuses a message is there.
 *
 * @category rules
 * @since 0.1.0
 */
export const step = (
  self: Circuit,
  sign: Sign,
  { nowMs, startedAtMs }: { readonly nowMs: number; readonly startedAtMs: number },
  limits: Pick<Limits, LimitsNeeded>
): Circuit => {
  const before = nowMs - self.sample.sinceMs > limits.circuitSampleMs ? { ...none, sinceMs: nowMs } : self.sample
  const sample = { ...before, attempts: before.attempts + 1, failed: before.failed + (sign === "failed" ? 1 : 0) }
  if (sign === "accepted") return { ...closed, sample: self.opens > 0 ? none : sample }
  const failingSinceMs = Math.min(self.failingSinceMs ?? startedAtMs, startedAtMs)
  if (sign === "refused") return { ...closed, failingSinceMs, warned: self.warned, sample }
  const failures = self.failures + 1
  const failed = { ...self, failures, failingSinceMs, sample }
  const isDue = stateAt(self, nowMs) === "half-open" ||
    (failures >= limits.circuitFailures && nowMs - failingSinceMs >= limits.circuitFailingMs) ||
    (sample.attempts >= limits.circuitSampleAttempts && sample.failed >= sample.attempts * limits.circuitFailedShare)
  if (!isDue || stateAt(self, nowMs) === "open") return failed
  return {
    ...failed,
    opens: self.opens + 1,
    openUntilMs: nowMs + Math.min(limits.circuitOpenCapMs, limits.circuitOpenMs * 2 ** Math.min(self.opens, 30)),
    sample: none
  }
}

// --- internal ---

type LimitsNeeded =
  | "circuitFailures"
  | "circuitFailingMs"
  | "circuitSampleMs"
  | "circuitSampleAttempts"
  | "circuitFailedShare"
  | "circuitOpenMs"
  | "circuitOpenCapMs"
