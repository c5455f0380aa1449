/**
 * Routing: unrouted messages of all owned groups, in batches, become deliveries in one fenced statement. A message is transformed
 * once; deliveries whose lanes have room are claimed on the way. Those whose endpoints are all well go ahead of that (`Express`).
 */
import { Effect, Result, type Types } from "effect"
import type * as Filter from "../Filter.ts"
import * as Id from "../Id.ts"
import type { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { letGo } from "../LetGo.ts"
import { defaults } from "../Limits.ts"
import { baseGroup, type Message } from "../Message.ts"
import * as Metrics from "../Metrics.ts"
import * as Monotonic from "../Monotonic.ts"
import { Registry } from "../Registry.ts"
import { type Claimed, type NewDelivery, type Routing, Storage, type Unrouted } from "../Storage.ts"
import type { RowRefused, StorageUnavailable } from "../StorageError.ts"
import { isInternal, ownGroup, type Subscription } from "../Subscription.ts"
import type { Finished } from "./Attempting.ts"
import * as Express from "./Express.ts"
import * as HandedOver from "./HandedOver.ts"
import * as Lane from "./Lane.ts"
import * as State from "./State.ts"
import type { Matching, Subscribed } from "./Subscribed.ts"
import * as Tracing from "./Tracing.ts"

/** A message that was read or handed over, after its event's transform. A class, for V8, as `Lane.Ready` is. */
class Transformed {
  readonly message: Unrouted
  readonly group: State.Group
  readonly exposed: boolean
  payloadJson: string
  transformed = false
  error: string | undefined

  constructor(message: Unrouted, group: State.Group, exposed: boolean) {
    this.message = message
    this.group = group
    this.exposed = exposed
    this.payloadJson = message.payloadJson
    this.error = undefined
  }
}

/** What a delivery is made of. */
interface Bound {
  readonly item: Transformed
  readonly subscription: Subscription
  readonly dueAtMs: number
  /** How often it is claimed where it is claimed on the way. */
  readonly claims: number
}

/** What is known of a batch. */
interface Found {
  /** The groups that somebody listens to. */
  readonly listened: ReadonlySet<string>
  /** Those of it that have gone ahead by now: what is left may have to be matched again. */
  readonly ahead: Set<MessageId>
}

/** Makes the effect that routes a batch of what was handed over, and one of what it reads; true when there may be more. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  finish: (finished: Finished) => void,
  giveBack: (ready: Lane.Ready) => void
) {
  const storage = yield* Storage
  const registry = yield* Registry
  const { limits } = state
  const count = Metrics.labelled(Metrics.messagesRouted, yield* Effect.context<never>(), "event")
  const tracing = yield* Tracing.make

  /** Where groups with many tenants go on. */
  const afterTenants = new Map<string, string>()

  const transform = Effect.fnUntraced(function*(read: ReadonlyArray<Unrouted>, groups: ReadonlyArray<State.Group>) {
    const byName = new Map(groups.map((group) => [group.workerGroup, group]))
    const events = new Map<string, Effect.Success<ReturnType<typeof registry.event>>>()
    const batch: Array<Transformed> = []
    for (const message of read) {
      const { eventId, payloadJson } = message
      const group = byName.get(message.workerGroup)
      // What was read by an owner that this runner is no more, or is again, may have changed meanwhile.
      if (!group || state.groups.get(message.workerGroup) !== group) continue
      if (!events.has(eventId)) events.set(eventId, yield* registry.event(eventId))
      const event = events.get(eventId)
      const item = new Transformed(message, group, event !== undefined)
      batch.push(item)
      if (event?.transform === undefined) continue
      const made = yield* letGo(Effect.result(event.transform(payloadJson)))
      if (Result.isSuccess(made)) {
        item.payloadJson = made.success
        item.transformed = true
      } else item.error = made.failure.message.slice(0, limits.errorLength)
    }
    return batch
  })

  const match = Effect.fnUntraced(function*(batch: ReadonlyArray<Transformed>, listened: ReadonlySet<string>) {
    const now = yield* storage.now
    const monotonic = yield* Monotonic.nowMs
    const room = roomOf(state, subscribed, now, monotonic)
    const isWell = wellOf(state, { nowMs: now, monotonicMs: monotonic })
    // A reload may come between two messages: what was matched before it must be found stale.
    const version = subscribed.version()
    const messages: Array<Routing["messages"][number]> = []
    const deliveries: Array<NewDelivery> = []
    const expresses: Array<Express.Express> = []
    const freed = new Map<SubscriptionId, string>()
    /** Of each delivery, what it is made of. */
    const bound: Array<Bound> = []
    for (const item of batch) {
      const { group, message } = item
      const all = item.error === undefined ? subscribed.matching(message) : []
      const wanting = item.exposed ? all : all.filter(({ subscription }) => isInternal(subscription))
      const matching = wanting.some(({ holds }) => holds) ? yield* letGo(passing(item, wanting)) : wanting
      // A fan-out too large for one statement with others goes alone.
      if (deliveries.length > 0 && deliveries.length + matching.length > limits.routeDeliveries) break
      const isDoubtful = message.seq <= group.doubtfulSeq
      const dueAtMs = Math.max(message.deliverAtMs ?? 0, isDoubtful ? group.claimableAtMs : 0)
      const isDue = dueAtMs <= now && (message.expiresAtMs ?? Number.POSITIVE_INFINITY) > now
      let isExpress = matching.length > 0 && !isDoubtful &&
        state.expresses.bySeq.size + expresses.length < limits.expressMessages &&
        message.expiresAtMs === undefined && !listened.has(message.workerGroup)
      const claimed: Array<boolean> = []
      for (const { subscription } of matching) {
        const isRoom = isDue && ownGroup(subscription) === undefined && subscription.enabled &&
          subscribed.hasProvider(subscription) && room(subscription.id, message.payloadJson.length)
        claimed.push(isRoom)
        isExpress &&= isRoom && isWell(subscription.id)
      }
      // What was emitted after a message that it does not get may have waited for its routing.
      for (const one of matching === wanting ? [] : wanting) {
        const own = one.subscription.ordered && !matching.includes(one) ? ownGroup(one.subscription) : undefined
        if (own === undefined) continue
        isExpress = false
        freed.set(one.subscription.id, own)
      }
      const filtered = wanting.length - matching.length
      if (isExpress) {
        const transformedJson = item.transformed ? item.payloadJson : undefined
        const matched = { transformedJson, version, filtered, sinceMs: monotonic }
        const held = new Express.Held(message, group, matched)
        const express = new Express.Express(held)
        held.deliveries = matching.map(({ subscription }) =>
          readyOf(item, Id.deliveryOf(message.id, subscription.id), subscription, 1, express)
        )
        expresses.push(express)
        continue
      }
      for (const [n, { subscription }] of matching.entries()) {
        const delivery: Types.Mutable<NewDelivery> = {
          id: Id.deliveryOf(message.id, subscription.id),
          messageId: message.id,
          subscriptionId: subscription.id,
          claimed: claimed[n] === true
        }
        const own = ownGroup(subscription)
        if (own !== undefined) delivery.workerGroup = own
        deliveries.push(delivery)
        bound.push({ item, subscription, dueAtMs, claims: isDoubtful ? 2 : 1 })
      }
      const routed: Types.Mutable<Routing["messages"][number]> = {
        owner: group.owner,
        messageId: message.id,
        seq: message.seq,
        matched: matching.length,
        filtered,
        transformedJson: item.transformed ? item.payloadJson : undefined,
        error: item.error
      }
      if (dueAtMs > now) routed.dueAtMs = dueAtMs
      if (isDoubtful) routed.isDoubtful = true
      if (message.expiresAtMs !== undefined) routed.expiresAtMs = message.expiresAtMs
      messages.push(routed)
    }
    return { routing: { version, messages, deliveries }, bound, expresses, freed, now }
  })

  /** Routes a batch; a message whose rows the database refuses is set aside, alone. Returns how many went through. */
  const write = (batch: ReadonlyArray<Transformed>, found: Found): Effect.Effect<number, StorageUnavailable> =>
    Effect.catchTag(writeWhole(batch, found), "RowRefused", ({ message }) => {
      if (batch.length > 1) {
        return Effect.map(Effect.forEach(batch, (item) => write([item], found)), (counts) => counts.length)
      }
      // Without deliveries and a transformed payload there is nothing left to be refused.
      return Effect.catchTag(
        writeWhole(batch.map((item) => refused(item, message)), found),
        "RowRefused",
        Effect.die
      )
    })

  const writeWhole = (
    batch: ReadonlyArray<Transformed>,
    found: Found
  ): Effect.Effect<number, StorageUnavailable | RowRefused> =>
    Effect.gen(function*() {
      const sinceNanos = tracing.now()
      const left = batch.filter(({ message }) => !found.ahead.has(message.id))
      const gone = batch.length - left.length
      const { bound, expresses, freed, now, routing } = yield* letGo(match(left, found.listened))
      feed(bound, expresses)
      for (const express of expresses) begin(express, found, sinceNanos)
      if (routing.messages.length === 0) return gone + expresses.length
      state.routing = routing.deliveries.reduce((sum, { claimed }) => claimed ? sum + 1 : sum, 0)
      const answer = yield* letGo(Effect.onExit(storage.route(routing), (exit) =>
        Effect.sync(() => {
          state.routing = 0
          if (exit._tag === "Failure") state.answerLost = true
        })))
      if (answer._tag === "Stale") {
        yield* subscribed.reload
        return yield* writeWhole(batch, found)
      }
      const routed = new Set<MessageId>(answer.messageIds)
      const made = new Map(routing.messages.map((message) => [message.messageId, message]))
      for (const { message } of left) {
        const one = made.get(message.id)
        if (!one || !routed.has(message.id)) continue
        count(1, message.eventId)
        if (one.error !== undefined) yield* warn(message, one.error)
        if (message.traceparent !== undefined) tracing.routed(message, one, sinceNanos)
      }
      const failing = new Set<SubscriptionId>(answer.failing)
      for (const [n, delivery] of routing.deliveries.entries()) {
        const of = bound[n]
        if (!of || !routed.has(delivery.messageId)) continue
        if (delivery.claimed && !failing.has(delivery.subscriptionId)) {
          const ready = readyOf(of.item, delivery.id, of.subscription, of.claims, undefined)
          if (!State.admit(state, ready)) giveBack(ready)
        } else if (delivery.workerGroup === undefined) {
          State.backlog(state, of.item.group, delivery.subscriptionId, Math.max(now, of.dueAtMs))
        } else State.stir(state, delivery.workerGroup, delivery.subscriptionId)
      }
      for (const [id, own] of freed) State.stir(state, own, id)
      return gone + expresses.length + routing.messages.length
    })

  /** Has a message delivered before its routing is written. */
  const begin = (express: Express.Express, found: Found, sinceNanos: bigint): void => {
    if (!express.held) return
    const { deliveries = [], filtered, message } = express.held
    found.ahead.add(message.id)
    Express.add(state, express, express.held)
    for (const ready of deliveries) if (!State.admit(state, ready)) giveBack(ready)
    // Of so many some will hang or fail: their routing is written while the first are sent, and no outcome waits for all of them.
    if (deliveries.length > limits.expressDeliveries) Express.delay(state, express)
    if (message.traceparent === undefined) return
    tracing.routed(message, { matched: deliveries.length, filtered, error: undefined }, sinceNanos)
  }

  /** Writes the routing of express messages that can't be completed, or not soon; what was kept of them goes the usual way. */
  const writeLate = (batch: ReadonlyArray<Express.Express>): Effect.Effect<void, StorageUnavailable> =>
    Effect.catchTag(writeBegun(batch), "RowRefused", ({ message }) =>
      batch.length > 1
        ? Effect.forEach(batch, (express) => writeLate([express]), { discard: true })
        : Effect.catchTag(writeBegun(batch, message), "RowRefused", Effect.die))

  const writeBegun = Effect.fnUntraced(function*(batch: ReadonlyArray<Express.Express>, error?: string) {
    const live = batch.flatMap(({ held }) => held && held.group.phase !== "lost" ? [held] : [])
    const routed = new Set<MessageId>()
    for (const [version, ofVersion] of Map.groupBy(live, (held) => held.version)) {
      const answer = yield* letGo(Effect.onError(
        storage.route({
          version,
          isBegun: true,
          messages: ofVersion.map((held) => ({
            owner: held.group.owner,
            messageId: held.message.id,
            seq: held.message.seq,
            matched: Express.countOf(held),
            filtered: held.filtered,
            transformedJson: error === undefined ? held.transformedJson : undefined,
            error
          })),
          deliveries: ofVersion.flatMap(({ deliveries = [] }) =>
            deliveries.map(({ claimed }) => ({
              id: claimed.deliveryId,
              messageId: claimed.messageId,
              subscriptionId: claimed.subscriptionId,
              claimed: true
            }))
          )
        }),
        () =>
          Effect.sync(() => {
            state.answerLost = true
          })
      ))
      for (const id of answer._tag === "Routed" ? answer.messageIds : []) routed.add(id)
    }
    // Where another owner has it by now, nothing of it is recorded either.
    for (const express of batch) {
      const message = express.held?.message
      if (message && routed.has(message.id)) count(1, message.eventId)
      Express.end(state, express, finish, giveBack)
    }
  })

  /** Notes which lanes the groups of a batch feed. */
  const feed = (bound: ReadonlyArray<Bound>, expresses: ReadonlyArray<Express.Express>) => {
    const lanes = new Map<State.Group, Set<SubscriptionId>>()
    const note = (group: State.Group, id: SubscriptionId) => {
      const fed = lanes.get(group) ?? new Set()
      // Of more than it may be held back for, none is needed.
      if (fed.size <= limits.routeHoldLanes) lanes.set(group, fed.add(id))
    }
    for (const { item, subscription } of bound) {
      if (ownGroup(subscription) === undefined) note(item.group, subscription.id)
    }
    for (const { held } of expresses) {
      for (const { claimed, group } of held?.deliveries ?? []) note(group, claimed.subscriptionId)
    }
    for (const [group, fed] of lanes) group.fed = fed.size > limits.routeHoldLanes ? new Set() : fed
  }

  /** Reads a batch of groups' messages; tells of which groups there may be more. */
  const read = Effect.fnUntraced(function*(groups: ReadonlyArray<State.Group>) {
    const from = new Map<string, string>()
    for (const { workerGroup } of groups) {
      const after = afterTenants.get(workerGroup)
      if (after !== undefined) from.set(workerGroup, after)
    }
    // Those that this reading leaves out, and that have ended when it is answered.
    const ended = new Map<State.Group, Array<string>>()
    state.expresses.endedTenants = ended
    const reading = storage.unrouted(groups.map((group) => group.owner), {
      messages: limits.routeMessages,
      bytes: limits.routeBytes,
      tenants: limits.routeTenants,
      ...(from.size === 0 ? {} : { afterTenants: from }),
      except: [...state.expresses.bySeq.keys()]
    })
    const found = yield* Effect.ensuring(
      Effect.tap(reading, ({ messages }) => Effect.sync(() => HandedOver.read(state, messages))),
      Effect.sync(() => {
        state.expresses.endedTenants = undefined
      })
    )
    const { listened, messages, version } = found
    // Less than asked for is everything there was, unless the batch ended by its bytes, up to three for each character.
    const size = messages.reduce((sum, message) => sum + message.payloadJson.length, 0)
    const isFull = messages.length >= limits.routeMessages || size >= limits.routeBytes / 4
    const ofGroups = Map.groupBy(messages, ({ workerGroup }) => workerGroup)
    // Those that come after as many as one batch takes have their turn next, and then the first again.
    for (const group of groups) {
      const { workerGroup } = group
      afterTenants.delete(workerGroup)
      const ofGroup = ofGroups.get(workerGroup) ?? []
      const gone = ended.get(group) ?? []
      if (!isFull && ofGroup.length + group.ahead + gone.length < limits.routeTenants) continue
      const tenants = new Set(ofGroup.map(({ tenantId }) => tenantId))
      // One message of each may also be all that a batch has bytes for.
      const isAll = isFull && tenants.size === ofGroup.length
      // Those of whom there was nothing left to read were looked at as well; where there was more to read, they are again.
      if (!isFull) { for (const tenant of [...Express.tenants(state, group), ...gone]) tenants.add(tenant) }
      const looked = [...tenants].filter((tenant) => tenant > (from.get(workerGroup) ?? "")).sort()
      const last = looked[limits.routeTenants - 1] ?? (isAll ? looked.at(-1) : undefined)
      if (last !== undefined) afterTenants.set(workerGroup, last)
    }
    return {
      messages,
      version,
      listened: new Set(
        groups.flatMap(({ workerGroup }) => listened.includes(baseGroup(workerGroup)) ? workerGroup : [])
      ),
      left: groups.filter(({ workerGroup }) => isFull || from.has(workerGroup) || afterTenants.has(workerGroup))
    }
  })

  const late = Effect.gen(function*() {
    const batch = state.expresses.late.splice(0, limits.routeMessages)
    if (batch.length === 0) return
    yield* Effect.onError(writeLate(batch), () => Effect.sync(() => void state.expresses.late.unshift(...batch)))
  })

  const readAgain = (groups: ReadonlyArray<State.Group>) => {
    for (const group of groups) State.unrouted(state, group)
  }

  /** Routes messages of groups, as many as one batch may have; tells whether that were all. */
  const routeAll = Effect.fnUntraced(function*(
    groups: ReadonlyArray<State.Group>,
    { listened, messages, version }: {
      readonly messages: ReadonlyArray<Unrouted>
      readonly version: number
      readonly listened: ReadonlySet<string>
    }
  ) {
    if (subscribed.version() < version) yield* subscribed.reload
    const batch = yield* letGo(transform(messages, groups))
    if (batch.length === 0) return true
    const monotonic = yield* Monotonic.nowMs
    for (const item of batch) item.group.activeAtMs = monotonic
    return (yield* letGo(write(batch, { listened, ahead: new Set() }))) >= batch.length
  })

  const next = Effect.gen(function*() {
    const groups = State.toRoute(state, { nowMs: yield* storage.now, monotonicMs: yield* Monotonic.nowMs })
    if (groups.length === 0) return false
    return yield* Effect.gen(function*() {
      const { left, ...found } = yield* read(groups)
      const isWhole = yield* letGo(routeAll(groups, found))
      readAgain(isWhole ? left : groups)
      return left.length > 0 || !isWhole || groups.length === limits.routeMessages
    }).pipe(Effect.onError(() => Effect.sync(() => readAgain(groups))))
  })

  /** Routes what was handed over; what could not be is read. */
  const handed = Effect.gen(function*() {
    const { groups, isLeft, messages, version } = HandedOver.take(state, {
      nowMs: yield* storage.now,
      monotonicMs: yield* Monotonic.nowMs
    })
    if (messages.length === 0) return false
    const routing = letGo(routeAll(groups, { messages, version, listened: new Set() }))
    const isWhole = yield* Effect.onError(routing, () => Effect.sync(() => readAgain(groups)))
    if (!isWhole) readAgain(groups)
    return isLeft
  })

  return Effect.gen(function*() {
    yield* late
    const isHanded = yield* handed
    const isLeft = yield* next
    return isHanded || isLeft || state.expresses.late.length > 0
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
  /** Looked for where a lane is slow: all lanes are looked at. */
  let slowRoom: number | undefined
  let bytes = limits.windowBytes - state.windowBytes
  return (id: SubscriptionId, size: number): boolean => {
    if (window <= 0 || bytes <= 0) return false
    const lane = state.lanes.get(id)
    const isSlow = lane !== undefined && Lane.isSlow(lane, monotonicMs, limits)
    const slowLeft = isSlow ? slowRoom ??= State.slowRoom(state, monotonicMs) : 0
    let free = left.get(id)
    if (free === undefined) {
      const behind = lane !== undefined && Lane.isBehind(lane, now)
      // A circuit that may not be closed is a claim's to look at.
      const isSound = lane
        ? lane.circuit.openUntilMs === undefined
        // The copy is as old as the last change of a subscription; what was accepted here came after it.
        : state.accepted.has(id) || !subscribed.isFailing(id)
      free = behind || !isSound
        ? 0
        : lane
        ? Lane.room(lane, { monotonicMs, nowMs: now, slowRoom: slowLeft }, limits)
        : limits.laneWindow
    }
    left.set(id, free - 1)
    if (free <= 0) return false
    if (isSlow) {
      if (slowLeft <= 0) return false
      slowRoom = slowLeft - 1
    }
    window--
    bytes -= size
    return true
  }
}

/** Whether lanes are well, as it is when a batch is matched. */
const wellOf = (state: State.State, times: State.Times) => {
  const known = new Map<SubscriptionId, boolean>()
  return (id: SubscriptionId): boolean => {
    let isWell = known.get(id)
    if (isWell === undefined) known.set(id, isWell = Express.isLaneWell(state, id, times))
    return isWell
  }
}

/** Nobody hears of it otherwise before they look: the message stays until somebody has it routed again. */
const warn = ({ eventId, id }: Unrouted, error: string) =>
  Effect.logWarning(`A message is set aside, as it can't be routed: ${error}`).pipe(
    Effect.annotateLogs({ messageId: id, eventId })
  )

const readyOf = (
  item: Transformed,
  deliveryId: DeliveryId,
  { id, version }: Subscription,
  claims: number,
  express: Express.Express | undefined
): Lane.Ready => {
  const message: Message = item.transformed
    ? { ...item.message, payloadJson: item.payloadJson, emittedJson: item.message.payloadJson }
    : item.message
  const claimed: Types.Mutable<Claimed> = { ...blank }
  claimed.workerGroup = item.group.workerGroup
  claimed.deliveryId = deliveryId
  claimed.messageId = message.id
  claimed.subscriptionId = id
  claimed.subscriptionVersion = version
  claimed.seq = item.message.seq
  claimed.claims = claims
  claimed.size = item.payloadJson.length
  if (item.message.expiresAtMs !== undefined) claimed.expiresAtMs = item.message.expiresAtMs
  return new Lane.Ready(item.group, claimed, message, { history: none, suspect: false, express })
}

/** A claim of a delivery that nothing was attempted of; to be copied, for V8. */
const blank: Claimed = {
  workerGroup: "",
  deliveryId: Id.trusted.delivery(""),
  messageId: Id.trusted.message(""),
  subscriptionId: Id.trusted.subscription(""),
  subscriptionVersion: 0,
  seq: 0,
  attemptCount: 0,
  retryBase: 0,
  claims: 0,
  size: 0
}

const none: Lane.Ready["history"] = []

/** An item whose rows the database refused. */
const refused = ({ exposed, group, message, payloadJson }: Transformed, error: string): Transformed => {
  const item = new Transformed(message, group, exposed)
  item.payloadJson = payloadJson
  item.error = error
  return item
}
