/**
 * The one persistence seam: what the rest of Hookline asks of a database, verbs in the order of a message's life. Two
 * backends keep to it, `StorageMemory` and `storage/` for PostgreSQL, and one conformance suite in `testing/` runs against
 * both. An internal seam: not covered by semantic versioning.
 *
 * Every verb of an owner names the owner's epoch and does nothing for an epoch that has been superseded.
 */
import { Context, type Effect, type Option } from "effect"
import type { AuditEntry } from "./AuditEntry.ts"
import type * as Circuit from "./Circuit.ts"
import type { Connection } from "./Connection.ts"
import type { AttemptRecord, Delivery, DeliveryReason, DeliveryStatus, Transition } from "./Delivery.ts"
import type { ConnectionId, DeliveryId, KeyId, MessageId, ReplayId, RunnerId, SubscriptionId } from "./Id.ts"
import type { Key } from "./Key.ts"
import type { Announcement, Member, Ownership } from "./Member.ts"
import type { Message, MessageState } from "./Message.ts"
import type { NewReplay, Replay, ReplayScope, ReplayState } from "./Replay.ts"
import type { OutcomeUnknown, RowRefused, StorageUnavailable } from "./StorageError.ts"
import type { Subscription } from "./Subscription.ts"
import type { Tally } from "./Tally.ts"

// -- errors

export { OutcomeUnknown, RowRefused, StorageUnavailable } from "./StorageError.ts"

/** @category errors @since 0.1.0 */
export type AppendError = StorageUnavailable | RowRefused | OutcomeUnknown

// -- models

/**
 * What `appendOnce` did with an idempotency key.
 *
 * @category models
 * @since 0.1.0
 */
export type AppendOnce =
  /** With the worker group that is to route it. */
  | { readonly _tag: "Appended"; readonly workerGroup: string }
  | { readonly _tag: "Repeated"; readonly messageId: MessageId }
  | { readonly _tag: "Conflict"; readonly messageId: MessageId }

/**
 * A message of a batch, with the key that it is stored once for.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchItem {
  readonly message: Message
  readonly once?: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
}

/**
 * What `appendBatch` did: all of it, or nothing, because the key of one belongs to a message with other content.
 *
 * @category models
 * @since 0.1.0
 */
export type AppendBatch =
  /** In the order of the batch; without a worker group where it repeats a message. */
  | {
    readonly _tag: "Appended"
    readonly items: ReadonlyArray<{ readonly messageId: MessageId; readonly workerGroup: string | undefined }>
  }
  | { readonly _tag: "Conflict"; readonly index: number; readonly messageId: MessageId }

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
  }>
  readonly deliveries: ReadonlyArray<NewDelivery>
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
  /** The attempts of the deliveries so far, oldest first. */
  readonly attempts: ReadonlyArray<{ readonly deliveryId: DeliveryId; readonly attempt: AttemptRecord }>
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
}

/** @category models @since 0.1.0 */
export type RetryAnswer = "Retried" | "NotFound" | "NotRetryable"

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

// -- the seam

/**
 * Emitting.
 *
 * @category models
 * @since 0.1.0
 */
export interface Appending {
  /** The engine's clock: Effect's clock plus the measured offset to the database's, in milliseconds since 1970. */
  readonly now: Effect.Effect<number>
  /** Whether the calling fiber is inside a transaction of the caller's client. */
  readonly inTransaction: Effect.Effect<boolean>
  /**
   * Stores messages, all or none, inside the caller's transaction where there is one; tells for each the worker group that is
   * to route it.
   */
  readonly append: (messages: ReadonlyArray<Message>) => Effect.Effect<ReadonlyArray<string>, AppendError>
  /** Stores a message unless its key was used within `ttlMs`; `contentHash` tells a repetition from a conflict. */
  readonly appendOnce: (
    message: Message,
    options: { readonly key: string; readonly contentHash: string; readonly ttlMs: number }
  ) => Effect.Effect<AppendOnce, AppendError>
  /**
   * Stores messages, all or none, in their order, inside the caller's transaction where there is one; each with a key unless
   * that was used, in this batch or before.
   */
  readonly appendBatch: (items: ReadonlyArray<BatchItem>) => Effect.Effect<AppendBatch, AppendError>
  /** Runs an effect after the caller's transaction commits, or at once where there is none; never after a rollback. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
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
   * Reads unrouted messages of the owners' groups in `seq` order, up to a count and a size of payloads (at least one). Those of
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
    }
  ) => Effect.Effect<ReadonlyArray<Unrouted>, StorageUnavailable>
  /**
   * Writes a batch's routing: fenced, and only if the subscriptions are still of the version that was matched. Refused whole,
   * and nothing written, where a row of it can't be stored. What was to be claimed of a subscription whose circuit is not
   * closed waits instead: another runner may have opened it.
   */
  readonly route: (routing: Routing) => Effect.Effect<Routed, StorageUnavailable | RowRefused>
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
    filter: { readonly tenantId?: string; readonly enabled?: boolean },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Subscription>, StorageUnavailable>
  /** How subscriptions fare that fail. */
  readonly health: (ids: ReadonlyArray<SubscriptionId>) => Effect.Effect<ReadonlyArray<Health>, StorageUnavailable>
  /**
   * The owners that hold claims of a subscription, superseded ones too, as seen after a change of it was committed. One that
   * was superseded may begin attempts until its lease has run out.
   */
  readonly claimants: (id: SubscriptionId) => Effect.Effect<ReadonlyArray<Owner>, StorageUnavailable>
  readonly getMessage: (id: MessageId) => Effect.Effect<Option.Option<StoredMessage>, StorageUnavailable>
  /** Messages, newest first; a page ends before its payloads are larger than `bytes`, but holds one whatever its size. */
  readonly listMessages: (
    filter: { readonly tenantId?: string; readonly eventId?: string },
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
  /** Ends deliveries that wait and whose message has expired as `failed`; returns whether there may be more. */
  readonly expire: (rows: number) => Effect.Effect<boolean, StorageUnavailable>
  /**
   * One round of housekeeping: coming partitions are made, deliveries of deleted subscriptions cancelled, deliveries held
   * for longer than `heldMaxAgeMs` expired, idempotency keys purged, broadcasts forgotten that are older than
   * `broadcastKeptMs`, and groups that nobody listened to for that long. Returns whether there may be more to do. A delivery
   * is held from when it was made or its subscription disabled, whichever came later.
   */
  readonly maintain: (options: {
    readonly partitionsAheadDays: number
    readonly heldMaxAgeMs: number
    readonly broadcastKeptMs: number
    readonly rows: number
  }) => Effect.Effect<boolean, StorageUnavailable>
}

/**
 * Who is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Membership {
  /** Stores what a runner says of itself; nothing where its lease was returned. */
  readonly announce: (runnerId: RunnerId, announcement: Announcement) => Effect.Effect<void, StorageUnavailable>
  /** The runners of the last day that did not return their lease, in the order of their ids. */
  readonly members: Effect.Effect<ReadonlyArray<Member>, StorageUnavailable>
  /** The worker groups and their owners, in the order of their names; `cursor` is the last group of the page before. */
  readonly owners: (
    filter: { readonly runnerId?: RunnerId },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Ownership>, StorageUnavailable>
  /** When the oldest message was emitted that waits to be routed; none where none waits. */
  readonly oldestUnroutedMs: Effect.Effect<number | undefined, StorageUnavailable>
  /** The providers that enabled subscriptions need, and how many do, in the order of their ids. */
  readonly neededProviders: Effect.Effect<
    ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>,
    StorageUnavailable
  >
}

/**
 * Keeping API keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keeping {
  readonly createKey: (key: Key) => Effect.Effect<void, StorageUnavailable>
  readonly getKey: (id: KeyId) => Effect.Effect<Option.Option<Key>, StorageUnavailable>
  /** The key with a digest, whether or not it is still good. */
  readonly findKey: (digest: string) => Effect.Effect<Option.Option<Key>, StorageUnavailable>
  /** Keys, newest first; revoked ones too. */
  readonly listKeys: (
    filter: { readonly tenantId?: string },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Key>, StorageUnavailable>
  /** Revokes a key; returns whether it was not before. */
  readonly revokeKey: (id: KeyId, atMs: number) => Effect.Effect<boolean, StorageUnavailable>
  /** Notes when keys were used last. */
  readonly useKeys: (
    uses: ReadonlyArray<{ readonly id: KeyId; readonly atMs: number }>
  ) => Effect.Effect<void, StorageUnavailable>
}

/**
 * What a change of a connection came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionUpdated {
  readonly connection: Connection
  /** The subscriptions that use it, where it has another configuration, each with the version that binds it. */
  readonly subscriptions: ReadonlyArray<Pick<Subscription, "id" | "version">>
}

/**
 * Keeping connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connecting {
  readonly createConnection: (connection: Connection) => Effect.Effect<void, StorageUnavailable>
  readonly getConnection: (id: ConnectionId) => Effect.Effect<Option.Option<Connection>, StorageUnavailable>
  /** As `getConnection`; inside `atomically` the connection is neither changed nor deleted before that ends. */
  readonly holdConnection: (id: ConnectionId) => Effect.Effect<Option.Option<Connection>, StorageUnavailable>
  /** Connections, newest first. */
  readonly listConnections: (
    filter: { readonly tenantId?: string; readonly providerId?: string },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Connection>, StorageUnavailable>
  /**
   * Applies a change to a connection's current state, which gives it its next version, and tells what came of it; none where
   * there is no such one. With another configuration the subscriptions that use it change with it: they get a new version,
   * and begin as ones of which nothing has failed.
   */
  readonly updateConnection: (
    id: ConnectionId,
    change: (current: Connection) => Connection
  ) => Effect.Effect<Option.Option<ConnectionUpdated>, StorageUnavailable>
  /** Deletes a connection, unless subscriptions use it: tells how many do; none where there is no such one. */
  readonly deleteConnection: (id: ConnectionId) => Effect.Effect<Option.Option<number>, StorageUnavailable>
}

/**
 * A portion of a replay, or that there is none to be worked now.
 *
 * @category models
 * @since 0.1.0
 */
export type ReplaySome =
  | {
    readonly _tag: "Portion"
    readonly replayId: ReplayId
    readonly replayed: number
    readonly skipped: number
    readonly isCompleted: boolean
    /** Where deliveries are due now. */
    readonly workerGroups: ReadonlyArray<string>
  }
  /** In how many milliseconds the next is to be worked; none is running where undefined. */
  | { readonly _tag: "Idle"; readonly nextMs: number | undefined }

/**
 * Replaying.
 *
 * @category models
 * @since 0.1.0
 */
export interface Replaying {
  /** Stores a replay, which runs from now on; none where `most` of its tenant are running or paused. */
  readonly createReplay: (replay: NewReplay, most: number) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  readonly getReplay: (id: ReplayId) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  /** Replays, newest first. */
  readonly listReplays: (
    filter: { readonly tenantId?: string; readonly state?: ReplayState },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Replay>, StorageUnavailable>
  /** Changes a replay's state where it is one of `from`; none where it is not, or there is no such one. */
  readonly changeReplay: (
    id: ReplayId,
    change: { readonly from: ReadonlyArray<ReplayState>; readonly to: ReplayState }
  ) => Effect.Effect<Option.Option<Replay>, StorageUnavailable>
  /** Counts the deliveries that a replay would be about, among the first `look` that it would look at. */
  readonly countReplay: (
    scope: ReplayScope,
    look: number
  ) => Effect.Effect<{ readonly matched: number; readonly isAtLeast: boolean }, StorageUnavailable>
  /**
   * Works a portion of a running replay, which others leave alone meanwhile: of the next `look` deliveries up to `rows` that
   * it is about and that had ended when it was created are pending again, due now, their schedule anew, claimed in turn with
   * new ones. Takes none while `waiting` of it wait for a first attempt that could begin; is not asked again for `intervalMs`
   * when it took some. All of it, and what is noted of it, or nothing.
   */
  readonly replaySome: (options: {
    readonly rows: number
    readonly look: number
    readonly waiting: number
    readonly intervalMs: number
  }) => Effect.Effect<ReplaySome, StorageUnavailable>
}

/**
 * The audit log.
 *
 * @category models
 * @since 0.1.0
 */
export interface Auditing {
  /** Runs verbs of administration as one transaction: all that they change, or nothing. */
  readonly atomically: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageUnavailable, R>
  /** Adds an entry, in the transaction of `atomically` where there is one. */
  readonly audit: (entry: AuditEntry) => Effect.Effect<void, StorageUnavailable>
  /** Entries, newest first. */
  readonly listAudit: (
    filter: AuditFilter,
    page: Page
  ) => Effect.Effect<ReadonlyArray<AuditEntry>, StorageUnavailable>
}

/** @category models @since 0.1.0 */
export interface CountFilter {
  readonly tenantId?: string
  readonly eventId?: string
  readonly providerId?: string
  readonly subscriptionId?: SubscriptionId
}

/**
 * What was counted of deliveries since a time, and of those that are not finished.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly totals: Tally
  /** Those with the most deliveries, the most first. */
  readonly byEvent: ReadonlyArray<Tally & { readonly eventId: string }>
  readonly byProvider: ReadonlyArray<Tally & { readonly providerId: string }>
  readonly bySubscription: ReadonlyArray<
    Tally & { readonly subscriptionId: SubscriptionId; readonly providerId: string; readonly name: string }
  >
  /** By when it was recorded, oldest first; times in which nothing was are left out. */
  readonly series: ReadonlyArray<Tally & { readonly atMs: number }>
  readonly unfinished: {
    readonly pending: number
    readonly retrying: number
    /** Whether there may be more: not all were looked at. */
    readonly atLeast: boolean
  }
}

/**
 * Counting. The sums are kept by the verbs that record how deliveries end, and outlive what they count.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counting {
  /**
   * The sums since `fromMs`, which is when a step of time begins: steps of `Limits.statsFineStepMs` where `fine`, which are kept
   * for some hours, else of `Limits.statsStepMs`. Up to `top` of each kind; unfinished deliveries, of which `counted` are
   * looked at. A delivery is counted for its message's tenant; what is retried by hand is no longer counted as ended.
   */
  readonly count: (
    filter: CountFilter,
    options: { readonly fromMs: number; readonly fine: boolean; readonly top: number; readonly counted: number }
  ) => Effect.Effect<Counts, StorageUnavailable>
}

/**
 * A page of a walk, which looks at no more than so many stored items of a kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface WalkPage extends Page {
  readonly look: number
}

/**
 * What a walk found. `next` is the cursor of where the next page goes on, also where this one is short or empty; none at the end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Walked<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | undefined
}

/**
 * Lists that may be long, in bounded steps: where a filter leaves little of what is stored, a page may be short.
 *
 * @category models
 * @since 0.1.0
 */
export interface Walking {
  /** As `listDeliveries`, which reads on until its page is full. */
  readonly walkDeliveries: (
    filter: DeliveryFilter,
    page: WalkPage
  ) => Effect.Effect<Walked<Delivery>, StorageUnavailable>
  /** As `listAudit`, which reads on until its page is full. */
  readonly walkAudit: (filter: AuditFilter, page: WalkPage) => Effect.Effect<Walked<AuditEntry>, StorageUnavailable>
}

/** @category models @since 0.1.0 */
export interface AuditFilter {
  readonly tenantId?: string
  readonly resourceId?: string
  readonly actorId?: string
  readonly action?: string
}

/**
 * How far a listener of a worker group's messages has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cursor {
  readonly workerGroup: string
  readonly position: number
}

/**
 * A message that was broadcast.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcast {
  /** Which of the cursors that were asked for it is behind. */
  readonly cursor: number
  readonly position: number
  /** As it was emitted. */
  readonly message: Message
}

/**
 * What every process may hear: the messages of a worker group in the order of their routing, numbered without a gap.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcasting {
  /** Has messages of these groups broadcast from now on, and tells where each stands: what is routed later comes after. */
  readonly listen: (workerGroups: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Cursor>, StorageUnavailable>
  /** What comes after each cursor, up to `limit` for each, in order. */
  readonly hear: (
    cursors: ReadonlyArray<Cursor>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Broadcast>, StorageUnavailable>
}

/**
 * The seam.
 *
 * @category services
 * @since 0.1.0
 */
export class Storage extends Context.Service<
  Storage,
  & Appending
  & Dispatching
  & Administration
  & Keeping
  & Connecting
  & Auditing
  & Counting
  & Walking
  & Membership
  & Broadcasting
  & Replaying
>()(
  "hookline/Storage"
) {}
