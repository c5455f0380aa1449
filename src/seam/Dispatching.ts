/**
 * What the owner of a worker group asks of the storage: routing, claiming, recording, and giving back. A part of `Storage`.
 */
import type { Effect } from "effect"
import type * as Circuit from "../Circuit.ts"
import type { Connection } from "../Connection.ts"
import type { AttemptOutline, AttemptRecord, Transition } from "../Delivery.ts"
import type { DeliveryId, MessageId, ReplayId, RunnerId, SubscriptionId } from "../Id.ts"
import type { Message } from "../Message.ts"
import type { RowRefused, StorageUnavailable } from "../StorageError.ts"
import type { Subscription } from "../Subscription.ts"

/**
 * One dispatcher's ownership of a worker group (or of a dispatcher partition of it).
 *
 * @category models
 * @since 0.1.0
 */
export interface Owner {
  readonly workerGroup: string
  readonly partition: number
  readonly epoch: number
}

/** @category models @since 0.1.0 */
export interface TakeOver {
  readonly owner: Owner
  /** From when on the claims of the previous owner may be taken: the end of its lease, by the engine's `now`. */
  readonly claimableAtMs: number
  /**
   * Messages up to this number may have been under way with an owner before that did not give its ownership back, whoever had it
   * since; 0 where there was none such. Nothing else in the database tells of attempts that it made ahead of a routing.
   */
  readonly doubtfulSeq: number
}

/**
 * What a runner hears when it renews its lease.
 *
 * @category models
 * @since 0.1.0
 */
export interface Renewal {
  /** What it still owns. */
  readonly owners: ReadonlyArray<Owner>
  /** The version of the subscriptions: the lease is for attempts that know of it. */
  readonly version: number
}

/**
 * A message to route.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unrouted extends Message {
  readonly seq: number
  readonly workerGroup: string
}

/**
 * What waits to be routed, in one snapshot.
 *
 * @category models
 * @since 0.1.0
 */
export interface Waiting {
  readonly messages: ReadonlyArray<Unrouted>
  /** The version of the subscriptions: what was changed before one of the messages was emitted is in it. */
  readonly version: number
  /** Those of the owners' groups whose messages somebody listens to; of a dispatcher partition, its event's group. */
  readonly listened: ReadonlyArray<string>
}

/**
 * A delivery that routing makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewDelivery {
  readonly id: DeliveryId
  readonly messageId: MessageId
  readonly subscriptionId: SubscriptionId
  /** The subscription's own, where it has one; else it is owned with its message. */
  readonly workerGroup?: string
  /** Claimed by the router on the way, because its lane has room; never one of another group. */
  readonly claimed: boolean
}

/**
 * The result of routing a batch, as it is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Routing {
  /** The version of the subscriptions that were matched. */
  readonly version: number
  readonly messages: ReadonlyArray<{
    readonly owner: Owner
    readonly messageId: MessageId
    readonly seq: number
    readonly matched: number
    readonly filtered: number
    /** The payload after the event's transform, where it has one. */
    readonly transformedJson: string | undefined
    /** Set aside with this error instead of routed. */
    readonly error: string | undefined
    /** When its deliveries are due, where that is not at once. */
    readonly dueAtMs?: number
    readonly expiresAtMs?: number
    /** An owner before may have begun its deliveries, and left no trace of that: they count as claimed once. */
    readonly isDoubtful?: boolean
  }>
  readonly deliveries: ReadonlyArray<NewDelivery>
  /**
   * Attempts of these deliveries may have begun already: they are written as claimed whatever became of the subscriptions and
   * their circuits since they were matched.
   */
  readonly isBegun?: boolean
}

/**
 * A message all of whose deliveries have succeeded at their first attempt, before its routing was written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Completed {
  readonly owner: Owner
  readonly messageId: MessageId
  /** The version of the subscriptions that were matched. */
  readonly version: number
  readonly filtered: number
  /** The payload after the event's transform, where it has one. */
  readonly transformedJson: string | undefined
  readonly deliveries: ReadonlyArray<{
    readonly id: DeliveryId
    readonly subscriptionId: SubscriptionId
    readonly attempt: AttemptRecord
    readonly externalId?: string
  }>
}

/** @category models @since 0.1.0 */
export type Routed =
  /** Another change of the subscriptions came first: load them and match again. Nothing was written. */
  | { readonly _tag: "Stale" }
  /**
   * The messages that were routed or set aside; those of superseded owners are not among them. Of the subscriptions in
   * `failing`, whose circuit is not closed, nothing was claimed.
   */
  | {
    readonly _tag: "Routed"
    readonly messageIds: ReadonlyArray<MessageId>
    readonly failing: ReadonlyArray<SubscriptionId>
  }

/**
 * A lane that has room: up to `free` deliveries of the subscription in the owner's group.
 *
 * @category models
 * @since 0.1.0
 */
export interface LaneRoom {
  readonly workerGroup: string
  readonly subscriptionId: SubscriptionId
  readonly free: number
}

/**
 * A claimed delivery.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claimed {
  readonly workerGroup: string
  readonly deliveryId: DeliveryId
  readonly messageId: MessageId
  readonly subscriptionId: SubscriptionId
  /** The subscription's version that the claim was made under. */
  readonly subscriptionVersion: number
  readonly seq: number
  /** Attempts recorded so far, and how many of them precede the last manual retry. */
  readonly attemptCount: number
  readonly retryBase: number
  /** Claims without an outcome, this one included. */
  readonly claims: number
  /** Bytes of the payload as it is delivered. */
  readonly size: number
  /** From when on no attempt begins. */
  readonly expiresAtMs?: number
  /** The replay whose webhook-id its attempts carry, instead of the message's. */
  readonly webhookOf?: ReplayId
}

/** @category models @since 0.1.0 */
export interface Claims {
  readonly claimed: ReadonlyArray<Claimed>
  /**
   * For each lane that was asked for and has unclaimed deliveries left, suspects aside and those that wait for an earlier one
   * of their key: when the first of them is due.
   */
  readonly next: ReadonlyArray<{
    readonly workerGroup: string
    readonly subscriptionId: SubscriptionId
    readonly dueAtMs: number
  }>
  /** Of the lanes that were asked for, those that fail. */
  readonly health: ReadonlyArray<Health>
}

/**
 * What an attempt needs besides its claim.
 *
 * @category models
 * @since 0.1.0
 */
export interface Loaded {
  /** With the payload after the event's transform. */
  readonly messages: ReadonlyArray<Message>
  /** The attempts of the deliveries so far, oldest first, in outline. */
  readonly attempts: ReadonlyArray<{ readonly deliveryId: DeliveryId; readonly attempt: AttemptOutline }>
}

/**
 * An outcome to record.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  readonly owner: Owner
  readonly deliveryId: DeliveryId
  /** Attempts recorded before this one: an outcome is recorded once. */
  readonly attemptCount: number
  readonly attempt: AttemptRecord
  readonly transition: Transition
  /** When the subscription's rate limit is filled up again, to be kept. */
  readonly filledAtMs?: number
  /** What it says of the subscription's endpoint; of Hookline's own subscriptions it says nothing. */
  readonly sign?: Circuit.Sign
  /** Until when the subscription's circuit is open, which this outcome opened. */
  readonly openUntilMs?: number
  /** Messages to store with it: always, or only where the subscription had been told as failing and this is accepted. */
  readonly telling?: ReadonlyArray<{ readonly message: Message; readonly ifRecovered: boolean }>
}

/**
 * How a subscription fares whose last attempt was not accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Health extends Omit<Circuit.Circuit, "sample" | "failingSinceMs"> {
  readonly subscriptionId: SubscriptionId
  readonly failingSinceMs: number
}

/**
 * Work that is due, or will be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Due {
  readonly workerGroup: string
  /** Messages wait to be routed. */
  readonly unrouted: boolean
  /** There are claims that their owner can't finish any more: they have to be recovered. */
  readonly orphaned: boolean
  /** Lanes with unclaimed deliveries of enabled subscriptions, and when the first of each is due. */
  readonly lanes: ReadonlyArray<{ readonly subscriptionId: SubscriptionId; readonly dueAtMs: number }>
}

/**
 * Dispatching.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatching {
  /** All subscriptions that are not deleted, with the version that routing must still find. */
  readonly subscriptions: Effect.Effect<
    {
      readonly version: number
      readonly items: ReadonlyArray<Subscription>
      /** Of those that fail. */
      readonly health: ReadonlyArray<Health>
      /** Those that subscriptions use, none older than the version. */
      readonly connections: ReadonlyArray<Connection>
    },
    StorageUnavailable
  >
  /** Begins or prolongs a runner's lease by `leaseMs`; then reads what the runner still owns, and the subscriptions' version. */
  readonly renewLease: (runnerId: RunnerId, leaseMs: number) => Effect.Effect<Renewal, StorageUnavailable>
  /** Ends a runner's lease now. */
  readonly returnLease: (runnerId: RunnerId) => Effect.Effect<void, StorageUnavailable>
  /** Makes the runner the owner under a new epoch, whoever was before; ends a session that blocks it for `patienceMs`. */
  readonly takeOver: (
    runnerId: RunnerId,
    group: { readonly workerGroup: string; readonly partition: number },
    patienceMs: number
  ) => Effect.Effect<TakeOver, StorageUnavailable>
  /** Gives ownership back: claims of the epoch that were never begun must have been released before. */
  readonly giveBack: (owners: ReadonlyArray<Owner>) => Effect.Effect<void, StorageUnavailable>
  /**
   * Makes the claims of older epochs claimable again; those with `crashedClaims` claims fail with reason `crashed-owner`.
   * Does nothing for an owner whose predecessor may still be within its lease; returns in how many milliseconds to ask again,
   * 0 when all was done. What was claimed counts as begun for the rate limits of subscriptions.
   */
  readonly recover: (owners: ReadonlyArray<Owner>, crashedClaims: number) => Effect.Effect<number, StorageUnavailable>
  /** When the rate limits of subscriptions are filled up again; those are left out that began nothing yet. */
  readonly filled: (
    ids: ReadonlyArray<SubscriptionId>
  ) => Effect.Effect<ReadonlyMap<SubscriptionId, number>, StorageUnavailable>
  /**
   * Makes due what waits for an earlier delivery of its key that has ended in the meantime, where nobody noticed; returns the
   * worker groups that it found some in.
   */
  readonly unpark: (owners: ReadonlyArray<Owner>) => Effect.Effect<ReadonlyArray<string>, StorageUnavailable>
  /** Finds groups with unrouted messages or with deliveries due within `aheadMs`, all or the named ones. */
  readonly due: (options: {
    readonly aheadMs: number
    readonly workerGroups?: ReadonlyArray<string>
  }) => Effect.Effect<ReadonlyArray<Due>, StorageUnavailable>
  /**
   * Reads unrouted messages of the owners' groups in `seq` order, up to a count and a size of payloads (at least one), without
   * those whose number is in `except`. Those of
   * up to `tenants` tenants of each group are taken in turn, the first of each first, in the order of their ids within their group,
   * so that no group waits for the tenants of another; the tenants are those after the group's in `afterTenants`.
   */
  readonly unrouted: (
    owners: ReadonlyArray<Owner>,
    options: {
      readonly messages: number
      readonly bytes: number
      readonly tenants?: number
      readonly afterTenants?: ReadonlyMap<string, string>
      readonly except?: ReadonlyArray<number>
    }
  ) => Effect.Effect<Waiting, StorageUnavailable>
  /**
   * Writes a batch's routing: fenced, and only if the subscriptions are still of the version that was matched. Refused whole,
   * and nothing written, where a row of it can't be stored. What was to be claimed of a subscription whose circuit is not
   * closed waits instead: another runner may have opened it.
   */
  readonly route: (routing: Routing) => Effect.Effect<Routed, StorageUnavailable | RowRefused>
  /**
   * Writes the routing of messages together with how all of their deliveries ended: fenced, each once. Returns the messages for
   * which it did, those that still waited to be routed. Refused whole, and nothing written, where a row can't be stored.
   */
  readonly complete: (
    completed: ReadonlyArray<Completed>
  ) => Effect.Effect<ReadonlyArray<MessageId>, StorageUnavailable | RowRefused>
  /**
   * Claims due deliveries of enabled subscriptions, those never attempted and those to be retried in turn, oldest due first of
   * each in each lane, up to `limit` and to `bytes` of payloads (at least one); none whose message has expired. Of an ordered subscription it is a delivery's turn when no unfinished one of its key and no unrouted
   * message of its key that the subscription wants was emitted before; deliveries without a key are not ordered. A
   * subscription that has become a worker group of its own is claimed for when what others had claimed of it has ended.
   * Nothing is claimed while a subscription's circuit is open, and one delivery at a time after that until it is closed.
   * Deliveries that were claimed `suspectClaims` times without an outcome are left out, but for one of any
   * lane of the owners whose subscription is of one of `suspectProviders`: it is claimed first.
   */
  readonly claim: (options: {
    readonly owners: ReadonlyArray<Owner>
    readonly lanes: ReadonlyArray<LaneRoom>
    readonly limit: number
    readonly bytes: number
    readonly suspectClaims: number
    readonly suspectProviders: ReadonlyArray<string>
  }) => Effect.Effect<Claims, StorageUnavailable>
  /** Reads what attempts need of messages, and the earlier attempts of deliveries that had some; without the fence's lock. */
  readonly load: (
    claimed: ReadonlyArray<Pick<Claimed, "messageId"> & Partial<Pick<Claimed, "deliveryId" | "attemptCount">>>
  ) => Effect.Effect<Loaded, StorageUnavailable>
  /** Reads the deliveries that are marked with the owners' epochs: after a claim or route whose answer was lost. */
  readonly held: (owners: ReadonlyArray<Owner>) => Effect.Effect<ReadonlyArray<Claimed>, StorageUnavailable>
  /** Gives claims back that were never begun; they do not count as claims. */
  readonly release: (
    owner: Owner,
    deliveryIds: ReadonlyArray<DeliveryId>
  ) => Effect.Effect<void, StorageUnavailable>
  /** Stores a message unless the subscription was told as failing before since it fails; false where it was. */
  readonly warn: (id: SubscriptionId, message: Message) => Effect.Effect<boolean, StorageUnavailable>
  /**
   * Records outcomes: fenced, each once. A delivery to be retried whose subscription was deleted ends as `cancelled`.
   * Returns those that were recorded. Refused whole, and nothing recorded, where a row can't be stored.
   */
  readonly record: (
    outcomes: ReadonlyArray<Outcome>
  ) => Effect.Effect<ReadonlyArray<DeliveryId>, StorageUnavailable | RowRefused>
}
