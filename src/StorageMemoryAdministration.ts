/**
 * Administration and reading in memory.
 */
import { Clock, Effect, Option } from "effect"
import { type DeliveryId, type SubscriptionId, timeOf } from "./Id.ts"
import { defaults } from "./Limits.ts"
import { workerGroup } from "./Message.ts"
import { hasEnded } from "./Replay.ts"
import type { Administration, Owner, Page, RetryAnswer, SkipAnswer } from "./Storage.ts"
import { isExpired, type Work } from "./StorageMemoryLane.ts"
import { cancelled, type Tables } from "./StorageMemoryTables.ts"
import { fits } from "./StorageMemoryWalking.ts"
import type { Subscription } from "./Subscription.ts"

/**
 * Makes the verbs of administration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Administration => ({ ...subscriptions(tables), ...reading(tables) })

// --- internal ---

type OfSubscriptions =
  | "createSubscription"
  | "ensureSubscription"
  | "updateSubscription"
  | "deleteSubscription"
  | "getSubscription"
  | "listSubscriptions"
  | "workQueues"
  | "health"
  | "claimants"

/** Applies a change. */
const changed = (tables: Tables, current: Subscription, change: (current: Subscription) => Subscription) => {
  const wanted = change(current)
  if (wanted === current) return current
  const next = { ...wanted, version: ++tables.version }
  tables.subscriptions.set(current.id, next)
  tables.move(current.id)
  // It may have been mended: it begins anew.
  const { config, connectionId, enabled } = current
  if (next.config !== config || next.connectionId !== connectionId || next.enabled !== enabled) {
    tables.healths.forget(current.id)
  }
  return next
}

const subscriptions = (tables: Tables): Pick<Administration, OfSubscriptions> => ({
  ensureSubscription: (subscription, change) =>
    Effect.sync(() => {
      for (const current of tables.subscriptions.values()) {
        if (current.tenantId === subscription.tenantId && current.providerId === subscription.providerId) {
          return changed(tables, current, change)
        }
      }
      const next = { ...subscription, version: ++tables.version }
      tables.subscriptions.set(subscription.id, next)
      return next
    }),
  createSubscription: (subscription) =>
    Effect.sync(() => {
      const version = ++tables.version
      tables.subscriptions.set(subscription.id, { ...subscription, version })
      return version
    }),
  updateSubscription: (id, change, message) =>
    Effect.sync(() => {
      const current = tables.subscriptions.get(id)
      if (!current) return Option.none()
      const next = changed(tables, current, change)
      if (message && next !== current) tables.insert(tables.prepare(message))
      return Option.some(next)
    }),
  deleteSubscription: (id) =>
    Effect.sync(() => {
      const current = tables.subscriptions.get(id)
      if (!current) return false
      tables.subscriptions.delete(id)
      tables.deleted.set(id, current)
      tables.healths.forget(id)
      tables.version++
      return true
    }),
  getSubscription: (id) => Effect.sync(() => Option.fromNullishOr(tables.subscriptions.get(id))),
  listSubscriptions: ({ connectionId, enabled, failing, tenantId }, by) =>
    Effect.sync(() =>
      page(
        [...tables.subscriptions.values()].filter((subscription) =>
          (tenantId === undefined || subscription.tenantId === tenantId) &&
          (connectionId === undefined || subscription.connectionId === connectionId) &&
          (enabled === undefined || subscription.enabled === enabled) &&
          (failing === undefined || failing === (tables.healths.of([subscription.id]).length > 0))
        ),
        by
      )
    ),
  workQueues: (ids) => Effect.sync(() => new Set(ids.filter((id) => tables.isWorkQueue(id)))),
  health: (ids) => Effect.sync(() => tables.healths.of(ids)),
  claimants: (id) => Effect.map(Clock.currentTimeMillis, (nowMs) => claimants(tables, id, nowMs))
})

const claimants = (tables: Tables, id: SubscriptionId, nowMs: number): ReadonlyArray<Owner> => {
  const claiming = [...tables.lanesOf.get(id)?.values() ?? []].flatMap(({ claimed, workerGroup }) =>
    [...claimed].map((work): Owner => ({ workerGroup, partition: 0, epoch: work.epoch ?? 0 }))
  )
  const ofEvents = tables.owners().filter((owned) => owned.workerGroup.startsWith(workerGroup("")))
    .sort((a, b) => a.workerGroup < b.workerGroup ? -1 : 1)
  const live = ofEvents.filter(({ runnerId }) => runnerId !== undefined && (tables.leases.get(runnerId) ?? 0) > nowMs)
  const ofRunners = [...Map.groupBy(live, ({ runnerId }) => runnerId).values()].flatMap(([first]) => first ?? [])
  const superseded = ofEvents.filter(({ claimableAtMs }) => claimableAtMs > nowMs).map((owned) => ({
    ...owned,
    epoch: 0
  }))
  const all = [...claiming, ...ofRunners, ...superseded]
    .map(({ epoch, partition, workerGroup }): Owner => ({ workerGroup, partition, epoch }))
  return [...new Map(all.map((owner) => [`${owner.epoch} ${owner.workerGroup}`, owner])).values()]
}

const reading = (tables: Tables): Omit<Administration, OfSubscriptions> => ({
  getMessage: (id) =>
    Effect.sync(() => Option.map(Option.fromNullishOr(tables.messages.get(id)), (stored) => tables.message(stored))),
  listMessages: ({ eventId, state, tenantId }, by) =>
    Effect.sync(() => {
      const found = page(
        [...tables.messages.values()].map((stored) => tables.message(stored)).filter((message) =>
          (tenantId === undefined || message.tenantId === tenantId) &&
          (eventId === undefined || message.eventId === eventId) &&
          (state === undefined || message.state._tag === "SetAside")
        ),
        { ...by, limit: by.limit + 1 }
      )
      let left = by.bytes
      const items = found.slice(0, by.limit).filter(({ id }, i) => {
        left -= tables.messages.get(id)?.size ?? 0
        return i === 0 || left >= 0
      })
      const more = found.length > items.length
      return { items, more, next: more ? items.at(-1)?.id : undefined }
    }),
  retryMessage: (id) =>
    Effect.sync(() => {
      const stored = tables.messages.get(id)
      if (!stored) return "NotFound"
      if (stored.state._tag !== "SetAside") return "NotRetryable"
      stored.state = { _tag: "Unrouted" }
      tables.enqueue(stored)
      return "Retried"
    }),
  getDelivery: (id) =>
    Effect.map(
      Clock.currentTimeMillis,
      (nowMs) =>
        Option.map(Option.fromNullishOr(tables.delivery(id, nowMs)), (delivery) => ({
          delivery,
          attempts: [...tables.attempts.get(id) ?? []]
        }))
    ),
  listDeliveries: (filter, by) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) =>
      page(
        [...tables.work.keys(), ...tables.finished.keys()].flatMap((id) => {
          const delivery = tables.delivery(id, nowMs)
          return delivery && fits(delivery, filter) ? [delivery] : []
        }),
        by
      )),
  retryDelivery: (id) => Effect.map(Clock.currentTimeMillis, (nowMs) => retryDelivery(tables, id, nowMs)),
  skipDelivery: (id) => Effect.map(Clock.currentTimeMillis, (nowMs) => skipDelivery(tables, id, nowMs)),
  blockedKeys: (id, { counted, cursor, limit }) =>
    Effect.map(
      Clock.currentTimeMillis,
      (nowMs) =>
        (tables.isOrdered(id) ? tables.order.of(id) : []).flatMap(([orderingKey, [work, ...behind]]) => {
          const head = work && work.attempts > work.retryBase ? tables.delivery(work.id, nowMs) : undefined
          return head && (cursor === undefined || orderingKey > cursor)
            ? [{ orderingKey, head, waiting: Math.min(counted, behind.length) }]
            : []
        }).slice(0, limit)
    ),
  partitions: Effect.sync(() => new Map([...tables.partitions].filter(([, count]) => count > 1))),
  setPartitions: (eventId, count) => Effect.sync(() => void tables.partitions.set(eventId, count)),
  // Here nothing is left of what is removed.
  clear: () => Effect.succeed(0),
  recount: () => Effect.succeed(0),
  // Here a change moves all at once.
  move: () => Effect.succeed(false),
  expire: (rows) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      const expired = [...tables.work.values()].flatMap((work) => {
        const lane = tables.lane(work.workerGroup, work.subscriptionId)
        return lane && work.epoch === undefined && isExpired(work, nowMs) && !tables.deleted.has(work.subscriptionId)
          ? [{ lane, work }]
          : []
      }).slice(0, rows)
      for (const { lane, work } of expired) {
        tables.finish(
          lane,
          [work],
          () => ({ ...cancelled(work.lastError, nowMs), status: "failed", reason: "expired" })
        )
      }
      return expired.length >= rows
    }),
  maintain: (options) => Effect.map(Clock.currentTimeMillis, (nowMs) => maintain(tables, options, nowMs))
})

const page = <A extends { readonly id: string }>(items: ReadonlyArray<A>, { cursor, limit }: Page): ReadonlyArray<A> =>
  items
    .filter((item) => cursor === undefined || item.id < cursor)
    .sort((a, b) => a.id < b.id ? 1 : -1)
    .slice(0, limit)

const retryDelivery = (tables: Tables, id: DeliveryId, nowMs: number): RetryAnswer => {
  const finished = tables.finished.get(id)
  const waiting = tables.waiting(id)
  if (waiting && waiting.work.attempts > waiting.work.retryBase) {
    waiting.lane.remove(new Set([waiting.work]))
    waiting.work.dueAtMs = nowMs
    waiting.lane.wait(waiting.work)
    return "Retried"
  }
  if (!finished) return tables.work.has(id) ? "NotRetryable" : "NotFound"
  const { end, work } = finished
  if (end.status === "success" || tables.deleted.has(work.subscriptionId)) return "NotRetryable"
  if (!tables.isKept(work)) return "NotKept"
  tables.finished.delete(id)
  tables.sums.add(work, end.completedAtMs, { [end.status]: -1 })
  tables.add({
    ...work,
    retryBase: work.attempts,
    // As in a database, where nobody remembers the partition.
    workerGroup: tables.homeOf({ ...work, workerGroup: workerGroup(work.message.message.eventId) }),
    claims: 0,
    epoch: undefined,
    dueAtMs: nowMs,
    // By hand it is tried all the same.
    expiresAtMs: undefined,
    lastError: undefined,
    replayId: undefined
  })
  return "Retried"
}

const skipDelivery = (tables: Tables, id: DeliveryId, nowMs: number): SkipAnswer => {
  const waiting = tables.waiting(id)
  if (!waiting) return tables.finished.has(id) || tables.work.has(id) ? "NotSkippable" : "NotFound"
  tables.finish(waiting.lane, [waiting.work], (work) => ({ ...cancelled(work.lastError, nowMs), reason: "skipped" }))
  return "Skipped"
}

const maintain = (
  tables: Tables,
  { broadcastKeptMs, heldMaxAgeMs, replaysKeptMs, rows }: Parameters<Administration["maintain"]>[0],
  nowMs: number
): boolean => {
  let left = rows
  for (const [id, lanes] of tables.lanesOf) {
    if (tables.isActive(id)) continue
    const deleted = tables.deleted.has(id)
    const disabledAtMs = tables.subscriptions.get(id)?.disabledAtMs ?? Number.POSITIVE_INFINITY
    // What is replayed begins to wait when it is replayed.
    const since = (work: Work) =>
      Math.max(timeOf(work.id), work.replayId === undefined ? 0 : work.dueAtMs, disabledAtMs)
    const ends = (work: Work) => deleted || nowMs - since(work) > heldMaxAgeMs
    for (const lane of lanes.values()) {
      const works = lane.waiting.filter(ends).slice(0, left)
      left -= works.length
      tables.finish(lane, works, (work) =>
        deleted
          ? cancelled(work.lastError, nowMs)
          : { ...cancelled(work.lastError, nowMs), status: "failed", reason: "expired" })
    }
  }
  for (const [workerGroup, group] of tables.listened) {
    group.messages = group.messages.filter(({ atMs }) => nowMs - atMs <= broadcastKeptMs)
    if (nowMs - group.listenedAtMs > broadcastKeptMs) tables.listened.delete(workerGroup)
  }
  for (const [id, { replay }] of tables.replays) {
    if (hasEnded(replay) && nowMs - replay.updatedAtMs > replaysKeptMs) tables.replays.delete(id)
  }
  tables.sums.forget(nowMs - defaults.statsKeptMs)
  let keys = rows
  for (const [key, { expiresAtMs, pending }] of tables.keys) {
    if (keys === 0) break
    if (pending || expiresAtMs > nowMs) continue
    tables.keys.delete(key)
    keys--
  }
  return left === 0 || keys === 0
}
