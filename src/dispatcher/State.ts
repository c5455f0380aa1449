/**
 * What all dispatchers of a runner share in memory: the groups they own, what was handed over to them, the lanes, the express messages, the
 * window's accounting, and the latches on which the pump's loops wait. Changed synchronously, by one loop at a time.
 */
import { Effect, Latch } from "effect"
import type { Link } from "../Chain.ts"
import type { DeliveryId, SubscriptionId } from "../Id.ts"
import { Limits } from "../Limits.ts"
import { type Message, workerGroup } from "../Message.ts"
import type { Owner, Unrouted } from "../Storage.ts"
import { Deliveries } from "./Deliveries.ts"
import type { Express } from "./Express.ts"
import * as Lane from "./Lane.ts"

/** A worker group that this runner owns. */
export interface Group {
  readonly workerGroup: string
  readonly owner: Owner
  /** The subscription whose own group it is. */
  readonly subscriptionId: SubscriptionId | undefined
  /** Whether this runner has the hook whose messages it owns. */
  readonly isOurs: boolean
  /** When that subscription's rate limit is filled up again, in the engine's milliseconds; undefined until it is read. */
  filledAtMs: number | undefined
  /** `closing` begins nothing more; `lost` was superseded: nothing of it will be recorded. */
  phase: "open" | "closing" | "lost"
  /**
   * Messages up to this number may have been with an owner before: they are delivered once they are routed, and when that one's
   * lease has run out, in the engine's milliseconds.
   */
  readonly doubtfulSeq: number
  /** The highest number of its messages that was read. */
  readSeq: number
  readonly claimableAtMs: number
  /** The lanes that its last messages went to, where they were few. */
  fed: ReadonlySet<SubscriptionId>
  /** Since when its messages wait for room in those lanes, on the monotonic clock in milliseconds. */
  heldBackAtMs: number | undefined
  /** Deliveries of the group in memory, and claims that are to be given back. */
  held: number
  /** Express messages of the group. */
  ahead: number
  /** Monotonic time of the take-over, in milliseconds: a renewal sent earlier does not know of it. */
  readonly takenAtMs: number
  /** Monotonic time at which it last had something to do, in milliseconds. */
  activeAtMs: number
}

/** The shared state. */
export interface State {
  readonly limits: Limits
  readonly groups: Map<string, Group>
  /** Those that may have messages to read; first those that were asked for them the longest ago. */
  readonly unrouted: Set<Group>
  /** What this process has stored and need not read: see `HandedOver`. */
  readonly handed: {
    readonly byGroup: Map<Group, Array<Unrouted>>
    /** How many there are, and the length of their payloads together. */
    count: number
    length: number
    /** The highest version of the subscriptions that one was stored under. */
    version: number
  }
  readonly lanes: Map<SubscriptionId, Lane.Lane>
  /** The highest version of a subscription that something here was claimed under. */
  claimedVersion: number
  /** Every delivery in memory, whatever its stage. */
  readonly deliveries: Deliveries
  /** Claimed again while an earlier claim of them is still in memory: they are taken in when that one has left. */
  readonly again: Map<DeliveryId, Lane.Ready>
  /** While claims are taken up again: the deliveries that left memory meanwhile. */
  left: Set<DeliveryId> | undefined
  readonly expresses: {
    /** By the number of their message, oldest first. */
    readonly bySeq: Map<number, Express>
    /** Those whose routing is to be written. */
    readonly late: Array<Express>
    /** While messages are asked for: the tenants of those that have ended meanwhile, by group. */
    endedTenants: Map<Group, Array<string>> | undefined
    /** Opens when there are some. */
    readonly some: Latch.Latch
  }
  /** When a subscription's endpoint has accepted a delivery here, the last time, in the engine's milliseconds. */
  readonly accepted: Map<SubscriptionId, number>
  /** Deliveries that a route under way claims. */
  routing: number
  windowBytes: number
  inFlight: number
  /** Those in memory, and those that wait for an earlier claim to leave it. */
  suspects: number
  /** A claim's or route's answer was lost: there may be claims that memory does not know. */
  answerLost: boolean
  /** No attempt begins after this time on the monotonic clock, in milliseconds. */
  leaseEndMs: number
  /** Groups that got deliveries here, and that this runner does not own. */
  readonly stirred: Set<string>
  readonly stir: Latch.Latch
  readonly route: Latch.Latch
  readonly claim: Latch.Latch
  readonly send: Latch.Latch
  /** Opens whenever a delivery leaves memory. */
  readonly gone: Latch.Latch
  /** Opens when claims are to be given back. */
  readonly release: Latch.Latch
}

/** Makes the state of a runner that owns nothing. */
export const make: Effect.Effect<State> = Effect.map(Limits, (limits) => ({
  limits,
  groups: new Map(),
  unrouted: new Set(),
  handed: { byGroup: new Map(), count: 0, length: 0, version: -1 },
  lanes: new Map(),
  claimedVersion: 0,
  deliveries: new Deliveries(),
  again: new Map(),
  left: undefined,
  expresses: { bySeq: new Map(), late: [], endedTenants: undefined, some: Latch.makeUnsafe() },
  accepted: new Map(),
  routing: 0,
  windowBytes: 0,
  inFlight: 0,
  suspects: 0,
  answerLost: false,
  leaseEndMs: 0,
  stirred: new Set(),
  stir: Latch.makeUnsafe(),
  route: Latch.makeUnsafe(),
  claim: Latch.makeUnsafe(),
  send: Latch.makeUnsafe(),
  gone: Latch.makeUnsafe(),
  release: Latch.makeUnsafe()
}))

/** Waits for a latch, closes it, and returns: what opens it afterwards is seen by the next wait. */
export const take = (latch: Latch.Latch): Effect.Effect<void> =>
  Effect.andThen(latch.await, Effect.sync(() => latch.closeUnsafe()))

/** The lane of a subscription, made where there is none. */
export const laneOf = (self: State, id: SubscriptionId): Lane.Lane => {
  const existing = self.lanes.get(id)
  if (existing) return existing
  const lane = Lane.make(id)
  self.lanes.set(id, lane)
  return lane
}

/** Has a lane's turn come after that of all others. */
export const moveLast = (self: State, lane: Lane.Lane): void => {
  self.lanes.delete(lane.subscriptionId)
  self.lanes.set(lane.subscriptionId, lane)
}

/** Takes a claimed delivery into memory and its lane; false when its group begins nothing more: it has to be given back. */
export const admit = (self: State, ready: Lane.Ready): boolean => {
  const { deliveryId, subscriptionId } = ready.claimed
  if (ready.group.phase !== "open") {
    ready.group.held++
    return false
  }
  if (self.deliveries.has(deliveryId)) {
    const earlier = self.again.get(deliveryId)
    if (earlier) forgetAgain(self, earlier)
    ready.group.held++
    if (ready.suspect) self.suspects++
    self.again.set(deliveryId, ready)
    return true
  }
  const lane = laneOf(self, subscriptionId)
  self.deliveries.set(deliveryId, ready)
  self.windowBytes += ready.message.payloadJson.length
  if (ready.suspect) self.suspects++
  self.claimedVersion = Math.max(self.claimedVersion, ready.claimed.subscriptionVersion)
  ready.group.held++
  lane.held++
  lane.waiting.push(ready)
  self.send.openUnsafe()
  return true
}

/** Says that an attempt of a lane has ended: there may be room for what waits to be routed. */
export const ended = (self: State, lane: Lane.Lane, begun: Link<Lane.Begun>): void => {
  lane.inFlight.remove(begun)
  self.inFlight--
  if (Lane.unfinished(lane) === self.limits.laneWindow - self.limits.routeMessages) self.route.openUnsafe()
  forget(self, lane)
}

/** Lets a delivery go from memory, once its outcome is recorded or its claim is given back. */
export const dismiss = (self: State, ready: Lane.Ready): void => {
  const { deliveryId, subscriptionId } = ready.claimed
  if (!self.deliveries.delete(deliveryId, ready)) {
    ready.group.held--
    self.gone.openUnsafe()
    return
  }
  self.left?.add(deliveryId)
  self.windowBytes -= ready.message.payloadJson.length
  acquit(self, ready)
  ready.group.held--
  const lane = laneOf(self, subscriptionId)
  lane.held--
  if (self.deliveries.size === self.limits.window - self.limits.routeMessages) self.route.openUnsafe()
  const again = self.again.get(deliveryId)
  if (again) {
    forgetAgain(self, again)
    // Where its group was superseded, the next owner finds the claim.
    if (again.group.phase === "open") admit(self, again)
  }
  forget(self, lane)
  self.gone.openUnsafe()
  if (lane.backlog.size > 0) self.claim.openUnsafe()
}

/** Takes a claim out of those that wait for an earlier one of their delivery to leave. */
export const forgetAgain = (self: State, ready: Lane.Ready): void => {
  if (!self.again.delete(ready.claimed.deliveryId)) return
  ready.group.held--
  acquit(self, ready)
}

/** One suspect at a time, and claims don't tell of further ones: the next is looked for when this one is through. */
const acquit = (self: State, { claimed, group, suspect }: Lane.Ready): void => {
  if (!suspect) return
  self.suspects--
  if (group.phase === "open") backlog(self, group, claimed.subscriptionId, 0)
}

/** Whether two claims of a delivery stand for one place in its history: the outcome of either is recorded by both. */
export const isSameClaim = (a: Lane.Ready, b: Lane.Ready | undefined): boolean =>
  a.group === b?.group && a.claimed.attemptCount === b.claimed.attemptCount

/** How many more deliveries may be claimed for memory; a claim that is under way is not known to a route. */
export const free = (self: State): number => self.limits.window - self.deliveries.size - self.routing

/** How many more deliveries the lanes whose endpoints hang may take into memory together. */
export const slowRoom = (self: State, monotonicMs: number): number => {
  let left = Math.floor(self.limits.window * self.limits.slowShare)
  for (const lane of self.lanes.values()) if (Lane.isSlow(lane, monotonicMs, self.limits)) left -= lane.held
  return left
}

/** A time on both clocks, in milliseconds: the engine's, which due times are by, and the monotonic one. */
export interface Times {
  readonly nowMs: number
  readonly monotonicMs: number
}

/**
 * Whether a group's messages should wait to be routed, as the lanes that they go to are full, or have a backlog to claim: routed now
 * they would have to be claimed later, by another statement and a reading. Not where one of those lanes has room and nothing
 * else for it, or none of them moves on; and not for long.
 */
export const isHeldBack = (self: State, group: Group, { monotonicMs, nowMs }: Times): boolean => {
  const { limits } = self
  const isFull = limits.window - self.deliveries.size < limits.routeMessages
  let moves = isFull && group.fed.size === 0 && self.inFlight > 0
  for (const id of group.fed) {
    const lane = self.lanes.get(id)
    if (lane && (lane.circuit.openUntilMs !== undefined || Lane.isSlow(lane, monotonicMs, limits))) continue
    const hasRoom = !lane || (limits.laneWindow - Lane.unfinished(lane) >= limits.routeMessages &&
      !Lane.isBehind(lane, nowMs))
    if (!isFull && hasRoom) {
      moves = false
      break
    }
    moves = true
  }
  if (!moves) {
    group.heldBackAtMs = undefined
    return false
  }
  group.heldBackAtMs ??= monotonicMs
  if (monotonicMs - group.heldBackAtMs < (isFull ? limits.routeHoldFullMs : limits.routeHoldMs)) return true
  group.heldBackAtMs = undefined
  return false
}

/** Says when a lane's first unclaimed delivery in a group is due. */
export const backlog = (self: State, group: Group, id: SubscriptionId, dueAtMs: number): void => {
  const lane = laneOf(self, id)
  const known = lane.backlog.get(group)
  if (known !== undefined && known <= dueAtMs) return
  lane.backlog.set(group, dueAtMs)
  self.claim.openUnsafe()
}

/** Says that a subscription's own group may have something to claim, whoever owns it. */
export const stir = (self: State, workerGroup: string, id: SubscriptionId): void => {
  const group = self.groups.get(workerGroup)
  if (group?.phase === "open") return backlog(self, group, id, 0)
  self.stirred.add(workerGroup)
  self.stir.openUnsafe()
}

/** Takes out the groups whose messages are to be read now: no more than a batch may have messages, as each may have one. */
export const toRoute = (self: State, times: Times): ReadonlyArray<Group> => {
  const found: Array<Group> = []
  for (const group of self.unrouted) {
    if (found.length === self.limits.routeMessages) break
    const isOpen = group.phase === "open"
    if (isOpen && isHeldBack(self, group, times)) continue
    self.unrouted.delete(group)
    if (isOpen) found.push(group)
  }
  return found
}

/** Forgets what was handed over of a group: whoever owns it finds it in the inbox. */
export const forgetHanded = ({ handed }: State, group: Group): void => {
  const waiting = handed.byGroup.get(group)
  if (!waiting) return
  handed.byGroup.delete(group)
  handed.count -= waiting.length
  for (const { payloadJson } of waiting) handed.length -= payloadJson.length
}

/** Says that there may be messages to read in a group. */
export const unrouted = (self: State, group: Group): void => {
  if (group.phase !== "open") return
  // It is read with the others.
  forgetHanded(self, group)
  self.unrouted.add(group)
  self.route.openUnsafe()
}

/** Says that a message was stored, whoever routes it. */
export const told = (self: State, { eventId }: Pick<Message, "eventId">): void => {
  const name = workerGroup(eventId)
  const group = self.groups.get(name)
  if (group?.phase === "open") return unrouted(self, group)
  self.stirred.add(name)
  self.stir.openUnsafe()
}

/** Lanes without anything are forgotten, so that memory is bounded by what is going on and what fails. */
export const forget = (self: State, lane: Lane.Lane): void => {
  const { circuit: { failingSinceMs }, minVersion, timedOut } = lane
  if (lane.inFlight.size > 0) return
  if (lane.held === 0 && lane.backlog.size === 0 && minVersion === 0 && !timedOut && failingSinceMs === undefined) {
    self.lanes.delete(lane.subscriptionId)
  }
}

/** The groups whose messages may be routed and whose deliveries may be claimed. */
export const open = (self: State): ReadonlyArray<Group> =>
  [...self.groups.values()].filter((group) => group.phase === "open")
