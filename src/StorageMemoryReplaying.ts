/**
 * Replays in memory: each portion is one synchronous step.
 */
import { Clock, Effect, Option } from "effect"
import { type DeliveryId, type ReplayId, timeOf } from "./Id.ts"
import { allTenants, workerGroup } from "./Message.ts"
import type { Replay, ReplayScope } from "./Replay.ts"
import type { Replaying, ReplaySome } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * A replay as it is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kept {
  replay: Replay
  /** The delivery that it has come to, and the last that there was. */
  reached: DeliveryId | undefined
  readonly until: DeliveryId | undefined
  nextAtMs: number
}

/**
 * Makes the verbs of replaying.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Replaying => {
  const atNow = <A>(verb: (nowMs: number) => A) => Effect.map(Clock.currentTimeMillis, verb)
  return {
    createReplay: (replay, most) =>
      atNow((nowMs) => {
        const kept = [...tables.replays.values()].filter((one) =>
          one.replay.tenantId === replay.tenantId && /^(running|paused)$/u.test(one.replay.state)
        )
        if (kept.length >= most) return Option.none()
        const created: Replay = {
          ...replay,
          state: "running",
          replayed: 0,
          skipped: 0,
          notKept: 0,
          reachedMs: undefined,
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
          completedAtMs: undefined
        }
        let until: DeliveryId | undefined
        for (const id of tables.finished.keys()) if (until === undefined || id > until) until = id
        tables.replays.set(replay.id, { replay: created, reached: undefined, until, nextAtMs: nowMs })
        return Option.some(created)
      }),
    getReplay: (id) => Effect.sync(() => Option.fromUndefinedOr(tables.replays.get(id)?.replay)),
    listReplays: ({ state, tenantId }, { cursor, limit }) =>
      Effect.sync(() =>
        [...tables.replays.values()].map(({ replay }) => replay)
          .filter((replay) =>
            (tenantId ?? replay.tenantId) === replay.tenantId && (state ?? replay.state) === replay.state &&
            (cursor === undefined || replay.id < cursor)
          )
          .sort((a, b) => a.id < b.id ? 1 : -1)
          .slice(0, limit)
      ),
    changeReplay: (id, { from, to }) =>
      atNow((nowMs) => {
        const kept = tables.replays.get(id)
        if (!kept?.replay || !from.includes(kept.replay.state)) return Option.none()
        kept.replay = { ...kept.replay, state: to, updatedAtMs: nowMs }
        kept.nextAtMs = nowMs
        return Option.some(kept.replay)
      }),
    countReplay: (scope, look) =>
      Effect.sync(() => {
        const all = meant(tables, scope)
        return { matched: Math.min(all.length, look), isAtLeast: all.length >= look }
      }),
    replaySome: (options) => atNow((nowMs) => replaySome(tables, options, nowMs))
  }
}

// --- internal ---

const replaySome = (
  tables: Tables,
  { intervalMs, rows, waiting }: Parameters<Replaying["replaySome"]>[0],
  nowMs: number
): ReplaySome => {
  const [kept] = [...tables.replays.values()].filter(({ replay }) => replay.state === "running")
    .sort((a, b) => a.nextAtMs - b.nextAtMs)
  if (!kept) return { _tag: "Idle", nextMs: undefined }
  if (kept.nextAtMs > nowMs) return { _tag: "Idle", nextMs: kept.nextAtMs - nowMs }
  const { replay } = kept
  const none = { _tag: "Portion", replayId: replay.id, replayed: 0, skipped: 0, workerGroups: [] } as const
  if (waitingOf(tables, replay.id, nowMs) >= waiting) {
    kept.nextAtMs = nowMs + intervalMs
    return { ...none, isCompleted: false }
  }
  const left = meant(tables, replay).filter((id) =>
    (kept.reached === undefined || id > kept.reached) && id <= (kept.until ?? "") &&
    (tables.finished.get(id)?.end.completedAtMs ?? 0) <= replay.createdAtMs
  )
  const ids = left.slice(0, rows)
  const notKept = ids.filter((id) => {
    const work = tables.finished.get(id)?.work
    return work !== undefined && !tables.deleted.has(work.subscriptionId) && !tables.isKept(work)
  }).length
  const groups = ids.flatMap((id) => again(tables, id, replay, nowMs) ?? [])
  const isCompleted = left.length < rows
  kept.reached = ids.at(-1) ?? kept.reached
  kept.nextAtMs = groups.length > 0 ? nowMs + intervalMs : nowMs
  kept.replay = {
    ...replay,
    state: isCompleted ? "completed" : "running",
    replayed: replay.replayed + groups.length,
    skipped: replay.skipped + ids.length - groups.length,
    notKept: replay.notKept + notKept,
    reachedMs: kept.reached && timeOf(kept.reached),
    updatedAtMs: nowMs,
    completedAtMs: isCompleted ? nowMs : undefined
  }
  return {
    ...none,
    replayed: groups.length,
    skipped: ids.length - groups.length,
    isCompleted,
    workerGroups: [...new Set(groups)]
  }
}

/** The deliveries that are meant, oldest first. */
const meant = (tables: Tables, { filter, tenantId }: ReplayScope): ReadonlyArray<DeliveryId> =>
  [...tables.finished].flatMap(([id, { end, work }]) => {
    const { message } = work.message
    const isMeant = end.status === filter.status && (filter.reason ?? end.reason) === end.reason &&
      (tenantId === allTenants ||
        (message.tenantId === tenantId &&
          (filter.subscriptionId !== undefined || !tables.isWorkQueue(work.subscriptionId)))) &&
      (filter.subscriptionId ?? work.subscriptionId) === work.subscriptionId &&
      (filter.eventId ?? message.eventId) === message.eventId && (filter.messageId ?? message.id) === message.id &&
      timeOf(id) >= (filter.fromMs ?? 0) && timeOf(id) <= (filter.toMs ?? Number.POSITIVE_INFINITY)
    return isMeant ? [id] : []
  }).sort()

/** Deliveries of a replay that could begin a first attempt and have not. */
const waitingOf = (tables: Tables, id: ReplayId, nowMs: number): number =>
  [...tables.work.values()].filter((work) =>
    work.replayId === id && work.epoch === undefined && work.attempts === work.retryBase && work.dueAtMs <= nowMs &&
    tables.isActive(work.subscriptionId) && !tables.isOpen(work.subscriptionId, nowMs) && !tables.lacksCode(work) &&
    !(tables.isOrdered(work.subscriptionId) && tables.order.isBehind(work))
  ).length

/** Lets a delivery wait again; tells the group that it waits in, none where its subscription or what it would send is gone. */
const again = (tables: Tables, id: DeliveryId, { freshWebhookId, id: replayId }: Replay, nowMs: number) => {
  const finished = tables.finished.get(id)
  if (!finished || tables.deleted.has(finished.work.subscriptionId) || !tables.isKept(finished.work)) return undefined
  const { end, work } = finished
  tables.finished.delete(id)
  tables.sums.add(work, end.completedAtMs, { [end.status]: -1 })
  // As in a database, where nobody remembers the partition.
  const home = tables.homeOf({ ...work, workerGroup: workerGroup(work.message.message.eventId) })
  tables.add({
    ...work,
    retryBase: work.attempts,
    workerGroup: home,
    claims: 0,
    epoch: undefined,
    dueAtMs: nowMs,
    expiresAtMs: undefined,
    lastError: undefined,
    replayId,
    webhookOf: freshWebhookId ? replayId : undefined
  })
  return home
}
