/**
 * Dispatching in memory: each verb is one synchronous step, fenced by the owners' epochs.
 */
import { Clock, Effect } from "effect"
import { outline, succeeded } from "./Delivery.ts"
import type { DeliveryId, MessageId, SubscriptionId } from "./Id.ts"
import { baseGroup } from "./Message.ts"
import type {
  Claimed,
  Claims,
  Completed,
  Dispatching,
  Due,
  Loaded,
  Outcome,
  Owner,
  Routed,
  Routing,
  Waiting
} from "./Storage.ts"
import { deliveredSize, type Inbox, type Stored } from "./StorageMemoryInbox.ts"
import { byDue, type Lane, type Work } from "./StorageMemoryLane.ts"
import { cancelled, type End, type Tables } from "./StorageMemoryTables.ts"

type Verbs =
  | "subscriptions"
  | "due"
  | "unrouted"
  | "route"
  | "complete"
  | "claim"
  | "load"
  | "held"
  | "release"
  | "filled"
  | "unpark"
  | "warn"
  | "record"
type Options<Verb extends "due" | "claim"> = Parameters<Dispatching[Verb]>[0]

/**
 * Makes the verbs of dispatching.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Pick<Dispatching, Verbs> => {
  const atNow = <A>(verb: (nowMs: number) => A) => Effect.map(Clock.currentTimeMillis, verb)
  return {
    subscriptions: Effect.sync(() => ({
      version: tables.version,
      items: [...tables.subscriptions.values()],
      health: tables.healths.of(),
      connections: tables.usedConnections()
    })),
    due: (options) => atNow((nowMs) => due(tables, options, nowMs)),
    unrouted: (owners, limits) => Effect.sync(() => unrouted(tables, owners, limits)),
    route: (routing) => atNow((nowMs) => route(tables, routing, nowMs)),
    complete: (completed) =>
      atNow((nowMs) => completed.flatMap((one) => complete(tables, one, nowMs) ? [one.messageId] : [])),
    claim: (options) => atNow((nowMs) => claim(tables, options, nowMs)),
    load: (claims) => Effect.sync(() => load(tables, claims)),
    held: (owners) => Effect.sync(() => held(tables, owners)),
    release: (owner, ids) =>
      Effect.sync(() => {
        for (const id of ids) {
          const found = claimedBy(tables, owner, id)
          if (!found) continue
          found.work.claims--
          tables.settle(found.lane, found.work)
        }
      }),
    filled: (ids) =>
      Effect.sync(() =>
        new Map(ids.flatMap((id) => {
          const filledAtMs = tables.filled.get(id)
          return filledAtMs === undefined ? [] : [[id, filledAtMs]]
        }))
      ),
    // Here nothing is parked: a claim looks at all that wait.
    unpark: () => Effect.succeed([]),
    warn: (id, message) =>
      Effect.sync(() => {
        const isFirst = tables.healths.warn(id)
        if (isFirst) tables.insert(tables.prepare(message))
        return isFirst
      }),
    record: (outcomes) =>
      atNow((nowMs) => {
        const subscriptionOf = new Map(outcomes.map(({ deliveryId }) => [
          deliveryId,
          tables.work.get(deliveryId)?.subscriptionId
        ]))
        const recorded = outcomes.filter((outcome) => record(tables, outcome, nowMs))
        tell(tables, recorded, subscriptionOf)
        return recorded.map((outcome) => outcome.deliveryId)
      })
  }
}

/**
 * What was to be recorded of a completed message, had it been routed before.
 *
 * @category conversions
 * @since 0.1.0
 */
export const outcomesOf = ({ deliveries, owner }: Completed): ReadonlyArray<Outcome> =>
  deliveries.map(({ attempt, externalId, id }) => ({
    owner,
    deliveryId: id,
    attemptCount: 0,
    attempt,
    transition: succeeded(externalId),
    sign: "accepted"
  }))

// --- internal ---

const due = (tables: Tables, { aheadMs, workerGroups }: Options<"due">, nowMs: number): ReadonlyArray<Due> =>
  [...new Set(workerGroups ?? [...tables.inboxes.keys(), ...tables.lanes.keys()])].flatMap((workerGroup) => {
    const unrouted = tables.inboxes.has(workerGroup)
    const lanes: Array<Due["lanes"][number]> = []
    let orphaned = false
    for (const lane of tables.lanesIn(workerGroup)) {
      const { subscriptionId } = lane
      const dueAtMs = tables.isOrdered(subscriptionId)
        ? lane.dueAtMsOf((work) => !tables.order.isBehind(work))
        : lane.dueAtMs
      if (dueAtMs !== undefined && dueAtMs <= nowMs + aheadMs && tables.isActive(subscriptionId)) {
        lanes.push({ subscriptionId, dueAtMs })
      }
      // It has to be taken over before these can be claimed again.
      for (const { epoch } of lane.claimed) {
        orphaned ||= epoch !== undefined && tables.isOrphaned(workerGroup, epoch, nowMs)
      }
    }
    return unrouted || orphaned || lanes.length > 0 ? [{ workerGroup, unrouted, orphaned, lanes }] : []
  })

const unrouted = (
  tables: Tables,
  owners: ReadonlyArray<Owner>,
  { afterTenants, bytes, except = [], messages, tenants = 1000 }: Parameters<Dispatching["unrouted"]>[1]
): Waiting => {
  const excepted = new Set(except)
  const owned = tables.fenced(owners)
  const waiting = owned
    .flatMap(({ workerGroup }) => {
      const inbox = tables.inboxes.get(workerGroup)
      const afterTenant = afterTenants?.get(workerGroup) ?? ""
      return inbox
        ? firstOfEach(inbox, { afterTenant, excepted, messages, tenants }).map((one) => ({ ...one, workerGroup }))
        : []
    })
    .sort((a, b) => a.turn - b.turn || a.place - b.place || a.stored.seq - b.stored.seq)
    .slice(0, messages)
  let sum = 0
  const over = waiting.findIndex(({ stored }, i) => (sum += stored.size) > bytes && i > 0)
  return {
    version: tables.version,
    listened: [...new Set(owned.map(({ workerGroup }) => baseGroup(workerGroup)))]
      .filter((base) => tables.listened.has(base)),
    messages: waiting.slice(0, over < 0 ? waiting.length : over)
      .sort((a, b) => a.stored.seq - b.stored.seq)
      .map(({ stored, workerGroup }) => ({ ...stored.message, seq: stored.seq, workerGroup }))
  }
}

/** The first messages of each of some tenants, with their turn among those and the place of their tenant. */
const firstOfEach = (
  inbox: Inbox,
  { afterTenant, excepted, messages, tenants }: {
    readonly afterTenant: string
    readonly excepted: ReadonlySet<number>
    readonly messages: number
    readonly tenants: number
  }
): ReadonlyArray<{ readonly stored: Stored; readonly turn: number; readonly place: number }> => {
  const ofTenants = new Map<string, Array<Stored>>()
  for (const stored of inbox.first(Number.POSITIVE_INFINITY)) {
    const { tenantId } = stored.message
    if (tenantId <= afterTenant) continue
    const found = ofTenants.get(tenantId) ?? []
    ofTenants.set(tenantId, found)
    if (found.length < messages && !excepted.has(stored.seq)) found.push(stored)
  }
  return [...ofTenants].sort(([a], [b]) => a < b ? -1 : 1).slice(0, tenants)
    .flatMap(([, found], place) => found.map((stored, turn) => ({ stored, turn, place })))
}

const route = (tables: Tables, routing: Routing, nowMs: number): Routed => {
  const { isBegun = false } = routing
  if (!isBegun && routing.version !== tables.version) return { _tag: "Stale" }
  const routed = new Map<MessageId, Routing["messages"][number] & { readonly stored: Stored }>()
  for (const message of routing.messages) {
    const { error, filtered, matched, messageId, owner, transformedJson } = message
    const stored = tables.messages.get(messageId)
    if (stored?.state._tag !== "Unrouted" || !tables.isFenced(owner)) continue
    tables.dequeue(stored)
    stored.transformedJson = error === undefined ? transformedJson : undefined
    stored.state = error === undefined
      ? { _tag: "Routed", atMs: nowMs, version: routing.version, matched, filtered }
      : { _tag: "SetAside", atMs: nowMs, error }
    routed.set(messageId, { ...message, stored })
    if (error === undefined) broadcast(tables, owner, stored, nowMs)
  }
  const failing = new Set<SubscriptionId>()
  for (const { claimed: wanted, id, messageId, subscriptionId, workerGroup } of routing.deliveries) {
    const found = routed.get(messageId)
    if (found?.stored.state._tag !== "Routed") continue
    const isFailing = !isBegun && tables.healths.openUntilMs(subscriptionId) !== undefined
    if (wanted && isFailing) failing.add(subscriptionId)
    const claimed = wanted && !isFailing
    tables.add({
      id,
      message: found.stored,
      subscriptionId,
      workerGroup: workerGroup ?? found.owner.workerGroup,
      attempts: 0,
      retryBase: 0,
      claims: (claimed ? 1 : 0) + (found.isDoubtful === true && workerGroup === undefined ? 1 : 0),
      epoch: claimed ? found.owner.epoch : undefined,
      dueAtMs: Math.max(nowMs, found.dueAtMs ?? 0),
      expiresAtMs: found.expiresAtMs,
      lastError: undefined
    })
  }
  return { _tag: "Routed", messageIds: [...routed.keys()], failing: [...failing] }
}

/** Puts a message before those who listen to its group. */
const broadcast = (tables: Tables, { workerGroup }: Owner, stored: Stored, nowMs: number): void => {
  const listened = tables.listened.get(baseGroup(workerGroup))
  if (listened) listened.messages.push({ position: ++listened.position, stored, atMs: nowMs })
}

/** Completes one message; false where it is not its owner's to complete, or does not wait any more. */
const complete = (
  tables: Tables,
  completed: Completed,
  nowMs: number
): boolean => {
  const { deliveries, filtered, messageId, owner, transformedJson, version } = completed
  const stored = tables.messages.get(messageId)
  if (stored?.state._tag !== "Unrouted" || !tables.isFenced(owner)) return false
  tables.dequeue(stored)
  stored.transformedJson = transformedJson
  stored.state = { _tag: "Routed", atMs: nowMs, version, matched: deliveries.length, filtered }
  broadcast(tables, owner, stored, nowMs)
  for (const [n, outcome] of outcomesOf(completed).entries()) {
    const subscriptionId = deliveries[n]?.subscriptionId
    if (subscriptionId === undefined) continue
    tables.add({
      id: outcome.deliveryId,
      message: stored,
      subscriptionId,
      workerGroup: owner.workerGroup,
      attempts: 0,
      retryBase: 0,
      claims: 1,
      epoch: owner.epoch,
      dueAtMs: nowMs,
      expiresAtMs: undefined,
      lastError: undefined
    })
    record(tables, outcome, nowMs)
    tell(tables, [outcome], new Map([[outcome.deliveryId, subscriptionId]]))
  }
  return true
}

const claim = (
  tables: Tables,
  { bytes, lanes, limit, owners, suspectClaims, suspectProviders }: Options<"claim">,
  nowMs: number
): Claims => {
  const fenced = new Map(tables.fenced(owners).map((owner) => [owner.workerGroup, owner]))
  const claimed: Array<Claimed> = []
  const next: Array<Claims["next"][number]> = []
  // First, so that no backlog keeps it waiting.
  const isSuspect = (id: SubscriptionId) =>
    suspectProviders.includes(tables.subscriptions.get(id)?.providerId ?? "") && !tables.isOpen(id, nowMs)
  const found = limit > 0
    ? firstSuspect(tables, [...fenced.values()], suspectClaims, nowMs, isSuspect)
    : undefined
  if (found) {
    found.lane.claimSuspect(found.work, found.owner.epoch)
    claimed.push(tables.claimed(found.work))
  }
  const before = claimed.length
  let left = bytes
  for (const lane of lanes) {
    const { subscriptionId, workerGroup } = lane
    if (tables.isOpen(subscriptionId, nowMs)) continue
    const free = tables.healths.openUntilMs(subscriptionId) === undefined ? lane.free : Math.min(lane.free, 1)
    const owner = fenced.get(workerGroup)
    const found = tables.lane(workerGroup, subscriptionId)
    if (!owner || !found || !tables.isActive(subscriptionId) || !tables.isReady(found)) continue
    const room = {
      free: Math.min(free, limit - claimed.length),
      bytes: left,
      // One is claimed whatever its size.
      first: claimed.length === before,
      nowMs,
      suspectClaims,
      epoch: owner.epoch
    }
    const { nextDueAtMs, taken } = tables.isOrdered(subscriptionId)
      ? found.claimInTurn(room, tables.places(subscriptionId))
      : found.claim(room)
    for (const work of taken) {
      claimed.push(tables.claimed(work))
      left -= deliveredSize(work.message)
    }
    if (nextDueAtMs !== undefined) next.push({ workerGroup, subscriptionId, dueAtMs: nextDueAtMs })
  }
  return { claimed, next, health: tables.healths.of(lanes.map((lane) => lane.subscriptionId)) }
}

const firstSuspect = (
  tables: Tables,
  owners: ReadonlyArray<Owner>,
  suspectClaims: number,
  nowMs: number,
  isSuspect: (id: SubscriptionId) => boolean
) => {
  let first: { readonly owner: Owner; readonly lane: Lane; readonly work: Work } | undefined
  for (const owner of owners) {
    for (const lane of tables.lanesIn(owner.workerGroup)) {
      if (!tables.isActive(lane.subscriptionId) || !isSuspect(lane.subscriptionId) || !tables.isReady(lane)) continue
      const isTurn = (work: Work) => !tables.isOrdered(work.subscriptionId) || !tables.order.isBehind(work)
      const work = lane.suspect(nowMs, suspectClaims, isTurn)
      if (work && (!first || byDue(work, first.work) < 0)) first = { owner, lane, work }
    }
  }
  return first
}

const load = (tables: Tables, claims: Parameters<Dispatching["load"]>[0]): Loaded => ({
  messages: [...new Set(claims.map((claim) => claim.messageId))].flatMap((id) => {
    const stored = tables.messages.get(id)
    if (!stored) return []
    const { message, transformedJson } = stored
    return [
      transformedJson === undefined
        ? message
        : { ...message, payloadJson: transformedJson, emittedJson: message.payloadJson }
    ]
  }),
  attempts: claims.flatMap(({ deliveryId }) =>
    deliveryId === undefined
      ? []
      : (tables.attempts.get(deliveryId) ?? []).map((attempt) => ({ deliveryId, attempt: outline(attempt) }))
  )
})

const held = (tables: Tables, owners: ReadonlyArray<Owner>): ReadonlyArray<Claimed> =>
  tables.fenced(owners).flatMap((owner) =>
    [...tables.lanesIn(owner.workerGroup)].flatMap((lane) =>
      [...lane.claimed].filter((work) => work.epoch === owner.epoch).map((work) => tables.claimed(work))
    )
  )

const claimedBy = (tables: Tables, owner: Owner, id: Outcome["deliveryId"]) => {
  const work = tables.work.get(id)
  const lane = work && tables.lane(work.workerGroup, work.subscriptionId)
  if (!work || !lane || !tables.isFenced(owner)) return undefined
  return work.epoch === owner.epoch && work.workerGroup === owner.workerGroup ? { work, lane } : undefined
}

/** Records one outcome; false where it is not its owner's to record, or was recorded. */
const record = (
  tables: Tables,
  { attempt, attemptCount, deliveryId, filledAtMs = 0, owner, transition }: Outcome,
  nowMs: number
): boolean => {
  const found = claimedBy(tables, owner, deliveryId)
  if (!found || found.work.attempts !== attemptCount) return false
  const { lane, work } = found
  const attempts = tables.attempts.get(deliveryId) ?? []
  tables.attempts.set(deliveryId, attempts)
  attempts.push(attempt)
  tables.sums.add(work, nowMs, { attempts: 1 })
  if (filledAtMs > (tables.filled.get(work.subscriptionId) ?? 0)) tables.filled.set(work.subscriptionId, filledAtMs)
  work.attempts++
  work.claims = 0
  work.lastError = transition.lastError
  if (transition._tag === "Retry" && !tables.deleted.has(work.subscriptionId)) {
    work.dueAtMs = transition.dueAtMs
    tables.settle(lane, work)
    return true
  }
  const end: End = transition._tag === "Final"
    ? final(transition, nowMs)
    : cancelled(transition.lastError, nowMs)
  tables.finish(lane, [work], () => end)
  return true
}

/** Takes in what recorded outcomes say of their endpoints, and stores what is told with them. */
const tell = (
  tables: Tables,
  recorded: ReadonlyArray<Outcome>,
  subscriptionOf: ReadonlyMap<DeliveryId, SubscriptionId | undefined>
): void => {
  const signs = new Map<SubscriptionId, Array<Outcome>>()
  for (const outcome of recorded) {
    const id = subscriptionOf.get(outcome.deliveryId)
    if (id === undefined || outcome.sign === undefined || tables.deleted.has(id)) continue
    signs.set(id, [...signs.get(id) ?? [], outcome])
  }
  const recovered = tables.healths.take(signs)
  for (const { deliveryId, telling = [] } of recorded) {
    const id = subscriptionOf.get(deliveryId)
    for (const { ifRecovered, message } of telling) {
      if (!ifRecovered || (id !== undefined && recovered.has(id))) tables.insert(tables.prepare(message))
    }
  }
}

const final = (
  { externalId, lastError, reason, status }: Extract<Outcome["transition"], { readonly _tag: "Final" }>,
  completedAtMs: number
): End => ({ status, reason, externalId, lastError, completedAtMs })
