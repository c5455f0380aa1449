/**
 * Routing: unrouted messages of all owned groups, in batches, become deliveries in one fenced statement. What this process has
 * just stored is not read before, where nothing else waits. A message is transformed once; deliveries whose lanes have room are
 * claimed on the way.
 */
import { Effect, Random, type Types } from "effect"
import type * as Filter from "../Filter.ts"
import * as Id from "../Id.ts"
import type { MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { Message } from "../Message.ts"
import * as Metrics from "../Metrics.ts"
import * as Monotonic from "../Monotonic.ts"
import { Registry } from "../Registry.ts"
import { type NewDelivery, type Routing, Storage, type Unrouted } from "../Storage.ts"
import type { RowRefused, StorageUnavailable } from "../StorageError.ts"
import { isInternal, ownGroup } from "../Subscription.ts"
import * as Lane from "./Lane.ts"
import * as State from "./State.ts"
import type { Matching, Subscribed } from "./Subscribed.ts"
import * as Tracing from "./Tracing.ts"

interface Transformed {
  readonly message: Unrouted
  readonly group: State.Group
  readonly payloadJson: string
  readonly transformed: boolean
  readonly error: string | undefined
  readonly exposed: boolean
}

/** What a delivery is made of. */
interface Bound {
  readonly item: Transformed
  readonly subscriptionVersion: number
}

/** Makes the effect that routes one batch; true when there may be more. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  giveBack: (ready: Lane.Ready) => void
) {
  const storage = yield* Storage
  const registry = yield* Registry
  const { limits } = state
  const count = Metrics.labelled(Metrics.messagesRouted, yield* Effect.context<never>(), "event")
  const tracing = yield* Tracing.make

  /** Where groups with many tenants go on. */
  const afterTenants = new Map<string, string>()

  const transform = Effect.fnUntraced(function*(read: ReadonlyArray<Unrouted>) {
    const events = new Map<string, Effect.Success<ReturnType<typeof registry.event>>>()
    const batch: Array<Transformed> = []
    for (const message of read) {
      const { eventId, payloadJson } = message
      const group = state.groups.get(message.workerGroup)
      if (!group) continue
      if (!events.has(eventId)) events.set(eventId, yield* registry.event(eventId))
      const event = events.get(eventId)
      const base = { message, group, exposed: event !== undefined, payloadJson, transformed: false, error: undefined }
      batch.push(
        event?.transform === undefined ? base : yield* event.transform(payloadJson).pipe(
          Effect.map((payloadJson): Transformed => ({ ...base, payloadJson, transformed: true })),
          Effect.catchTag(
            "TransformFailed",
            (error) => Effect.succeed<Transformed>({ ...base, error: error.message.slice(0, limits.errorLength) })
          )
        )
      )
    }
    return batch
  })

  const match = Effect.fnUntraced(function*(batch: ReadonlyArray<Transformed>, isUnread: boolean) {
    const now = yield* storage.now
    const monotonic = yield* Monotonic.nowMs
    const room = roomOf(state, subscribed, now, monotonic)
    // A reload may come between two messages: what was matched before it must be found stale.
    const version = subscribed.version()
    const messages: Array<Routing["messages"][number]> = []
    const deliveries: Array<NewDelivery> = []
    const freed = new Map<SubscriptionId, string>()
    /** Of each delivery, what it is made of. */
    const bound: Array<Bound> = []
    const random = yield* Random.Random
    for (const item of batch) {
      const { message } = item
      const all = item.error === undefined ? subscribed.matching(message) : []
      const wanting = item.exposed ? all : all.filter(({ subscription }) => isInternal(subscription))
      const matching = wanting.some(({ holds }) => holds) ? yield* passing(item, wanting) : wanting
      // A fan-out too large for one statement with others goes alone.
      if (deliveries.length > 0 && deliveries.length + matching.length > limits.routeDeliveries) break
      const isDue = (message.deliverAtMs ?? 0) <= now && (message.expiresAtMs ?? Number.POSITIVE_INFINITY) > now
      for (const { subscription } of matching) {
        const own = ownGroup(subscription)
        const claimed = own === undefined && isDue && subscription.enabled && subscribed.hasProvider(subscription) &&
          room(subscription.id, message.payloadJson.length)
        const delivery: Types.Mutable<NewDelivery> = {
          id: Id.trusted.delivery(`dlv_${Id.uuidv7(now, random)}`),
          messageId: message.id,
          subscriptionId: subscription.id,
          claimed
        }
        if (own !== undefined) delivery.workerGroup = own
        deliveries.push(delivery)
        bound.push({ item, subscriptionVersion: subscription.version })
      }
      // What was emitted after a message that it does not get may have waited for its routing.
      for (const one of matching === wanting ? [] : wanting) {
        const own = one.subscription.ordered && !matching.includes(one) ? ownGroup(one.subscription) : undefined
        if (own !== undefined) freed.set(one.subscription.id, own)
      }
      const routed: Types.Mutable<Routing["messages"][number]> = {
        owner: item.group.owner,
        messageId: message.id,
        seq: message.seq,
        matched: matching.length,
        filtered: wanting.length - matching.length,
        transformedJson: item.transformed ? item.payloadJson : undefined,
        error: item.error
      }
      if (message.deliverAtMs !== undefined) routed.dueAtMs = message.deliverAtMs
      if (message.expiresAtMs !== undefined) routed.expiresAtMs = message.expiresAtMs
      messages.push(routed)
    }
    return { routing: { version, messages, deliveries, isUnread }, bound, freed, now }
  })

  /** Routes a batch; a message whose rows the database refuses is set aside, alone. Returns how many went through. */
  const write = (batch: ReadonlyArray<Transformed>, isUnread: boolean): Effect.Effect<number, StorageUnavailable> =>
    Effect.catchTag(writeWhole(batch, isUnread), "RowRefused", ({ message }) => {
      // Read together they are written one by one.
      if (isUnread) return Effect.succeed(0)
      if (batch.length > 1) {
        return Effect.map(Effect.forEach(batch, (item) => write([item], false)), (counts) => counts.length)
      }
      // Without deliveries and a transformed payload there is nothing left to be refused.
      return Effect.orDie(writeWhole(batch.map((item) => ({ ...item, transformed: false, error: message })), false))
    })

  const writeWhole = (
    batch: ReadonlyArray<Transformed>,
    isUnread: boolean
  ): Effect.Effect<number, StorageUnavailable | RowRefused> =>
    Effect.gen(function*() {
      const sinceNanos = tracing.now()
      const { bound, freed, now, routing } = yield* match(batch, isUnread)
      state.routing = routing.deliveries.reduce((sum, { claimed }) => claimed ? sum + 1 : sum, 0)
      const answer = yield* Effect.onExit(storage.route(routing), (exit) =>
        Effect.sync(() => {
          state.routing = 0
          if (exit._tag === "Failure") state.answerLost = true
        }))
      if (answer._tag === "NotAlone") return 0
      if (answer._tag === "Stale") {
        yield* subscribed.reload
        return yield* writeWhole(batch, isUnread)
      }
      const routed = new Set<MessageId>(answer.messageIds)
      for (const { message } of batch) {
        if (!routed.has(message.id)) continue
        count(1, message.eventId)
        if (message.traceparent !== undefined) tracing.routed(message, routing, sinceNanos)
      }
      const failing = new Set<SubscriptionId>(answer.failing)
      feed(routing.deliveries, bound)
      for (const [n, delivery] of routing.deliveries.entries()) {
        const found = bound[n]
        if (!found || !routed.has(delivery.messageId)) continue
        if (delivery.claimed && !failing.has(delivery.subscriptionId)) {
          const ready = readyOf(delivery, found)
          if (!State.admit(state, ready)) giveBack(ready)
        } else if (delivery.workerGroup === undefined) {
          const { deliverAtMs = 0 } = found.item.message
          State.backlog(state, found.item.group, delivery.subscriptionId, Math.max(now, deliverAtMs))
        } else State.stir(state, delivery.workerGroup, delivery.subscriptionId)
      }
      for (const [id, own] of freed) State.stir(state, own, id)
      return routing.messages.length
    })

  /** Notes which lanes the groups of a batch feed. */
  const feed = (
    deliveries: ReadonlyArray<NewDelivery>,
    bound: ReadonlyArray<Bound>
  ) => {
    const lanes = new Map<State.Group, Set<SubscriptionId>>()
    for (const [n, { subscriptionId, workerGroup }] of deliveries.entries()) {
      const group = bound[n]?.item.group
      if (!group || workerGroup !== undefined) continue
      const fed = lanes.get(group) ?? new Set()
      // Of more than it may be held back for, none is needed.
      if (fed.size <= limits.routeHoldLanes) lanes.set(group, fed.add(subscriptionId))
    }
    for (const [group, fed] of lanes) group.fed = fed.size > limits.routeHoldLanes ? new Set() : fed
  }

  /** Reads a batch of groups' messages; tells whether there may be more. */
  const read = Effect.fnUntraced(function*(groups: ReadonlyArray<State.Group>) {
    const from = new Map(afterTenants)
    const found = yield* storage.unrouted(groups.map((group) => group.owner), {
      messages: limits.routeMessages,
      bytes: limits.routeBytes,
      tenants: limits.routeTenants,
      ...(from.size === 0 ? {} : { afterTenants: from })
    })
    // Less than asked for is everything there was, unless the batch ended by its bytes, up to three for each character.
    const size = found.reduce((sum, message) => sum + message.payloadJson.length, 0)
    const isFull = found.length >= limits.routeMessages || size >= limits.routeBytes / 4
    // Those that come after as many as one batch takes have their turn next, and then the first again.
    afterTenants.clear()
    for (const [group, ofGroup] of Map.groupBy(found, ({ workerGroup }) => workerGroup)) {
      const tenants = [...new Set(ofGroup.map(({ tenantId }) => tenantId))].sort()
      const last = tenants.at(-1)
      // One message of each may also be all that a batch has bytes for.
      const isAll = tenants.length >= limits.routeTenants || (isFull && tenants.length === ofGroup.length)
      if (last !== undefined && isAll) afterTenants.set(group, last)
    }
    return { messages: found, more: from.size > 0 || afterTenants.size > 0 || isFull }
  })

  return Effect.gen(function*() {
    const { fresh, groups } = State.toRoute(state, yield* Monotonic.nowMs)
    if (groups.length === 0) return false
    for (const group of groups) group.unrouted = false
    const again = () => {
      for (const group of groups) group.unrouted = true
    }
    state.isRouting = true
    return yield* Effect.gen(function*() {
      if (subscribed.version() < 0) yield* subscribed.reload
      const { messages, more } = fresh.length > 0 ? { messages: fresh, more: false } : yield* read(groups)
      const batch = yield* transform(messages)
      const monotonic = yield* Monotonic.nowMs
      for (const item of batch) item.group.activeAtMs = monotonic
      const written = batch.length === 0 ? 0 : yield* write(batch, fresh.length > 0)
      const isLeft = more || written < batch.length
      if (isLeft) again()
      return isLeft
    }).pipe(
      Effect.onError(() => Effect.sync(again)),
      Effect.ensuring(Effect.sync(() => {
        state.isRouting = false
      }))
    )
  })
})

// --- internal ---

/** How many values filters look at before others get their turn. */
const turn = 5000

/** The subscriptions whose filter holds; the payload is parsed if one has a filter. */
const passing = Effect.fnUntraced(function*(item: Transformed, wanting: ReadonlyArray<Matching>) {
  let input: Filter.Input | undefined
  let spent = 0
  const passed: Array<Matching> = []
  for (const one of wanting) {
    const { holds } = one
    if (holds) {
      const { eventId, orderingKey, tenantId } = item.message
      input ??= { eventId, tenantId, orderingKey, payload: JSON.parse(item.payloadJson) }
      const steps = { left: defaults.filterSteps }
      if (holds(input, steps)) passed.push(one)
      spent += defaults.filterSteps - steps.left
      if (spent > turn) {
        spent = 0
        yield* Effect.yieldNow
      }
    } else passed.push(one)
  }
  return passed
})

/** Counts what a batch puts into each lane against the lane's room, the window and its bytes. */
const roomOf = (state: State.State, subscribed: Subscribed, now: number, monotonicMs: number) => {
  const { limits } = state
  const left = new Map<SubscriptionId, number>()
  let window = limits.window - state.deliveries.size
  let slowRoom = State.slowRoom(state, monotonicMs)
  let bytes = limits.windowBytes - state.windowBytes
  return (id: SubscriptionId, size: number): boolean => {
    if (window <= 0 || bytes <= 0) return false
    const lane = state.lanes.get(id)
    let free = left.get(id)
    if (free === undefined) {
      // Older deliveries that wait in the database go first.
      const behind = lane !== undefined && [...lane.backlog.values()].some((dueAtMs) => dueAtMs <= now)
      // A circuit that may not be closed is a claim's to look at.
      const isSound = lane ? lane.circuit.openUntilMs === undefined : !subscribed.isFailing(id)
      free = behind || !isSound
        ? 0
        : lane
        ? Lane.room(lane, { monotonicMs, nowMs: now, slowRoom }, limits)
        : limits.laneWindow
    }
    left.set(id, free - 1)
    if (free <= 0) return false
    if (lane && Lane.isSlow(lane, monotonicMs, limits) && slowRoom-- <= 0) return false
    window--
    bytes -= size
    return true
  }
}

const readyOf = (delivery: NewDelivery, found: Bound): Lane.Ready => {
  const { item } = found
  const message: Message = item.transformed
    ? { ...item.message, payloadJson: item.payloadJson, emittedJson: item.message.payloadJson }
    : item.message
  const claimed: Types.Mutable<Lane.Ready["claimed"]> = {
    workerGroup: item.group.workerGroup,
    deliveryId: delivery.id,
    messageId: delivery.messageId,
    subscriptionId: delivery.subscriptionId,
    subscriptionVersion: found.subscriptionVersion,
    seq: item.message.seq,
    attemptCount: 0,
    retryBase: 0,
    claims: 1,
    size: item.payloadJson.length
  }
  if (item.message.expiresAtMs !== undefined) claimed.expiresAtMs = item.message.expiresAtMs
  return { group: item.group, message, history: none, suspect: false, claimed }
}

const none: Lane.Ready["history"] = []
