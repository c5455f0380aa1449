/**
 * What people ask of the storage: subscriptions, messages, deliveries and the times of housekeeping. A part of `Storage`.
 */
import type { Effect, Option } from "effect"
import type { AttemptRecord, Delivery, DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import type { ConnectionId, DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import type { Message, MessageState } from "../Message.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Subscription } from "../Subscription.ts"
import type { Health, Owner } from "./Dispatching.ts"

/**
 * A page: `cursor` is the id of the last item of the page before; newest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly cursor: string | undefined
  readonly limit: number
}

/** @category models @since 0.1.0 */
export interface SubscriptionFilter {
  readonly tenantId?: string
  readonly enabled?: boolean
  readonly connectionId?: ConnectionId
  /** Those whose last attempt was not accepted, or all others. */
  readonly failing?: boolean
}

/** @category models @since 0.1.0 */
export interface MessageFilter {
  readonly tenantId?: string
  readonly eventId?: string
  /** Those alone whose routing failed. */
  readonly state?: "set-aside"
}

/** @category models @since 0.1.0 */
export interface DeliveryFilter {
  readonly tenantId?: string
  readonly subscriptionId?: SubscriptionId
  readonly subscriptionIds?: ReadonlyArray<SubscriptionId>
  readonly eventId?: string
  readonly messageId?: MessageId
  readonly status?: DeliveryStatus
  readonly reason?: DeliveryReason
  readonly fromMs?: number
  readonly toMs?: number
}

/**
 * A stored message with where it is on its way.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredMessage extends Message {
  readonly seq: number
  readonly state: MessageState
  /** Its payload was emptied, because its tenant keeps bodies for a shorter time: `payloadJson` is `null`. */
  readonly bodyExpired?: true
}

/**
 * What came of a retry. `NotKept`: what would be sent is not kept any more, as the message is gone or its body has expired.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryAnswer = "Retried" | "NotFound" | "NotRetryable" | "NotKept"

/** @category models @since 0.1.0 */
export type SkipAnswer = "Skipped" | "NotFound" | "NotSkippable"

/**
 * An ordering key of an ordered subscription whose first delivery failed so far: what follows waits for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface BlockedKey {
  readonly orderingKey: string
  readonly head: Delivery
  /** Deliveries behind it, counted up to `Limits.blockedCounted`. */
  readonly waiting: number
}

/**
 * Administration and reading.
 *
 * @category models
 * @since 0.1.0
 */
export interface Administration {
  /** Stores a new subscription; returns the version it got. Every message appended afterwards is matched against it. */
  readonly createSubscription: (
    subscription: Omit<Subscription, "version">
  ) => Effect.Effect<number, StorageUnavailable>
  /**
   * Stores a subscription of Hookline's own unless there is one of its tenant and provider, to which the change is applied
   * instead; returns what came of it. Two at once make one.
   */
  readonly ensureSubscription: (
    subscription: Omit<Subscription, "version">,
    change: (current: Subscription) => Subscription
  ) => Effect.Effect<Subscription, StorageUnavailable>
  /**
   * Applies a change to a subscription's current state and returns what came of it; none where there is no such one. With
   * another configuration or connection, or enabled or disabled, it begins as one of which nothing has failed. A message is stored with a
   * change, if there is one.
   */
  readonly updateSubscription: (
    id: SubscriptionId,
    change: (current: Subscription) => Subscription,
    message?: Message
  ) => Effect.Effect<Option.Option<Subscription>, StorageUnavailable>
  /** Deletes a subscription: its unfinished deliveries end as `cancelled` with `maintain`. False where there is no such one. */
  readonly deleteSubscription: (id: SubscriptionId) => Effect.Effect<boolean, StorageUnavailable>
  readonly getSubscription: (id: SubscriptionId) => Effect.Effect<Option.Option<Subscription>, StorageUnavailable>
  readonly listSubscriptions: (
    filter: SubscriptionFilter,
    page: Page
  ) => Effect.Effect<ReadonlyArray<Subscription>, StorageUnavailable>
  /** Which of these are work queues, `isInternal`: of those that were deleted too, as their deliveries are still there. */
  readonly workQueues: (
    ids: ReadonlyArray<SubscriptionId>
  ) => Effect.Effect<ReadonlySet<SubscriptionId>, StorageUnavailable>
  /** How subscriptions fare that fail. */
  readonly health: (ids: ReadonlyArray<SubscriptionId>) => Effect.Effect<ReadonlyArray<Health>, StorageUnavailable>
  /**
   * The owners that may begin attempts of a subscription as it was before a change of it that is committed: those that hold claims
   * of it, superseded ones too, and of each runner that owns groups of events one of these, as what goes ahead of its routing is in
   * memory alone. With epoch 0, which nobody has, come groups whose owner was superseded and may be within its lease.
   */
  readonly claimants: (id: SubscriptionId) => Effect.Effect<ReadonlyArray<Owner>, StorageUnavailable>
  readonly getMessage: (id: MessageId) => Effect.Effect<Option.Option<StoredMessage>, StorageUnavailable>
  /** Messages, newest first; a page ends before its payloads are larger than `bytes`, but holds one whatever its size. */
  readonly listMessages: (
    filter: MessageFilter,
    page: Page & { readonly bytes: number; readonly look?: number }
  ) => Effect.Effect<
    {
      readonly items: ReadonlyArray<StoredMessage>
      readonly more: boolean
      /** Where the next page goes on, where there may be more; a page may be short, see `Walking`. */
      readonly next?: string | undefined
    },
    StorageUnavailable
  >
  /** Puts a message that was set aside back before the router. */
  readonly retryMessage: (id: MessageId) => Effect.Effect<RetryAnswer, StorageUnavailable>
  /** A delivery, finished or not, with its attempts, oldest first. */
  readonly getDelivery: (
    id: DeliveryId
  ) => Effect.Effect<
    Option.Option<{ readonly delivery: Delivery; readonly attempts: ReadonlyArray<AttemptRecord> }>,
    StorageUnavailable
  >
  /** Deliveries, finished or not, newest first. */
  readonly listDeliveries: (
    filter: DeliveryFilter,
    page: Page
  ) => Effect.Effect<ReadonlyArray<Delivery>, StorageUnavailable>
  /**
   * Makes a `failed` or `cancelled` delivery pending again, due now, its schedule anew; one that waits to be retried is due
   * now.
   */
  readonly retryDelivery: (id: DeliveryId) => Effect.Effect<RetryAnswer, StorageUnavailable>
  /** Ends a delivery that waits as `cancelled` with reason `skipped`; not one that is claimed. */
  readonly skipDelivery: (id: DeliveryId) => Effect.Effect<SkipAnswer, StorageUnavailable>
  /** The blocked keys of an ordered subscription, in the order of their text; `cursor` is the last key of the page before. */
  readonly blockedKeys: (
    id: SubscriptionId,
    page: Page & { readonly counted: number }
  ) => Effect.Effect<ReadonlyArray<BlockedKey>, StorageUnavailable>
  /** The events whose messages are shared out to several dispatcher partitions, and to how many. */
  readonly partitions: Effect.Effect<ReadonlyMap<string, number>, StorageUnavailable>
  /** Shares the messages of an event out that are stored from now on; those stored before stay where they are. */
  readonly setPartitions: (eventId: string, count: number) => Effect.Effect<void, StorageUnavailable>
  /**
   * Moves up to so many deliveries to where a changed subscription's belong: a change moves the first few itself, and nothing of
   * the subscription is claimed until none is left. Returns whether there may be more.
   */
  readonly move: (rows: number) => Effect.Effect<boolean, StorageUnavailable>
  /**
   * Clears what was removed from the queues that have more than so many rows of it: until then, whoever looks for what waits
   * passes all that has gone before. Returns how many queues it cleared.
   */
  readonly clear: (removedRows: number) => Effect.Effect<number, StorageUnavailable>
  /**
   * Counts the tables that have grown by more than so many rows, and to some times what they were when they were last counted: how
   * statements are planned depends on it. Returns how many it counted.
   */
  readonly recount: (grownRows: number) => Effect.Effect<number, StorageUnavailable>
  /** Ends deliveries that wait and whose message has expired as `failed`; returns whether there may be more. */
  readonly expire: (rows: number) => Effect.Effect<boolean, StorageUnavailable>
  /**
   * One round of housekeeping: coming partitions are made, deliveries of deleted subscriptions cancelled, deliveries held
   * for longer than `heldMaxAgeMs` expired, idempotency keys purged, broadcasts forgotten that are older than
   * `broadcastKeptMs`, and groups that nobody listened to for that long, and replays that ended longer than `replaysKeptMs` ago.
   * Returns whether there may be more to do. A delivery is held from when it was made or its subscription disabled, whichever came
   * later. What fails keeps nothing else from being done, and fails the round then.
   */
  readonly maintain: (options: {
    readonly partitionsAheadDays: number
    readonly heldMaxAgeMs: number
    readonly broadcastKeptMs: number
    readonly replaysKeptMs: number
    readonly rows: number
  }) => Effect.Effect<boolean, StorageUnavailable>
}
