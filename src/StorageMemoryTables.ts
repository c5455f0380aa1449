/**
 * The tables of the memory storage: what is stored, and the indexes that its verbs find it by. Every change is one
 * synchronous step, so that no verb sees half of another.
 */
import type { AuditEntry } from "./AuditEntry.ts"
import type { Connection } from "./Connection.ts"
import type { AttemptRecord, Delivery, DeliveryReason, DeliveryStatus } from "./Delivery.ts"
import {
  type ConnectionId,
  type DeliveryId,
  type KeyId,
  type MessageId,
  type ReplayId,
  type RunnerId,
  type SubscriptionId,
  timeOf
} from "./Id.ts"
import type { Key as ApiKey } from "./Key.ts"
import type { Announcement } from "./Member.ts"
import { emptied, type Message, partitionGroup, workerGroup } from "./Message.ts"
import { costMs } from "./RateLimit.ts"
import type { Claimed, Owner, StoredMessage } from "./Storage.ts"
import { Sums } from "./StorageMemoryCounting.ts"
import { Healths } from "./StorageMemoryHealth.ts"
import { deliveredSize, Inbox, type Stored } from "./StorageMemoryInbox.ts"
import { isExpired, isRetried, Lane, type Work } from "./StorageMemoryLane.ts"
import { Order } from "./StorageMemoryOrder.ts"
import type { Kept } from "./StorageMemoryReplaying.ts"
import type { Key } from "./StorageMemoryTransaction.ts"
import { isInternal, matchesEvent, ofGroup, ownGroup, type Subscription } from "./Subscription.ts"

/**
 * How a delivery ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface End {
  readonly status: DeliveryStatus
  readonly reason: DeliveryReason | undefined
  readonly externalId: string | undefined
  readonly lastError: string | undefined
  readonly completedAtMs: number
}

/**
 * How a delivery of a deleted subscription ends.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cancelled = (lastError: string | undefined, completedAtMs: number): End => ({
  status: "cancelled",
  reason: "deleted",
  externalId: undefined,
  lastError,
  completedAtMs
})

/** @category models @since 0.1.0 */
export interface Owned {
  readonly workerGroup: string
  readonly partition: number
  epoch: number
  runnerId: RunnerId | undefined
  claimableAtMs: number
  doubtfulSeq: number
}

/**
 * A worker group that is listened to: its messages that were routed since.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listened {
  position: number
  listenedAtMs: number
  messages: Array<{ readonly position: number; readonly stored: Stored; readonly atMs: number }>
}

/**
 * The tables.
 *
 * @category models
 * @since 0.1.0
 */
export class Tables {
  /** The last epoch, and the version of the subscriptions. */
  epoch = 0
  version = 0
  readonly messages = new Map<MessageId, Stored>()
  readonly connections = new Map<ConnectionId, Connection>()
  readonly replays = new Map<ReplayId, Kept>()
  /** The tenants' shorter terms, in days; and the days whose attempts are gone. */
  readonly tenantTerms = new Map<string, number>()
  readonly emptied = new Set<string>()
  readonly keptKeys = new Map<KeyId, ApiKey>()
  /** In the order of their coming. */
  readonly audit: Array<AuditEntry> = []
  /** Of messages that transactions have yet to commit. */
  readonly pending = new Set<MessageId>()
  /** Inboxes that are not empty, by worker group. */
  readonly inboxes = new Map<string, Inbox>()
  readonly work = new Map<DeliveryId, Work>()
  /** Lanes that are not empty, by worker group, and the same by subscription. */
  readonly lanes = new Map<string, Map<SubscriptionId, Lane>>()
  readonly lanesOf = new Map<SubscriptionId, Map<string, Lane>>()
  /** Unfinished deliveries by ordering key. */
  readonly order = new Order()
  readonly finished = new Map<DeliveryId, { readonly work: Work; readonly end: End }>()
  readonly attempts = new Map<DeliveryId, Array<AttemptRecord>>()
  readonly subscriptions = new Map<SubscriptionId, Subscription>()
  readonly deleted = new Map<SubscriptionId, Subscription>()
  readonly keys = new Map<string, Key>()
  /** When rate limits are filled up again. */
  readonly filled = new Map<SubscriptionId, number>()
  readonly healths = new Healths()
  /** How deliveries ended, and attempts. */
  readonly sums = new Sums()
  /** Of events whose messages are shared out. */
  readonly partitions = new Map<string, number>()
  readonly leases = new Map<RunnerId, number>()
  readonly announced = new Map<RunnerId, Announcement>()
  /** By worker group. */
  readonly listened = new Map<string, Listened>()
  readonly #owners = new Map<string, Owned>()
  readonly #ownedBy = new Map<RunnerId, Set<Owned>>()
  #seq = 0

  // -- connections

  usersOf(id: ConnectionId): ReadonlyArray<Subscription> {
    return [...this.subscriptions.values()].filter((subscription) => subscription.connectionId === id)
  }

  usedConnections(): ReadonlyArray<Connection> {
    const used = new Set([...this.subscriptions.values()].map(({ connectionId }) => connectionId))
    return [...this.connections.values()].filter(({ id }) => used.has(id))
  }

  // -- messages

  /** The last `seq` that was given away. */
  get lastSeq(): number {
    return this.#seq
  }

  /** A message with the next `seq`, stored by `insert` when its transaction commits. */
  prepare(message: Message): Stored {
    return {
      message,
      seq: ++this.#seq,
      workerGroup: partitionGroup(message, this.partitions.get(message.eventId) ?? 1),
      size: new TextEncoder().encode(message.payloadJson).length,
      state: { _tag: "Unrouted" },
      transformedJson: undefined
    }
  }

  insert(stored: Stored): void {
    this.pending.delete(stored.message.id)
    this.messages.set(stored.message.id, stored)
    this.enqueue(stored)
  }

  enqueue(stored: Stored): void {
    const inbox = this.inboxes.get(stored.workerGroup) ?? new Inbox()
    this.inboxes.set(stored.workerGroup, inbox)
    inbox.add(stored)
  }

  dequeue(stored: Stored): void {
    const inbox = this.inboxes.get(stored.workerGroup)
    inbox?.remove(stored)
    if (inbox?.isEmpty === true) this.inboxes.delete(stored.workerGroup)
  }

  /** Whether what a delivery would send is still there. */
  isKept({ message: { message } }: Pick<Work, "message">): boolean {
    return message.payloadJson !== emptied && this.messages.has(message.id)
  }

  // -- owners

  owned(group: { readonly workerGroup: string; readonly partition: number }): Owned {
    const key = `${group.workerGroup}#${group.partition}`
    const known = this.#owners.get(key)
    if (known) return known
    const { partition, workerGroup } = group
    const owned: Owned = { workerGroup, partition, epoch: 0, runnerId: undefined, claimableAtMs: 0, doubtfulSeq: 0 }
    this.#owners.set(key, owned)
    return owned
  }

  owners(): ReadonlyArray<Owned> {
    return [...this.#owners.values()]
  }

  ownedBy(runnerId: RunnerId): ReadonlySet<Owned> {
    return this.#ownedBy.get(runnerId) ?? new Set()
  }

  own(owned: Owned, runnerId: RunnerId | undefined): void {
    if (owned.runnerId !== undefined) {
      const before = this.#ownedBy.get(owned.runnerId)
      before?.delete(owned)
      if (before?.size === 0) this.#ownedBy.delete(owned.runnerId)
    }
    owned.runnerId = runnerId
    if (runnerId === undefined) return
    const after = this.#ownedBy.get(runnerId) ?? new Set()
    this.#ownedBy.set(runnerId, after)
    after.add(owned)
  }

  /** Those of the owners that were not superseded. */
  fenced(owners: ReadonlyArray<Owner>): ReadonlyArray<Owner> {
    return owners.filter((owner) => this.isFenced(owner))
  }

  isFenced(owner: Owner): boolean {
    return this.#owners.get(`${owner.workerGroup}#${owner.partition}`)?.epoch === owner.epoch
  }

  /** Whether a claim's owner can't finish it any more: it was superseded, or its runner's lease ran out. */
  isOrphaned(group: string, epoch: number, nowMs: number): boolean {
    const owned = this.#owners.get(`${group}#0`)
    if (owned === undefined || owned.epoch !== epoch || owned.runnerId === undefined) return true
    return (this.leases.get(owned.runnerId) ?? 0) <= nowMs
  }

  // -- deliveries

  lane(group: string, id: SubscriptionId): Lane | undefined {
    return this.lanes.get(group)?.get(id)
  }

  lanesIn(group: string): Iterable<Lane> {
    return this.lanes.get(group)?.values() ?? []
  }

  /** Takes an unfinished delivery in, to wait in its lane or as claimed. */
  add(work: Work): void {
    this.work.set(work.id, work)
    this.order.add(work)
    const { subscriptionId, workerGroup } = work
    const known = this.lane(workerGroup, subscriptionId)
    const lane = known ?? new Lane(workerGroup, subscriptionId)
    if (!known) {
      put(this.lanes, workerGroup, subscriptionId, lane)
      put(this.lanesOf, subscriptionId, workerGroup, lane)
    }
    if (work.epoch === undefined) lane.wait(work)
    else lane.hold(work, work.epoch)
  }

  /** A delivery that waits, of a subscription that was not deleted, with its lane. */
  waiting(id: DeliveryId): { readonly lane: Lane; readonly work: Work } | undefined {
    const work = this.work.get(id)
    const lane = work && this.lane(work.workerGroup, work.subscriptionId)
    return !work || !lane || work.epoch !== undefined || this.deleted.has(work.subscriptionId)
      ? undefined
      : { lane, work }
  }

  /** Lets a delivery wait where it belongs, whatever lane it was in. */
  settle(lane: Lane, work: Work): void {
    const home = this.homeOf(work)
    if (home === lane.workerGroup) return lane.wait(work)
    lane.remove(new Set([work]))
    this.#forget(lane)
    this.order.remove(work)
    work.workerGroup = home
    work.epoch = undefined
    this.add(work)
  }

  /** The group that owns a delivery while it waits. */
  homeOf(
    { message, subscriptionId, workerGroup: now }: Pick<Work, "message" | "subscriptionId" | "workerGroup">
  ): string {
    const subscription = this.subscriptions.get(subscriptionId) ?? this.deleted.get(subscriptionId)
    return (subscription && ownGroup(subscription)) ??
      // Where it was routed, in one of the event's partitions.
      (ofGroup(now) === undefined ? now : workerGroup(message.message.eventId))
  }

  /** Moves what waits of a subscription to where it belongs. */
  move(id: SubscriptionId): void {
    const lanes = [...this.lanesOf.get(id)?.values() ?? []]
    for (const lane of lanes) {
      for (const work of lane.waiting) if (this.homeOf(work) !== lane.workerGroup) this.settle(lane, work)
    }
  }

  /**
   * Whether a lane may be claimed from: it is where its subscription's deliveries belong, and what others had claimed of a
   * subscription has ended that got a group of its own.
   */
  isReady({ subscriptionId, workerGroup }: Lane): boolean {
    const subscription = this.subscriptions.get(subscriptionId)
    const own = subscription && ownGroup(subscription)
    if (own === undefined) return true
    const others = [...this.lanesOf.get(subscriptionId)?.values() ?? []].filter((lane) => lane.workerGroup !== own)
    return workerGroup === own && others.every((lane) => lane.claimed.size === 0)
  }

  /** How deliveries of an ordered subscription stand: whose turn it is, and who waits for what. */
  places(id: SubscriptionId): (work: Work) => "free" | "behind" | "early" {
    const subscription = this.subscriptions.get(id)
    const unrouted = new Map<string, number>()
    const of = ({ orderingKey, tenantId }: Message) => `${tenantId}\0${orderingKey}`
    for (const inbox of this.inboxes.values()) {
      for (const { message, seq } of inbox.first(Number.POSITIVE_INFINITY)) {
        if (message.orderingKey === undefined) continue
        if (subscription?.events.some((pattern) => matchesEvent(pattern, message.eventId)) !== true) continue
        unrouted.set(of(message), Math.min(seq, unrouted.get(of(message)) ?? seq))
      }
    }
    return (work) => {
      const { message, seq } = work.message
      if (message.orderingKey === undefined) return "free"
      if (this.order.isBehind(work)) return "behind"
      return (unrouted.get(of(message)) ?? Number.POSITIVE_INFINITY) < seq ? "early" : "free"
    }
  }

  /** Counts attempts that may have begun against a subscription's rate limit. */
  spend(id: SubscriptionId, attempts: number, nowMs: number): void {
    const rateLimit = this.subscriptions.get(id)?.rateLimit
    if (!rateLimit || attempts === 0) return
    this.filled.set(id, Math.max(this.filled.get(id) ?? 0, nowMs) + attempts * costMs(rateLimit))
  }

  isOrdered(id: SubscriptionId): boolean {
    return this.subscriptions.get(id)?.ordered === true
  }

  /** Ends deliveries of one lane. */
  finish(lane: Lane, works: ReadonlyArray<Work>, end: (work: Work) => End): void {
    if (works.length === 0) return
    lane.remove(new Set(works))
    for (const work of works) {
      this.work.delete(work.id)
      this.order.remove(work)
      const ended = end(work)
      this.finished.set(work.id, { work, end: ended })
      this.sums.add(work, ended.completedAtMs, { [ended.status]: 1 })
    }
    this.#forget(lane)
  }

  #forget(lane: Lane): void {
    if (!lane.isEmpty) return
    drop(this.lanes, lane.workerGroup, lane.subscriptionId)
    drop(this.lanesOf, lane.subscriptionId, lane.workerGroup)
  }

  /** Also of one that was deleted. */
  isWorkQueue(id: SubscriptionId): boolean {
    const found = this.subscriptions.get(id) ?? this.deleted.get(id)
    return found !== undefined && isInternal(found)
  }

  isActive(id: SubscriptionId): boolean {
    return this.subscriptions.get(id)?.enabled === true
  }

  // -- views

  message(stored: Stored): StoredMessage {
    return {
      ...stored.message,
      ...(stored.message.payloadJson === emptied ? { payloadJson: "null", bodyExpired: true } : {}),
      seq: stored.seq,
      state: stored.state
    }
  }

  claimed(work: Work): Claimed {
    const subscription = this.subscriptions.get(work.subscriptionId) ?? this.deleted.get(work.subscriptionId)
    return {
      workerGroup: work.workerGroup,
      deliveryId: work.id,
      messageId: work.message.message.id,
      subscriptionId: work.subscriptionId,
      subscriptionVersion: subscription?.version ?? 0,
      seq: work.message.seq,
      attemptCount: work.attempts,
      retryBase: work.retryBase,
      claims: work.claims,
      size: deliveredSize(work.message),
      ...(work.expiresAtMs === undefined ? {} : { expiresAtMs: work.expiresAtMs }),
      ...(work.webhookOf === undefined ? {} : { webhookOf: work.webhookOf })
    }
  }

  delivery(id: DeliveryId, nowMs: number): Delivery | undefined {
    const finished = this.finished.get(id)
    const work = finished?.work ?? this.work.get(id)
    if (!work) return undefined
    const { eventId, id: messageId, tenantId } = work.message.message
    const { completedAtMs, externalId, lastError, nextAttemptAtMs, reason, status } = finished
      ? { ...finished.end, nextAttemptAtMs: undefined }
      : this.#waiting(work, nowMs)
    return {
      id,
      messageId,
      eventId,
      subscriptionId: work.subscriptionId,
      tenantId,
      status,
      ...(reason === undefined ? {} : { reason }),
      attemptCount: work.attempts,
      ...(nextAttemptAtMs === undefined ? {} : { nextAttemptAtMs }),
      ...(externalId === undefined ? {} : { externalId }),
      ...(lastError === undefined ? {} : { lastError }),
      createdAtMs: timeOf(id),
      ...(completedAtMs === undefined ? {} : { completedAtMs })
    }
  }

  /** How an unfinished delivery shows: what it waits for is derived. */
  #waiting(work: Work, nowMs: number) {
    const { lastError } = work
    const none = { externalId: undefined, completedAtMs: undefined, lastError }
    if (this.deleted.has(work.subscriptionId)) {
      return { ...none, status: "cancelled", reason: "deleted", nextAttemptAtMs: undefined } as const
    }
    if (work.epoch === undefined && isExpired(work, nowMs)) {
      return { ...none, status: "failed", reason: "expired", nextAttemptAtMs: undefined } as const
    }
    return {
      ...none,
      status: isRetried(work) ? "retrying" : "pending",
      reason: this.#why(work, nowMs),
      nextAttemptAtMs: this.#isBehind(work) ? undefined : Math.max(
        work.dueAtMs,
        work.epoch === undefined ? this.healths.openUntilMs(work.subscriptionId) ?? 0 : 0
      )
    } as const
  }

  #why(work: Work, nowMs: number): DeliveryReason | undefined {
    if (!this.isActive(work.subscriptionId)) return "held"
    if (this.#isBehind(work)) return "blocked"
    if (work.epoch === undefined && this.isOpen(work.subscriptionId, nowMs)) return "circuit-open"
    return this.lacksCode(work) ? "code-missing" : undefined
  }

  /** Whether a subscription's circuit is open. */
  isOpen(id: SubscriptionId, nowMs: number): boolean {
    return (this.healths.openUntilMs(id) ?? 0) > nowMs
  }

  #isBehind(work: Work): boolean {
    return work.epoch === undefined && this.isOrdered(work.subscriptionId) && this.order.isBehind(work)
  }

  /** Whether the runner that owns a delivery's group says that it has other providers. */
  lacksCode({ subscriptionId, workerGroup }: Work): boolean {
    const runnerId = this.#owners.get(`${workerGroup}#0`)?.runnerId
    const announced = runnerId === undefined ? undefined : this.announced.get(runnerId)
    const providerId = this.subscriptions.get(subscriptionId)?.providerId
    return announced !== undefined && providerId !== undefined && !announced.providers.includes(providerId)
  }
}

// --- internal ---

const put = <A, B, C>(index: Map<A, Map<B, C>>, a: A, b: B, value: C): void => {
  const inner = index.get(a) ?? new Map<B, C>()
  index.set(a, inner)
  inner.set(b, value)
}

const drop = <A, B, C>(index: Map<A, Map<B, C>>, a: A, b: B): void => {
  const inner = index.get(a)
  inner?.delete(b)
  if (inner?.size === 0) index.delete(a)
}
