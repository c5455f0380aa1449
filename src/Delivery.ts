/**
 * The delivery state machine, pure: what an attempt's outcome makes of a delivery, and how the attempt is remembered. It
 * reads no clock and draws no randomness: times and the retry schedule's answer come in.
 *
 * ```
 * pending ──▶ retrying ──▶ success | failed
 *    │            │
 *    └────────────┴──────▶ cancelled        failed | cancelled ──▶ pending   (a manual retry)
 * ```
 */
import { Option, Schema, type Types } from "effect"
import { DeliveryId, MessageId, SubscriptionId } from "./Id.ts"
import { Phases } from "./Phases.ts"
import { type Delivered, type ProviderError, ResponseExcerpt, RetryableError } from "./Provider.ts"
import { RequestExcerpt } from "./RequestExcerpt.ts"

// -- models

/** @category schemas @since 0.1.0 */
export const DeliveryStatus = Schema.Literals(["pending", "retrying", "success", "failed", "cancelled"])
/** @category models @since 0.1.0 */
export type DeliveryStatus = typeof DeliveryStatus.Type

/**
 * Why a delivery is as it is: how it ended, or (`held`, `code-missing`, `blocked`, `circuit-open`) why it waits, which is
 * derived and not stored.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DeliveryReason = Schema.Literals([
  "exhausted",
  "permanent",
  "gone",
  "crashed-owner",
  "expired",
  "deleted",
  "skipped",
  "held",
  "code-missing",
  "blocked",
  "circuit-open"
])
/** @category models @since 0.1.0 */
export type DeliveryReason = typeof DeliveryReason.Type

/** @category schemas @since 0.1.0 */
export const AttemptOutcome = Schema.Literals(["success", "retryable", "permanent", "gone", "timeout", "interrupted"])
/** @category models @since 0.1.0 */
export type AttemptOutcome = typeof AttemptOutcome.Type

/**
 * An attempt as it is remembered.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AttemptRecord = Schema.Struct({
  /** 1 for the first. */
  number: Schema.Int,
  startedAtMs: Schema.Finite,
  durationMs: Schema.Finite,
  outcome: AttemptOutcome,
  statusCode: Schema.optionalKey(Schema.Int),
  error: Schema.optionalKey(Schema.Struct({ tag: Schema.String, message: Schema.String })),
  /** What was sent, where the provider tells. */
  request: Schema.optionalKey(RequestExcerpt),
  response: Schema.optionalKey(ResponseExcerpt),
  retryAfterMs: Schema.optionalKey(Schema.Finite),
  /** Where its time went, where that is known. */
  phases: Schema.optionalKey(Phases)
})
/** @category models @since 0.1.0 */
export type AttemptRecord = typeof AttemptRecord.Type

/**
 * An attempt without what was sent and answered, which is large and which only people look at.
 *
 * @category models
 * @since 0.1.0
 */
export type AttemptOutline = Omit<AttemptRecord, "request" | "response">

/**
 * The outline of an attempt.
 *
 * @category conversions
 * @since 0.1.0
 */
export const outline = (attempt: AttemptRecord): AttemptOutline => {
  const { request: _, response: __, ...rest } = attempt
  return rest
}

/**
 * A delivery as it is read.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Delivery = Schema.Struct({
  id: DeliveryId,
  messageId: MessageId,
  eventId: Schema.String,
  subscriptionId: SubscriptionId,
  tenantId: Schema.String,
  status: DeliveryStatus,
  reason: Schema.optionalKey(DeliveryReason),
  attemptCount: Schema.Int,
  nextAttemptAtMs: Schema.optionalKey(Schema.Finite),
  externalId: Schema.optionalKey(Schema.String),
  lastError: Schema.optionalKey(Schema.String),
  createdAtMs: Schema.Finite,
  completedAtMs: Schema.optionalKey(Schema.Finite)
})
/** @category models @since 0.1.0 */
export type Delivery = typeof Delivery.Type

/**
 * How an attempt ended.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Delivered"; readonly delivered: Delivered }
  | { readonly _tag: "Failed"; readonly error: ProviderError }
  /** Aborted by a stopping runner: the endpoint may have accepted it. */
  | { readonly _tag: "Interrupted" }

/**
 * What becomes of the delivery.
 *
 * @category models
 * @since 0.1.0
 */
export type Transition =
  | {
    readonly _tag: "Final"
    readonly status: "success" | "failed"
    readonly reason: DeliveryReason | undefined
    readonly externalId: string | undefined
    readonly lastError: string | undefined
  }
  | { readonly _tag: "Retry"; readonly dueAtMs: number; readonly lastError: string }

/**
 * The transition of a success.
 *
 * @category constructors
 * @since 0.1.0
 */
export const succeeded = (externalId: string | undefined): Transition => ({
  _tag: "Final",
  status: "success",
  reason: undefined,
  externalId,
  lastError: undefined
})

/**
 * What the state machine needs to know of a delivery.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly id: DeliveryId
  /** Attempts recorded before this one. */
  readonly attemptCount: number
  /** How many of them precede the last manual retry. */
  readonly retryBase: number
}

/** @category models @since 0.1.0 */
export interface Step {
  readonly transition: Transition
  readonly attempt: AttemptRecord
  readonly disableSubscription: boolean
}

// -- rules

/**
 * Takes a delivery one step, by the outcome of an attempt.
 *
 * **Details**
 *
 * A retryable failure is due again after the retry schedule's delay, or after the endpoint's `Retry-After` where that is
 * later, which is capped; without a delay (the schedule is exhausted), or where its message has expired by then, it is final.
 * An interrupted attempt is due at once.
 *
 * **Gotchas**
 *
 * What was interrupted, timed out or lost its connection may have been accepted: the endpoint can see it again, under the
 * same `webhook-id`.
 *
 * @category rules
 * @since 0.1.0
 */
export const step = (self: State, outcome: Outcome, context: {
  readonly nowMs: number
  readonly startedAtMs: number
  /** The retry schedule's delay after this failure, in milliseconds; undefined when it is exhausted. */
  readonly nextDelayMs: number | undefined
  readonly retryAfterCapMs: number
  readonly errorLength: number
  /** From when on no attempt begins, in milliseconds. */
  readonly expiresAtMs?: number | undefined
  /** What became known of the attempt while it was made. */
  readonly request?: AttemptRecord["request"] | undefined
  readonly phases?: AttemptRecord["phases"] | undefined
}): Step => {
  const { nowMs, phases, request, startedAtMs } = context
  // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
  const made: Types.Mutable<AttemptRecord> = { ...blank }
  made.number = self.attemptCount + 1
  made.startedAtMs = startedAtMs
  made.durationMs = Math.max(0, nowMs - startedAtMs)
  if (phases !== undefined) made.phases = phases
  if (request !== undefined) made.request = request
  if (outcome._tag === "Delivered") {
    const { externalId, response, statusCode } = outcome.delivered
    if (statusCode !== undefined) made.statusCode = statusCode
    if (response !== undefined) made.response = response
    return { transition: succeeded(externalId), attempt: made, disableSubscription: false }
  }
  if (outcome._tag === "Interrupted") {
    const message = "The runner stopped before the endpoint answered."
    return {
      transition: { _tag: "Retry", dueAtMs: nowMs, lastError: message },
      attempt: { ...made, outcome: "interrupted", error: { tag: "Interrupted", message } },
      disableSubscription: false
    }
  }
  const { error } = outcome
  const lastError = error.message.slice(0, context.errorLength)
  const attempt = { ...made, ...describe(error, lastError) }
  const failed = (reason: DeliveryReason): Transition => ({
    _tag: "Final",
    status: "failed",
    reason,
    externalId: undefined,
    lastError
  })
  switch (error._tag) {
    case "Permanent":
      return { transition: failed("permanent"), attempt, disableSubscription: false }
    case "Gone":
      return { transition: failed("gone"), attempt, disableSubscription: true }
    case "Retryable": {
      if (context.nextDelayMs === undefined) {
        return { transition: failed("exhausted"), attempt, disableSubscription: false }
      }
      const retryAfterMs = Math.min(Math.max(0, error.retryAfterMs ?? 0), context.retryAfterCapMs)
      const dueAtMs = nowMs + Math.max(context.nextDelayMs, retryAfterMs)
      if (dueAtMs >= (context.expiresAtMs ?? Number.POSITIVE_INFINITY)) {
        return { transition: failed("expired"), attempt, disableSubscription: false }
      }
      return { transition: { _tag: "Retry", dueAtMs, lastError }, attempt, disableSubscription: false }
    }
  }
}

/**
 * The typed error of a remembered attempt, to replay a retry schedule with; none for one that does not count, because it
 * succeeded or was interrupted.
 *
 * @category conversions
 * @since 0.1.0
 */
export const errorOf = (attempt: AttemptOutline): Option.Option<RetryableError> =>
  attempt.error === undefined || attempt.outcome === "interrupted"
    ? Option.none()
    : Option.some(
      new RetryableError({
        code: attempt.error.tag,
        message: attempt.error.message,
        ...(attempt.statusCode === undefined ? {} : { statusCode: attempt.statusCode }),
        ...(attempt.retryAfterMs === undefined ? {} : { retryAfterMs: attempt.retryAfterMs }),
        ...(attempt.outcome === "timeout" ? { timedOut: true } : {})
      })
    )

// --- internal ---

const blank: AttemptRecord = { number: 0, startedAtMs: 0, durationMs: 0, outcome: "success" }

const describe = (error: ProviderError, message: string): Pick<AttemptRecord, "outcome" | "error"> => ({
  outcome: error._tag === "Permanent"
    ? "permanent"
    : error._tag === "Gone"
    ? "gone"
    : error.timedOut === true
    ? "timeout"
    : "retryable",
  error: { tag: error.code, message },
  ...(error.statusCode === undefined ? {} : { statusCode: error.statusCode }),
  ...(error.response === undefined ? {} : { response: error.response }),
  ...(error._tag === "Retryable" && error.retryAfterMs !== undefined ? { retryAfterMs: error.retryAfterMs } : {})
})
