/**
 * Sending: attempts begin lane by lane in turn, as far as slots, the lanes' origins, lease and the subscription's version allow.
 */
import { Clock, Effect, FiberSet } from "effect"
import type { Link } from "../Chain.ts"
import type * as Delivery from "../Delivery.ts"
import type { DeliveryId } from "../Id.ts"
import * as Monotonic from "../Monotonic.ts"
import * as RateLimit from "../RateLimit.ts"
import { Storage } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import type { Place } from "../UnderWay.ts"
import * as Answer from "./Answer.ts"
import * as Attempting from "./Attempting.ts"
import * as Lane from "./Lane.ts"
import { type Origin, Origins } from "./Origins.ts"
import { Queue } from "./Queue.ts"
import * as Shares from "./Shares.ts"
import * as State from "./State.ts"
import type { Subscribed } from "./Subscribed.ts"

/**
 * Makes the sender: `pass` begins what can begin now, and tells in how many milliseconds a rate limit or an origin lets more begin;
 * `abort` interrupts a group's attempts, which end as interrupted.
 */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  finish: (finished: Attempting.Finished) => void,
  giveBack: (ready: Lane.Ready) => void
) {
  const storage = yield* Storage
  const { limits } = state
  const clock = yield* Clock.Clock
  const monotonicMs = () => Monotonic.readMs(clock)
  /** By how much the engine's time is ahead of this machine's, as each pass learns anew. */
  let aheadMs = 0
  const now = () => clock.currentTimeMillisUnsafe() + aheadMs
  /** How long until a rate limit or an origin lets an attempt begin, as the present pass has found, in milliseconds. */
  let nextMs = Number.POSITIVE_INFINITY
  const origins = new Origins(limits)
  /** The lanes that the last pass had no slots left for, and how many each tenant may have. */
  let line = new Queue<Lane.Lane>()
  let slotsOf: (tenant: string) => number = () => 0
  /** The version of the subscriptions at the last pass, and whether the one before found lanes by the same. */
  let version = -1
  let isSameVersion = false
  /** What each tenant has, as of the last pass; what is under way, also as of what has begun and ended since. */
  const shares = new Map<string, Share>()
  const tenantOf = ({ served, subscriptionId }: Lane.Lane) =>
    served?.version === subscribed.version() ? served.subscription.tenantId : subscribed.tenantOf(subscriptionId)
  /** The attempts that were ended from here, and why: an attempt may also interrupt itself, which is its provider's fault. */
  const ending = new Map<DeliveryId, Delivery.Outcome>()

  /** Not awaited: what a provider does may not be interruptible. */
  const end = ({ deliveryId, maker }: Lane.Begun, outcome: Delivery.Outcome) => {
    if (!maker) return
    ending.set(deliveryId, outcome)
    maker.end()
  }

  const run = yield* FiberSet.makeRuntime()
  const { begin, bindable, served, spare } = yield* Attempting.make(state, subscribed, {
    ending,
    finish,
    giveBack,
    now
  })

  // Requests that are under way would outlive what made them.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const { inFlight } of state.lanes.values()) for (const begun of inFlight) end(begun, { _tag: "Interrupted" })
    })
  )

  /**
   * Makes an attempt, and when it has succeeded the first of the next lane that waits for a place, or the next of its own lane
   * where no other waits: so a request goes out as soon as one is answered, where a pass would send many at once
   * and let the endpoints wait in between.
   */
  const follow = (first: Next): void => {
    // One after the other, not one within the other: an attempt may be over at once, as with a handler that waits for nothing.
    let atOnce = 0
    for (let next: Next | undefined = first; next;) {
      const one: Next = next
      if (++atOnce > inOneGo) {
        run(Effect.andThen(Effect.yieldNow, Effect.sync(() => follow(one))))
        return
      }
      let early: boolean | undefined
      let hasBegun = false
      begin(one, (hasSucceeded) => {
        if (!hasBegun) {
          early = hasSucceeded
          return
        }
        const following = ended(one, hasSucceeded)
        if (following) follow(following)
      })
      hasBegun = true
      next = early === undefined ? undefined : ended(one, early)
    }
  }

  /** Gives up the place of an attempt; the next one, where it takes that. */
  const ended = ({ begun, lane, origin, place, ready, share }: Next, hasSucceeded: boolean): Next | undefined => {
    // Hardly ever is there one, and every attempt asks.
    if (ending.size > 0) ending.delete(ready.claimed.deliveryId)
    share.inFlight--
    if (place) origin?.end(place)
    State.ended(state, lane, begun)
    const next = hasSucceeded ? firstInLine(lane, origin) ?? nextOf(lane) : undefined
    if (!next) state.send.openUnsafe()
    return next
  }

  /** The next of a lane, where no other may wait for the place. */
  const nextOf = (lane: Lane.Lane) => state.inFlight + 1 < limits.slots ? follower(lane) : undefined

  /** The next in line, in the place of one of a lane that has ended at an origin: of those who wait there, and then for a slot. */
  const firstInLine = (ended: Lane.Lane, origin: Origin | undefined): Next | undefined =>
    isAllTaken() ? undefined : (origin && atOrigin(ended, origin)) ?? forSlot()

  const isAllTaken = () => state.inFlight >= limits.slots + limits.firstSlots

  /**
   * The first of a lane that waits at an origin and has no more under way than the one that had the place, so that its lanes come to
   * have equal parts of it; each of them stays in line while it has more.
   */
  const atOrigin = (ended: Lane.Lane, origin: Origin): Next | undefined => {
    for (let looks = 0; looks < looksInLine && origin.isAwaited && origin.hasRoom(monotonicMs()); looks++) {
      const lane = origin.next()
      if (!lane) return undefined
      const most = ended.waiting.length > 0 ? ended.inFlight.size : limits.laneSlots - 1
      const isNext = lane !== ended && lane.inFlight.size <= most
      const next = isNext ? inTurn(lane) : undefined
      // Something else keeps it, which a pass finds.
      if (isNext && !next) lane.waitsAt = undefined
      else if (lane.waiting.length > 0) origin.hold(lane)
      if (next || lane === ended) return next
    }
    return undefined
  }

  /** The first of the next lane that waits for a slot and has nothing under way. */
  const forSlot = (): Next | undefined => {
    for (let lane = line.shift(); lane; lane = line.shift()) {
      const next = lane.inFlight.size > 0 ? undefined : inTurn(lane)
      if (next) return next
    }
    return undefined
  }

  /** The first of a lane whose turn it is, where its tenant may have one more. */
  const inTurn = (lane: Lane.Lane): Next | undefined => {
    const tenant = tenantOf(lane)
    if (shareOf(tenant).inFlight >= slotsOf(tenant) + limits.firstSlots) return undefined
    const next = follower(lane)
    if (!next) return undefined
    // As in a pass: where places are short, those that had none go first.
    State.moveLast(state, lane)
    return next
  }

  /**
   * Whether nothing but its origin keeps a lane from beginning: asked before anything else, as there may be very many of one origin.
   * What has to be weighed by a pass does not wait so, as a pass hardly ever finds room at an origin that is busy.
   */
  const waitsForOrigin = (lane: Lane.Lane, monotonic: number): boolean => {
    if (lane.circuit.openUntilMs !== undefined || Lane.isSlow(lane, monotonic, limits)) return false
    if (lane.waitsAt && isSameVersion && isHeld(lane, lane.waitsAt, monotonic)) return true
    lane.waitsAt = undefined
    const ready = lane.waiting.first
    const subscription = ready && bindable(ready, lane)
    return subscription !== undefined && !isWeighed(subscription) && isHeld(lane, originOf(lane), monotonic)
  }

  /** The next of a lane, begun in the place of one that has ended; none where a pass has to weigh what may begin. */
  const follower = (lane: Lane.Lane): Next | undefined => {
    const ready = lane.waiting.first
    if (!ready || state.lanes.get(lane.subscriptionId) !== lane) return undefined
    const monotonic = monotonicMs()
    if (monotonic >= state.leaseEndMs || lane.circuit.openUntilMs !== undefined) return undefined
    const subscription = bindable(ready, lane)
    if (!subscription || isWeighed(subscription)) return undefined
    if (Lane.isSlow(lane, monotonic, limits)) return undefined
    const origin = originOf(lane)
    if (isHeld(lane, origin, monotonic)) return undefined
    lane.waiting.shift()
    return taken(lane, ready, subscription, origin, monotonic)
  }

  const originOf = (lane: Lane.Lane): Origin | undefined => {
    const name = served(lane)?.binding?.origin
    return name === undefined ? undefined : origins.of(name)
  }

  /** Whether a lane has to wait for a place at its origin; it does so in its turn. */
  const isHeld = (lane: Lane.Lane, origin: Origin | undefined, monotonic: number): boolean => {
    if (!origin || origin.hasRoom(monotonic)) return false
    origin.hold(lane)
    nextMs = Math.min(nextMs, origin.roomInMs(monotonic))
    return true
  }

  /** What a tenant has, made where there is nothing. */
  const shareOf = (tenant: string): Share => {
    let share = shares.get(tenant)
    if (!share) shares.set(tenant, share = { lanes: 0, wanted: 0, inFlight: 0 })
    return share
  }

  /** Notes that an attempt begins. */
  const taken = (
    lane: Lane.Lane,
    ready: Lane.Ready,
    subscription: Subscription,
    origin: Origin | undefined,
    monotonic: number
  ): Next => {
    const { claimed: { deliveryId }, group } = ready
    const begun = lane.inFlight.add({ deliveryId, group, atMs: monotonic, maker: undefined })
    const share = shareOf(tenantOf(lane))
    share.inFlight++
    state.inFlight++
    group.activeAtMs = monotonic
    const held = ready.express?.held
    if (held) held.begunAtMs ??= monotonic
    return { lane, ready, subscription, origin, place: origin?.begin(monotonic), share, begun }
  }

  /** Counts an attempt against a rate limit where it lets one begin; else notes when it will. */
  const spend = (group: State.Group, rateLimit: RateLimit.RateLimit): boolean => {
    // What was spent before is read when the group is taken over.
    if (group.filledAtMs === undefined) return false
    const nowMs = now()
    const filledAtMs = RateLimit.owed(rateLimit, group.filledAtMs, nowMs)
    // Kept, so that what is owed becomes less as time passes.
    group.filledAtMs = filledAtMs
    const waitMs = RateLimit.nextAtMs(rateLimit, filledAtMs) - nowMs
    if (waitMs > 0) {
      nextMs = Math.min(nextMs, waitMs)
      return false
    }
    group.filledAtMs = RateLimit.take(rateLimit, filledAtMs, nowMs)
    return true
  }

  /**
   * Begins the first of a lane, if it may; tells whether it has, or has let it go, by 1, and by 2 where the lane is slow.
   */
  const beginOf = (lane: Lane.Lane, laneSlots: number, slowLeft: number, monotonic: number): 0 | 1 | 2 => {
    const slow = Lane.isSlow(lane, monotonic, limits)
    const ready = lane.waiting.first
    if (!ready) return 0
    if (lane.inFlight.size >= laneSlots || (slow && slowLeft <= 0)) return 0
    if (lane.circuit.openUntilMs !== undefined) {
      const free = Lane.circuitSlots(lane, now())
      if (free === 0) spare(lane)
      if (lane.inFlight.size >= free) return 0
    }
    const subscription = bindable(ready, lane)
    if (!subscription) {
      lane.waiting.shift()
      giveBack(ready)
      return 1
    }
    if (lane.inFlight.size >= (subscription.maxConcurrency ?? laneSlots)) return 0
    if (subscription.rateLimit && !spend(ready.group, subscription.rateLimit)) return 0
    lane.waiting.shift()
    // Where slots are short, those that had none go first.
    State.moveLast(state, lane)
    follow(taken(lane, ready, subscription, originOf(lane), monotonic))
    return slow ? 2 : 1
  }

  const pass = Effect.gen(function*() {
    if (state.claimedVersion > subscribed.version()) {
      // The copy is behind, or the claim.
      const claimedVersion = state.claimedVersion
      state.claimedVersion = 0
      yield* Effect.onError(subscribed.reload, () =>
        Effect.sync(() => {
          state.claimedVersion = Math.max(state.claimedVersion, claimedVersion)
        }))
    }
    isSameVersion = version === subscribed.version()
    version = subscribed.version()
    line = new Queue()
    origins.clear()
    aheadMs = (yield* storage.now) - clock.currentTimeMillisUnsafe()
    nextMs = Number.POSITIVE_INFINITY
    const monotonic = yield* Monotonic.nowMs
    const waiting = Shares.inTurn([...state.lanes.values()].filter((lane) => lane.waiting.length > 0), tenantOf)
    for (const [tenant, share] of shares) {
      share.lanes = 0
      share.wanted = 0
      if (share.inFlight === 0) shares.delete(tenant)
    }
    let slowInFlight = 0
    for (const lane of state.lanes.values()) {
      if (Lane.unfinished(lane) > 0) {
        const share = shareOf(tenantOf(lane))
        share.lanes++
        share.wanted += Lane.unfinished(lane)
      }
      if (Lane.isSlow(lane, monotonic, limits)) slowInFlight += lane.inFlight.size
      for (const begun of lane.inFlight) {
        if (monotonic - begun.atMs <= limits.attemptTimeoutMs) break
        end(begun, Answer.tookTooLong(limits.attemptTimeoutMs))
      }
    }
    slotsOf = Shares.divide(limits.slots, new Map(Array.from(shares, ([tenant, { wanted }]) => [tenant, wanted])))
    const slowSlots = Math.floor(limits.slots * limits.slowShare)
    const slow = waiting.filter((lane) => Lane.isSlow(lane, monotonic, limits))
    let slowRoom = slow.length === 0 ? 0 : State.slowRoom(state, monotonic)
    for (const lane of slow) {
      // What a hanging endpoint can't take soon makes room for others.
      const kept = Math.max(0, Math.min(limits.laneSlots - lane.inFlight.size, lane.waiting.length + slowRoom))
      const surplus = lane.waiting.splice(kept)
      slowRoom += surplus.length
      for (const ready of surplus) giveBack(ready)
    }
    let turn = waiting
    /** Those that have had their equal part, and that part no more: what others leave of theirs is given when all have had it. */
    const satisfied: Array<Lane.Lane> = []
    let isLeft = false
    while (turn.length > 0) {
      const next: Array<Lane.Lane> = []
      for (const lane of turn) {
        // Where all is taken, no lane of many need be asked: they wait in line.
        if (isAllTaken()) {
          for (const left of turn.slice(turn.indexOf(lane))) line.push(left)
          return nextMs
        }
        if (waitsForOrigin(lane, monotonic)) continue
        if (monotonicMs() >= state.leaseEndMs) return nextMs
        // A lane with nothing under way gets a first slot even where hanging ones took all before they were known as such.
        const first = lane.inFlight.size === 0 ? limits.firstSlots : 0
        const tenant = tenantOf(lane)
        const share = shareOf(tenant)
        // Nor may the first slots of a tenant's very many lanes keep another from its equal part.
        const isOwed = shares.size > 1 && share.inFlight < Math.floor(limits.slots / shares.size)
        if (state.inFlight >= limits.slots + (isOwed ? limits.firstSlots : first)) continue
        if (share.inFlight >= slotsOf(tenant) + first) continue
        const laneSlots = isLeft ? limits.laneSlots : Lane.slots(slotsOf(tenant), share.lanes, limits)
        if (!isLeft && lane.inFlight.size >= laneSlots && laneSlots < limits.laneSlots) {
          satisfied.push(lane)
          continue
        }
        const begun = beginOf(lane, laneSlots, slowSlots - slowInFlight, monotonic)
        if (begun === 2) slowInFlight++
        if (begun > 0 && lane.waiting.length > 0) next.push(lane)
      }
      turn = next
      if (turn.length > 0 || isLeft) continue
      isLeft = true
      turn = satisfied
    }
    return nextMs
  })

  const abort = (group: State.Group): void => {
    for (const { inFlight } of state.lanes.values()) {
      for (const begun of inFlight) if (begun.group === group) end(begun, { _tag: "Interrupted" })
    }
  }

  return { pass, abort }
})

// --- internal ---

/** An attempt to make: a delivery that was taken out of its lane's waiting ones. */
interface Next {
  readonly lane: Lane.Lane
  readonly ready: Lane.Ready
  readonly subscription: Subscription
  /** Where its endpoint is, as far as that is known before. */
  readonly origin: Origin | undefined
  readonly place: Place | undefined
  readonly share: Share
  readonly begun: Link<Lane.Begun>
}

/** How many lanes are looked at in line for each attempt that ends. */
const looksInLine = 4

/** How many attempts that are over at once follow one another before others get their turn. */
const inOneGo = 32

/** Whether its limits say when an attempt may begin. */
const isWeighed = ({ maxConcurrency, rateLimit }: Subscription): boolean =>
  rateLimit !== undefined || maxConcurrency !== undefined

/** What a tenant has: lanes with something to do, deliveries in them, and those of these that are under way. */
interface Share {
  lanes: number
  wanted: number
  inFlight: number
}
