/**
 * The storage in memory, for tests and programs that may forget: the same rules as the database's, with transactions of its
 * own that roll back.
 */
import { Clock, Context, Effect, Layer, Option } from "effect"
import type { AttemptRecord, Delivery, DeliveryReason, DeliveryStatus, Transition } from "./Delivery.ts"
import { type DeliveryId, type MessageId, type RunnerId, type SubscriptionId, timeOf } from "./Id.ts"
import { type Message, type MessageState, workerGroup } from "./Message.ts"
import {
  type Claimed,
  type DeliveryFilter,
  type Due,
  type Owner,
  type Page,
  Storage,
  type StoredMessage
} from "./Storage.ts"
import type { Subscription } from "./Subscription.ts"

// -- service

/**
 * Transactions of the memory storage.
 *
 * @category services
 * @since 0.1.0
 */
export class MemoryTransactions extends Context.Service<MemoryTransactions, {
  /**
   * Runs an effect as a transaction: what it and its children emit is stored when it succeeds and forgotten when it fails
   * or is interrupted. One inside another is a savepoint.
   */
  readonly withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("hookline/StorageMemory/MemoryTransactions") {}

/**
 * Layer of an empty storage.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Storage | MemoryTransactions> = Layer.effectContext(Effect.sync(() => {
  const database = new Database()
  return Context.make(Storage, storageOf(database)).pipe(
    Context.add(MemoryTransactions, { withTransaction })
  )
}))

// --- internal ---

interface Transaction {
  readonly appends: Array<() => void>
  readonly callbacks: Array<Effect.Effect<void>>
}

const CurrentTransaction = Context.Reference<Transaction | undefined>("hookline/StorageMemory/CurrentTransaction", {
  defaultValue: () => undefined
})

interface Work {
  readonly id: DeliveryId
  readonly message: Stored
  readonly subscriptionId: SubscriptionId
  readonly workerGroup: string
  attempts: number
  retryBase: number
  claims: number
  epoch: number | undefined
  dueAtMs: number
  lastError: string | undefined
}

interface Finished {
  readonly work: Work
  readonly status: DeliveryStatus
  readonly reason: DeliveryReason | undefined
  readonly externalId: string | undefined
  readonly lastError: string | undefined
  readonly completedAtMs: number
}

interface Stored extends Message {
  readonly seq: number
  state: MessageState
  transformedJson: string | undefined
}

interface Owned {
  epoch: number
  runnerId: RunnerId | undefined
  claimableAtMs: number
}

/** The tables, and what several verbs do with them. */
class Database {
  seq = 0
  epoch = 0
  version = 0
  readonly messages = new Map<MessageId, Stored>()
  readonly inbox = new Map<string, Map<number, Stored>>()
  /** Unfinished deliveries by group and subscription: the lanes. */
  readonly lanes = new Map<string, Map<SubscriptionId, Map<DeliveryId, Work>>>()
  readonly work = new Map<DeliveryId, Work>()
  readonly finished = new Map<DeliveryId, Finished>()
  readonly attempts = new Map<DeliveryId, Array<AttemptRecord>>()
  readonly subscriptions = new Map<SubscriptionId, Subscription>()
  readonly deleted = new Set<SubscriptionId>()
  readonly leases = new Map<RunnerId, number>()
  readonly owners = new Map<string, Owned>()
  readonly keys = new Map<string, { messageId: MessageId; contentHash: string; expiresAtMs: number }>()

  append(message: Message): void {
    const stored: Stored = { ...message, seq: ++this.seq, state: { _tag: "Unrouted" }, transformedJson: undefined }
    this.messages.set(message.id, stored)
    this.enqueue(stored)
  }

  enqueue(stored: Stored): void {
    const group = workerGroup(stored.eventId)
    const queue = this.inbox.get(group) ?? new Map<number, Stored>()
    this.inbox.set(group, queue)
    queue.set(stored.seq, stored)
  }

  fenced(owner: Owner): boolean {
    return this.owners.get(ownerKey(owner))?.epoch === owner.epoch
  }

  lane(group: string, id: SubscriptionId): Map<DeliveryId, Work> {
    return this.lanes.get(group)?.get(id) ?? new Map<DeliveryId, Work>()
  }

  add(work: Work): void {
    this.work.set(work.id, work)
    const lanes = this.lanes.get(work.workerGroup) ?? new Map<SubscriptionId, Map<DeliveryId, Work>>()
    this.lanes.set(work.workerGroup, lanes)
    const lane = lanes.get(work.subscriptionId) ?? new Map<DeliveryId, Work>()
    lanes.set(work.subscriptionId, lane)
    lane.set(work.id, work)
  }

  finish(work: Work, end: Omit<Finished, "work">): void {
    this.work.delete(work.id)
    const lanes = this.lanes.get(work.workerGroup)
    const lane = lanes?.get(work.subscriptionId)
    lane?.delete(work.id)
    if (lane?.size === 0) lanes?.delete(work.subscriptionId)
    this.finished.set(work.id, { ...end, work })
  }

  active(id: SubscriptionId): Subscription | undefined {
    const subscription = this.subscriptions.get(id)
    return subscription?.enabled === true ? subscription : undefined
  }

  claimed(work: Work): Claimed {
    return {
      workerGroup: work.workerGroup,
      deliveryId: work.id,
      messageId: work.message.id,
      subscriptionId: work.subscriptionId,
      subscriptionVersion: this.subscriptions.get(work.subscriptionId)?.version ?? 0,
      seq: work.message.seq,
      attemptCount: work.attempts,
      retryBase: work.retryBase,
      claims: work.claims
    }
  }

  view(id: DeliveryId): Delivery | undefined {
    const finished = this.finished.get(id)
    const work = finished?.work ?? this.work.get(id)
    if (!work) return undefined
    const deleted = this.deleted.has(work.subscriptionId)
    const reason: DeliveryReason | undefined = finished
      ? finished.reason
      : deleted
      ? "deleted"
      : this.active(work.subscriptionId)
      ? undefined
      : "held"
    const lastError = finished ? finished.lastError : work.lastError
    return {
      id,
      messageId: work.message.id,
      eventId: work.message.eventId,
      subscriptionId: work.subscriptionId,
      tenantId: work.message.tenantId,
      status: finished?.status ?? (deleted ? "cancelled" : work.attempts > work.retryBase ? "retrying" : "pending"),
      ...(reason === undefined ? {} : { reason }),
      attemptCount: work.attempts,
      ...(finished || deleted ? {} : { nextAttemptAtMs: work.dueAtMs }),
      ...(finished?.externalId === undefined ? {} : { externalId: finished.externalId }),
      ...(lastError === undefined ? {} : { lastError }),
      createdAtMs: timeOf(id),
      ...(finished ? { completedAtMs: finished.completedAtMs } : {})
    }
  }
}

const ownerKey = (group: { readonly workerGroup: string; readonly partition: number }) =>
  `${group.workerGroup}#${group.partition}`

const withTransaction = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const outer = yield* CurrentTransaction
    const inner: Transaction = { appends: [], callbacks: [] }
    const result = yield* Effect.provideService(effect, CurrentTransaction, inner)
    if (outer) {
      outer.appends.push(...inner.appends)
      outer.callbacks.push(...inner.callbacks)
    } else {
      for (const append of inner.appends) append()
      yield* Effect.uninterruptible(Effect.all(inner.callbacks, { discard: true }))
    }
    return result
  })

const byDue = (a: Work, b: Work) => a.dueAtMs - b.dueAtMs || a.message.seq - b.message.seq

const page = <A extends { readonly id: string }>(items: Iterable<A>, { cursor, limit }: Page): ReadonlyArray<A> =>
  [...items]
    .filter((item) => cursor === undefined || item.id < cursor)
    .sort((a, b) => a.id < b.id ? 1 : -1)
    .slice(0, limit)

const storageOf = (db: Database): Storage["Service"] => {
  const now = Clock.currentTimeMillis
  const sync = Effect.sync
  const atomically = (append: () => void) =>
    Effect.map(CurrentTransaction, (transaction) => {
      if (transaction) transaction.appends.push(append)
      else append()
    })

  return Storage.of({
    now,
    inTransaction: Effect.map(CurrentTransaction, (transaction) => transaction !== undefined),
    append: (messages) =>
      atomically(() => {
        for (const message of messages) db.append(message)
      }),
    appendOnce: (message, { contentHash, key, ttlMs }) =>
      Effect.gen(function*() {
        const id = `${message.tenantId}\0${key}`
        const nowMs = yield* now
        const known = db.keys.get(id)
        if (known && known.expiresAtMs > nowMs) {
          return known.contentHash === contentHash
            ? { _tag: "Repeated", messageId: known.messageId } as const
            : { _tag: "Conflict", messageId: known.messageId } as const
        }
        yield* atomically(() => {
          db.keys.set(id, { messageId: message.id, contentHash, expiresAtMs: nowMs + ttlMs })
          db.append(message)
        })
        return { _tag: "Appended" } as const
      }),
    afterCommit: (effect) =>
      Effect.flatMap(
        CurrentTransaction,
        (transaction) => transaction ? Effect.asVoid(sync(() => transaction.callbacks.push(effect))) : effect
      ),

    subscriptions: sync(() => ({ version: db.version, items: [...db.subscriptions.values()] })),
    renewLease: (runnerId, leaseMs) =>
      Effect.map(now, (nowMs) => {
        db.leases.set(runnerId, nowMs + leaseMs)
        return [...db.owners].filter(([, owned]) => owned.runnerId === runnerId).map(([key, { epoch }]): Owner => ({
          workerGroup: key.slice(0, key.lastIndexOf("#")),
          partition: Number(key.slice(key.lastIndexOf("#") + 1)),
          epoch
        }))
      }),
    returnLease: (runnerId) => sync(() => void db.leases.delete(runnerId)),
    takeOver: (runnerId, group) =>
      Effect.map(now, (nowMs) => {
        const owned = db.owners.get(ownerKey(group)) ?? { epoch: 0, runnerId: undefined, claimableAtMs: 0 }
        const lease = owned.runnerId === undefined || owned.runnerId === runnerId
          ? nowMs
          : db.leases.get(owned.runnerId) ?? nowMs
        const next: Owned = {
          epoch: ++db.epoch,
          runnerId,
          claimableAtMs: Math.max(nowMs, owned.claimableAtMs, lease)
        }
        db.owners.set(ownerKey(group), next)
        return { owner: { ...group, epoch: next.epoch }, claimableAtMs: next.claimableAtMs }
      }),
    giveBack: (owners) =>
      Effect.map(now, (nowMs) => {
        for (const owner of owners) {
          const owned = db.owners.get(ownerKey(owner))
          if (owned?.epoch === owner.epoch) {
            owned.runnerId = undefined
            owned.claimableAtMs = Math.min(owned.claimableAtMs, nowMs)
          }
        }
      }),
    recover: (owners, crashedClaims) =>
      Effect.map(now, (nowMs) => {
        for (const owner of owners.filter((owner) => db.fenced(owner))) {
          for (const lane of db.lanes.get(owner.workerGroup)?.values() ?? []) {
            for (const work of lane.values()) {
              if (work.epoch === undefined || work.epoch >= owner.epoch) continue
              work.epoch = undefined
              if (work.claims >= crashedClaims) {
                db.finish(work, {
                  status: "failed",
                  reason: "crashed-owner",
                  externalId: undefined,
                  lastError: `Its runner stopped ${work.claims} times while it was delivering.`,
                  completedAtMs: nowMs
                })
              }
            }
          }
        }
      }),
    due: ({ aheadMs, workerGroups }) =>
      Effect.map(now, (nowMs) => {
        const groups = workerGroups ?? new Set([...db.inbox.keys(), ...db.lanes.keys()])
        const found: Array<Due> = []
        for (const group of groups) {
          const unrouted = [...db.inbox.get(group)?.values() ?? []].some((message) => message.state._tag === "Unrouted")
          const lanes: Array<Due["lanes"][number]> = []
          for (const [subscriptionId, lane] of db.lanes.get(group) ?? []) {
            if (!db.active(subscriptionId)) continue
            let dueAtMs = Number.POSITIVE_INFINITY
            for (const work of lane.values()) if (work.epoch === undefined) dueAtMs = Math.min(dueAtMs, work.dueAtMs)
            if (dueAtMs <= nowMs + aheadMs) lanes.push({ subscriptionId, dueAtMs })
          }
          if (unrouted || lanes.length > 0) found.push({ workerGroup: group, unrouted, lanes })
        }
        return found
      }),
    unrouted: (owners, limits) =>
      sync(() => {
        const waiting = owners.filter((owner) => db.fenced(owner)).flatMap((owner) =>
          [...db.inbox.get(owner.workerGroup)?.values() ?? []].filter((message) => message.state._tag === "Unrouted")
        ).sort((a, b) => a.seq - b.seq).slice(0, limits.messages)
        let bytes = 0
        return waiting.filter((message, i) => {
          bytes += message.payloadJson.length
          return i === 0 || bytes <= limits.bytes
        }).map((message) => ({ ...message, workerGroup: workerGroup(message.eventId) }))
      }),
    route: (routing) =>
      Effect.map(now, (nowMs) => {
        if (routing.version !== db.version) return { _tag: "Stale" } as const
        const routed = new Map<MessageId, { readonly stored: Stored; readonly owner: Owner }>()
        for (const { error, filtered, matched, messageId, owner, transformedJson } of routing.messages) {
          const stored = db.messages.get(messageId)
          if (!stored || !db.fenced(owner) || stored.state._tag !== "Unrouted") continue
          if (error === undefined) {
            stored.state = { _tag: "Routed", atMs: nowMs, matched, filtered }
            stored.transformedJson = transformedJson
          } else {
            stored.state = { _tag: "SetAside", atMs: nowMs, error }
          }
          db.inbox.get(owner.workerGroup)?.delete(stored.seq)
          routed.set(messageId, { stored, owner })
        }
        for (const { claimed, id, messageId, subscriptionId } of routing.deliveries) {
          const found = routed.get(messageId)
          if (!found) continue
          db.add({
            id,
            message: found.stored,
            subscriptionId,
            workerGroup: found.owner.workerGroup,
            attempts: 0,
            retryBase: 0,
            claims: claimed ? 1 : 0,
            epoch: claimed ? found.owner.epoch : undefined,
            dueAtMs: nowMs,
            lastError: undefined
          })
        }
        return { _tag: "Routed", messageIds: [...routed.keys()] } as const
      }),
    claim: ({ lanes, limit, owners, suspect, suspectClaims }) =>
      Effect.map(now, (nowMs) => {
        const fenced = new Map(owners.filter((owner) => db.fenced(owner)).map((owner) => [owner.workerGroup, owner]))
        const claimed: Array<Claimed> = []
        const next: Array<{ workerGroup: string; subscriptionId: SubscriptionId; dueAtMs: number }> = []
        const take = (work: Work, owner: Owner) => {
          work.epoch = owner.epoch
          work.claims++
          claimed.push(db.claimed(work))
        }
        for (const { free, subscriptionId, workerGroup } of lanes) {
          const owner = fenced.get(workerGroup)
          if (!owner || !db.active(subscriptionId)) continue
          const waiting = [...db.lane(workerGroup, subscriptionId).values()]
            .filter((work) => work.epoch === undefined && work.claims < suspectClaims).sort(byDue)
          const due = waiting.filter((work) => work.dueAtMs <= nowMs).slice(0, Math.min(free, limit - claimed.length))
          for (const work of due) take(work, owner)
          const left = waiting[due.length]
          if (left) next.push({ workerGroup, subscriptionId, dueAtMs: left.dueAtMs })
        }
        if (suspect && claimed.length < limit) {
          for (const owner of fenced.values()) {
            const found = [...db.lanes.get(owner.workerGroup)?.values() ?? []].flatMap((lane) => [...lane.values()])
              .filter((work) =>
                work.epoch === undefined && work.claims >= suspectClaims && work.dueAtMs <= nowMs &&
                db.active(work.subscriptionId)
              ).sort(byDue)[0]
            if (!found) continue
            take(found, owner)
            break
          }
        }
        return { claimed, next }
      }),
    load: (claims) =>
      sync(() => ({
        messages: [...new Set(claims.map((claim) => claim.messageId))].flatMap((id) => {
          const stored = db.messages.get(id)
          return stored ? [{ ...stored, payloadJson: stored.transformedJson ?? stored.payloadJson }] : []
        }),
        attempts: claims.flatMap(({ deliveryId }) =>
          (db.attempts.get(deliveryId) ?? []).map((attempt) => ({ deliveryId, attempt }))
        )
      })),
    held: (owners) =>
      sync(() =>
        owners.filter((owner) => db.fenced(owner)).flatMap((owner) =>
          [...db.lanes.get(owner.workerGroup)?.values() ?? []].flatMap((lane) =>
            [...lane.values()].filter((work) => work.epoch === owner.epoch).map((work) => db.claimed(work))
          )
        )
      ),
    release: (owner, ids) =>
      sync(() => {
        for (const id of db.fenced(owner) ? ids : []) {
          const work = db.work.get(id)
          if (work?.epoch !== owner.epoch) continue
          work.epoch = undefined
          work.claims--
        }
      }),
    record: (outcomes) =>
      Effect.map(now, (nowMs) => {
        const recorded: Array<DeliveryId> = []
        for (const { attempt, attemptCount, deliveryId, owner, transition } of outcomes) {
          const work = db.work.get(deliveryId)
          if (!work || !db.fenced(owner) || work.epoch !== owner.epoch || work.attempts !== attemptCount) continue
          work.attempts++
          work.claims = 0
          work.epoch = undefined
          db.attempts.set(deliveryId, [...db.attempts.get(deliveryId) ?? [], attempt])
          apply(db, work, transition, nowMs)
          recorded.push(deliveryId)
        }
        return recorded
      }),

    createSubscription: (subscription) =>
      sync(() => {
        const version = ++db.version
        db.subscriptions.set(subscription.id, { ...subscription, version })
        return version
      }),
    updateSubscription: (id, change) =>
      sync(() => {
        const current = db.subscriptions.get(id)
        if (!current) return Option.none()
        const changed = change(current)
        if (changed === current) return Option.some(current)
        const next = { ...changed, version: ++db.version }
        db.subscriptions.set(id, next)
        return Option.some(next)
      }),
    deleteSubscription: (id) =>
      sync(() => {
        if (!db.subscriptions.delete(id)) return false
        db.version++
        db.deleted.add(id)
        return true
      }),
    getSubscription: (id) => sync(() => Option.fromNullishOr(db.subscriptions.get(id))),
    listSubscriptions: ({ enabled, tenantId }, by) =>
      sync(() =>
        page(
          [...db.subscriptions.values()].filter((subscription) =>
            (tenantId === undefined || subscription.tenantId === tenantId) &&
            (enabled === undefined || subscription.enabled === enabled)
          ),
          by
        )
      ),
    claimants: (id) =>
      sync(() => {
        const owners = new Map<string, Owner>()
        for (const work of db.work.values()) {
          if (work.subscriptionId !== id || work.epoch === undefined) continue
          owners.set(work.workerGroup, { workerGroup: work.workerGroup, partition: 0, epoch: work.epoch })
        }
        return [...owners.values()]
      }),
    getMessage: (id) => sync(() => Option.fromNullishOr(db.messages.get(id))),
    listMessages: ({ eventId, tenantId }, by) =>
      sync((): ReadonlyArray<StoredMessage> =>
        page(
          [...db.messages.values()].filter((message) =>
            (tenantId === undefined || message.tenantId === tenantId) &&
            (eventId === undefined || message.eventId === eventId)
          ),
          by
        )
      ),
    retryMessage: (id) =>
      sync(() => {
        const stored = db.messages.get(id)
        if (!stored) return "NotFound"
        if (stored.state._tag !== "SetAside") return "NotRetryable"
        stored.state = { _tag: "Unrouted" }
        db.enqueue(stored)
        return "Retried"
      }),
    getDelivery: (id) =>
      sync(() =>
        Option.map(Option.fromNullishOr(db.view(id)), (delivery) => ({
          delivery,
          attempts: db.attempts.get(id) ?? []
        }))
      ),
    listDeliveries: (filter, by) =>
      sync(() =>
        page(
          [...db.work.keys(), ...db.finished.keys()].flatMap((id) => {
            const delivery = db.view(id)
            return delivery && fits(delivery, filter) ? [delivery] : []
          }),
          by
        )
      ),
    retryDelivery: (id) =>
      Effect.map(now, (nowMs) => {
        const finished = db.finished.get(id)
        if (!finished) return db.work.has(id) ? "NotRetryable" : "NotFound"
        const { work } = finished
        if (finished.status === "success" || db.deleted.has(work.subscriptionId)) return "NotRetryable"
        db.finished.delete(id)
        db.add({ ...work, retryBase: work.attempts, claims: 0, epoch: undefined, dueAtMs: nowMs, lastError: undefined })
        return "Retried"
      }),
    maintain: ({ heldMaxAgeMs, rows }) =>
      Effect.map(now, (nowMs) => {
        let left = rows
        for (const work of db.work.values()) {
          if (left === 0) return true
          if (work.epoch !== undefined) continue
          const deleted = db.deleted.has(work.subscriptionId)
          const expired = !db.active(work.subscriptionId) && nowMs - timeOf(work.id) > heldMaxAgeMs
          if (!deleted && !expired) continue
          left--
          db.finish(work, {
            status: deleted ? "cancelled" : "failed",
            reason: deleted ? "deleted" : "expired",
            externalId: undefined,
            lastError: work.lastError,
            completedAtMs: nowMs
          })
        }
        for (const [key, { expiresAtMs }] of db.keys) if (expiresAtMs <= nowMs) db.keys.delete(key)
        return false
      })
  })
}

const apply = (db: Database, work: Work, transition: Transition, nowMs: number): void => {
  work.lastError = transition.lastError
  if (transition._tag === "Final") {
    const { externalId, lastError, reason, status } = transition
    db.finish(work, { status, reason, externalId, lastError, completedAtMs: nowMs })
  } else if (db.deleted.has(work.subscriptionId)) {
    db.finish(work, {
      status: "cancelled",
      reason: "deleted",
      externalId: undefined,
      lastError: transition.lastError,
      completedAtMs: nowMs
    })
  } else {
    work.dueAtMs = transition.dueAtMs
  }
}

const fits = (delivery: Delivery, filter: DeliveryFilter): boolean =>
  (filter.tenantId === undefined || delivery.tenantId === filter.tenantId) &&
  (filter.subscriptionId === undefined || delivery.subscriptionId === filter.subscriptionId) &&
  (filter.eventId === undefined || delivery.eventId === filter.eventId) &&
  (filter.messageId === undefined || delivery.messageId === filter.messageId) &&
  (filter.status === undefined || delivery.status === filter.status) &&
  (filter.reason === undefined || delivery.reason === filter.reason) &&
  (filter.fromMs === undefined || delivery.createdAtMs >= filter.fromMs) &&
  (filter.toMs === undefined || delivery.createdAtMs <= filter.toMs)
