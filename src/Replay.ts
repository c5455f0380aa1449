/**
 * Replays as data: which deliveries that have ended are made again, how far that has come, and what a request for one may
 * say. The jobs themselves live in the storage.
 */
import { Schema } from "effect"
import type { MessageId, ReplayId, SubscriptionId } from "./Id.ts"

/**
 * How deliveries ended that a replay makes again.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ReplayStatus = Schema.Literals(["failed", "cancelled", "success"])
/** @category models @since 0.1.0 */
export type ReplayStatus = typeof ReplayStatus.Type

/**
 * Why they ended so: those of a deleted subscription can't be made again.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ReplayReason = Schema.Literals(["exhausted", "permanent", "gone", "crashed-owner", "expired", "skipped"])
/** @category models @since 0.1.0 */
export type ReplayReason = typeof ReplayReason.Type

/** @category schemas @since 0.1.0 */
export const ReplayState = Schema.Literals(["running", "paused", "cancelled", "completed"])
/** @category models @since 0.1.0 */
export type ReplayState = typeof ReplayState.Type

/**
 * Which deliveries are meant: those that are of all that is said here.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayFilter {
  readonly subscriptionId?: SubscriptionId
  readonly eventId?: string
  readonly messageId?: MessageId
  readonly status: ReplayStatus
  readonly reason?: ReplayReason
  /** When deliveries were made, in milliseconds since 1970, both ends included. */
  readonly fromMs?: number
  readonly toMs?: number
}

/**
 * What a replay is about: a filter, and the tenant whose deliveries are meant; `allTenants` for everybody's. A tenant's
 * leaves out work queues, unless the filter names one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplayScope {
  readonly tenantId: string
  readonly filter: ReplayFilter
}

/**
 * A replay that is to be made.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewReplay extends ReplayScope {
  readonly id: ReplayId
  /** Whether its deliveries get a webhook-id of their own, instead of their message's. */
  readonly freshWebhookId: boolean
}

/**
 * A replay: it makes again what had ended before it was created, oldest first, each delivery once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Replay extends NewReplay {
  readonly state: ReplayState
  /** Deliveries that are due again so far. */
  readonly replayed: number
  /** Deliveries that can't be made again, because their subscription, or what they would send, is gone. */
  readonly skipped: number
  /** Those of them whose message is not kept any more, or whose body has expired. */
  readonly notKept: number
  /** When the last delivery was made that it has come to. */
  readonly reachedMs: number | undefined
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly completedAtMs: number | undefined
}

/**
 * Whether a replay is over for good.
 *
 * @category guards
 * @since 0.1.0
 */
export const hasEnded = ({ state }: Pick<Replay, "state">): boolean => state === "cancelled" || state === "completed"

/**
 * What a replay's deliveries are known by to receivers, where it asks for a webhook-id of their own: the same for all attempts
 * of a message that it makes. Without the full stop that separates what is signed.
 *
 * @category conversions
 * @since 0.1.0
 */
export const webhookId = (messageId: MessageId, replayId: ReplayId): string => `${messageId}_${replayId}`

/**
 * What is wrong with a filter, with the field's path; undefined where nothing is.
 *
 * @category rules
 * @since 0.1.0
 */
export const refusal = (
  { eventId, fromMs, messageId, reason, status, subscriptionId, toMs }: ReplayFilter
): { readonly path: string; readonly message: string } | undefined => {
  if ([subscriptionId, eventId, messageId, fromMs].every((narrowing) => narrowing === undefined)) {
    return { path: "filter", message: "Expected at least one of subscriptionId, eventId, messageId, from" }
  }
  if (fromMs !== undefined && toMs !== undefined && toMs < fromMs) {
    return { path: "filter.to", message: "Expected a time that is not before from" }
  }
  const ends = reason === undefined ? status : reason === "skipped" ? "cancelled" : "failed"
  return ends === status
    ? undefined
    : { path: "filter.reason", message: `Expected status "${ends}" with it: nothing else ends with that reason` }
}
