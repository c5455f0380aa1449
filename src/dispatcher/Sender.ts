/**
 * Sending: attempts begin lane by lane in turn, as far as slots, lease and the subscription's version allow, and end as
 * outcomes for the recorder.
 */
import { Clock, Context, DateTime, Effect, Exit, type Fiber, FiberSet, Option, References } from "effect"
import type { Types } from "effect"
import type { Binding } from "../Bindings.ts"
import * as Circuit from "../Circuit.ts"
import * as Core from "../Core.ts"
import * as Delivery from "../Delivery.ts"
import type { DeliveryId } from "../Id.ts"
import * as Monotonic from "../Monotonic.ts"
import * as Note from "../Note.ts"
import { type Delivered, type ProviderError, RetryableError } from "../Provider.ts"
import * as RateLimit from "../RateLimit.ts"
import { Registry } from "../Registry.ts"
import * as RequestExcerpt from "../RequestExcerpt.ts"
import * as Retention from "../Retention.ts"
import * as RetrySchedule from "../RetrySchedule.ts"
import { type Outcome, Storage } from "../Storage.ts"
import { isInternal, type Subscription } from "../Subscription.ts"
import * as Answer from "./Answer.ts"
import { given } from "./Given.ts"
import * as Lane from "./Lane.ts"
import { Line, type Origin, Origins } from "./Origins.ts"
import * as Shares from "./Shares.ts"
import * as State from "./State.ts"
import type { Subscribed } from "./Subscribed.ts"
import * as Tracing from "./Tracing.ts"

/** An outcome on its way to the recorder. */
export interface Finished {
  readonly ready: Lane.Ready
  readonly outcome: Outcome
  readonly subscription: Subscription
  /** Why the subscription is to be disabled; undefined where it is not. */
  readonly disable: "gone" | "failing" | undefined
  /** Since when nothing of the subscription was accepted, where its people have to be warned. */
  readonly warnOfMs: number | undefined
}

/** Makes the sender: `pass` begins what can begin now, and tells in how many milliseconds a rate limit or an origin lets more begin; `abort` interrupts a group's attempts, which end as interrupted. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  finish: (finished: Finished) => void,
  giveBack: (ready: Lane.Ready) => void
) {
  const storage = yield* Storage
  const registry = yield* Registry
  const { limits } = state
  const { retryMaxAgeMs } = Retention.within(limits)
  const tracing = yield* Tracing.make
  const clock = yield* Clock.Clock
  const monotonicMs = () => Monotonic.readMs(clock)
  /** By how much the engine's time is ahead of this machine's, as each pass learns anew. */
  let aheadMs = 0
  const now = () => clock.currentTimeMillisUnsafe() + aheadMs
  const logAnnotations = yield* References.CurrentLogAnnotations
  const fibers: FiberSet.FiberSet = yield* FiberSet.make()
  const attempts = new Map<DeliveryId, Fiber.Fiber<unknown, unknown>>()
  /** How long until a rate limit or an origin lets an attempt begin, as the present pass has found, in milliseconds. */
  let nextMs = Number.POSITIVE_INFINITY
  const origins = new Origins(limits)
  /** The lanes that the last pass had no slots left for, and how many each tenant may have. */
  let line = new Line([])
  let slotsOf: (tenant: string) => number = () => 0
  /** The version of the subscriptions at the last pass, and whether the one before found lanes by the same. */
  let version = -1
  let isSameVersion = false
  /** What each tenant has, as of the last pass; what is under way, also as of what has begun and ended since. */
  let shares = new Map<string, Share>()
  const tenantOf = ({ subscriptionId }: Lane.Lane) => subscribed.tenantOf(subscriptionId)
  /** The attempts that were ended from here, and why: an attempt may also interrupt itself, which is its provider's fault. */
  const ending = new Map<DeliveryId, Delivery.Outcome>()

  /** Not awaited: what a provider does may not be interruptible. */
  const end = (id: DeliveryId, outcome: Delivery.Outcome) => {
    const fiber = attempts.get(id)
    if (!fiber) return
    ending.set(id, outcome)
    fiber.interruptUnsafe()
  }

  const scheduleOf = (subscription: Subscription, eventId: string, binding: Binding | undefined) =>
    Effect.map(registry.event(eventId), (event) =>
      subscription.retry
        ? RetrySchedule.fromJson(subscription.retry)
        // An event's schedule is for systems outside.
        : (isInternal(subscription) ? undefined : event?.retry) ?? binding?.providerRetry ??
          RetrySchedule.standardWebhooks)

  /** Gives back what waits in a lane whose circuit has opened: other owners may have to know of it, and memory is short. */
  const spare = (lane: Lane.Lane) => {
    for (const ready of lane.waiting.splice(0)) giveBack(ready)
  }

  /** What is told with an outcome of a message that is not Hookline's own. */
  const tellingOf = Effect.fnUntraced(function*(
    { claimed, message }: Lane.Ready,
    subscription: Subscription,
    { attempt, transition }: Delivery.Step,
    { before, nowMs, sign }: {
      readonly before: Circuit.Circuit
      readonly sign: Circuit.Sign | undefined
      readonly nowMs: number
    }
  ) {
    const { id, name, providerId } = subscription
    // A work queue is no tenant's.
    const context = { nowMs, tenantId: isInternal(subscription) ? message.tenantId : subscription.tenantId }
    if (sign === "accepted" && before.warned && before.failingSinceMs !== undefined) {
      const failingSince = DateTime.makeUnsafe(before.failingSinceMs)
      const recovered = { subscriptionId: id, name, providerId, failingSince }
      return [{ message: yield* Core.message(Core.SubscriptionRecovered, recovered, context), ifRecovered: true }]
    }
    if (transition._tag !== "Final" || transition.reason !== "exhausted") return []
    const exhausted = {
      deliveryId: claimed.deliveryId,
      messageId: claimed.messageId,
      eventId: message.eventId,
      subscriptionId: id,
      attemptCount: attempt.number,
      ...(transition.lastError === undefined ? {} : { lastError: transition.lastError })
    }
    return [{ message: yield* Core.message(Core.DeliveryExhausted, exhausted, context), ifRecovered: false }]
  })

  const excerpts = {
    length: limits.requestExcerptLength,
    headerLength: limits.headerExcerptLength,
    headersKept: limits.headersKept
  }

  /** An attempt with what became known of it while it was made. */
  const noted = (attempt: Delivery.AttemptRecord, { phases, request }: Note.Note): Delivery.AttemptRecord => {
    const found: Types.Mutable<Delivery.AttemptRecord> = { ...attempt }
    if (phases !== undefined) found.phases = phases
    if (request !== undefined) {
      found.request = RequestExcerpt.of(request, { ...excerpts, withBody: attempt.outcome !== "success" })
    }
    return found
  }

  /** What an attempt has come to; the schedule is asked only where it failed, and people are told of few. */
  const conclude = (
    ready: Lane.Ready,
    subscription: Subscription,
    binding: Binding | undefined,
    startedAtMs: number,
    exit: Exit.Exit<Delivered, ProviderError>,
    note: Note.Note = Note.make()
  ): Effect.Effect<void> => {
    const { claimed } = ready
    const nowMs = now()
    const outcome = Answer.outcomeOf(exit, ending.get(claimed.deliveryId))
    const lane = State.laneOf(state, claimed.subscriptionId)
    const sign = isInternal(subscription) ? undefined : Answer.signOf(outcome)
    const before = lane.circuit
    if (sign !== undefined) lane.circuit = Circuit.step(before, sign, { nowMs, startedAtMs }, limits)
    if (outcome._tag === "Delivered") state.accepted.set(claimed.subscriptionId, nowMs)
    else state.accepted.delete(claimed.subscriptionId)
    const { circuit } = lane
    if (Circuit.stateAt(circuit, nowMs) === "open") spare(lane)
    lane.timedOut = outcome._tag === "Failed" && outcome.error._tag === "Retryable" && outcome.error.timedOut === true
    const isTold = !Core.isOwn(ready.message.eventId)
    const failingMs = circuit.failingSinceMs === undefined ? 0 : nowMs - circuit.failingSinceMs
    const opens = circuit.opens > before.opens

    const stepOf = (nextDelayMs: number | undefined) =>
      Delivery.step(
        { id: claimed.deliveryId, attemptCount: claimed.attemptCount, retryBase: claimed.retryBase },
        outcome,
        {
          nowMs,
          startedAtMs,
          nextDelayMs,
          retryAfterCapMs: limits.retryAfterCapMs,
          expiresAtMs: claimed.expiresAtMs,
          errorLength: limits.errorLength
        }
      )

    const finished = (step: Delivery.Step, telling: Outcome["telling"]): void => {
      const found: Types.Mutable<Outcome> = {
        owner: ready.group.owner,
        deliveryId: claimed.deliveryId,
        attemptCount: claimed.attemptCount,
        attempt: noted(step.attempt, note),
        transition: step.transition
      }
      if (subscription.rateLimit && ready.group.filledAtMs !== undefined) found.filledAtMs = ready.group.filledAtMs
      if (sign !== undefined) found.sign = sign
      if (opens && circuit.openUntilMs !== undefined) found.openUntilMs = circuit.openUntilMs
      if (telling !== undefined && telling.length > 0) found.telling = telling
      finish({
        ready,
        subscription,
        // Not before people were warned.
        disable: step.disableSubscription
          ? "gone"
          : circuit.warned && failingMs >= limits.failingDisableMs
          ? "failing"
          : undefined,
        warnOfMs: isTold && failingMs >= limits.failingWarnMs && !circuit.warned ? circuit.failingSinceMs : undefined,
        outcome: found
      })
    }

    if (outcome._tag === "Delivered" && !before.warned) {
      finished(stepOf(undefined), undefined)
      return Effect.void
    }
    return Effect.gen(function*() {
      const nextDelayMs = outcome._tag === "Failed" && outcome.error._tag === "Retryable"
        ? yield* RetrySchedule.next(yield* scheduleOf(subscription, ready.message.eventId, binding), {
          history: [...Lane.failures(ready), { atMs: nowMs, error: outcome.error }],
          seed: claimed.deliveryId,
          maxAgeMs: retryMaxAgeMs
        })
        : Option.none<number>()
      const step = stepOf(Option.getOrUndefined(nextDelayMs))
      finished(step, isTold ? yield* tellingOf(ready, subscription, step, { before, sign, nowMs }) : undefined)
    })
  }

  /** The subscription as it was claimed for, where that is how it stands and this runner can serve it. */
  const bindable = ({ claimed, group }: Lane.Ready): Subscription | undefined => {
    const { minVersion } = State.laneOf(state, claimed.subscriptionId)
    const subscription = subscribed.get(claimed.subscriptionId)
    return group.phase === "open" && claimed.subscriptionVersion >= minVersion && subscription?.enabled === true &&
        subscription.version === claimed.subscriptionVersion && subscribed.hasProvider(subscription)
      ? subscription
      : undefined
  }

  /** Whether an attempt may still begin: binding may have taken its time. */
  const mayBegin = (ready: Lane.Ready, monotonic: number): boolean =>
    monotonic < state.leaseEndMs && !ending.has(ready.claimed.deliveryId) && bindable(ready) !== undefined

  /** What an attempt finds: a place to note what becomes known of it, and what its log lines are about. */
  const during =
    ({ claimed: { deliveryId, messageId, subscriptionId } }: Lane.Ready, note: Note.Note) =>
    (context: Context.Context<never>): Context.Context<never> =>
      Context.add(
        Context.add(context, Note.Note, note),
        References.CurrentLogAnnotations,
        { ...logAnnotations, messageId, deliveryId, subscriptionId }
      )

  /** Makes one attempt; tells whether its fiber may make another. */
  const attempt = (ready: Lane.Ready, subscription: Subscription, restore: Restore): Effect.Effect<boolean> => {
    const known = subscribed.binding(subscription)
    return known
      ? attemptWith(ready, subscription, restore, Exit.succeed(known))
      : restore(Effect.suspend(() => subscribed.bind(subscription))).pipe(
        Effect.catchDefect((defect) => Effect.fail({ message: Answer.thrownMessage(defect) })),
        Effect.exit,
        Effect.flatMap((bound) => attemptWith(ready, subscription, restore, bound))
      )
  }

  const attemptWith = (
    ready: Lane.Ready,
    subscription: Subscription,
    restore: Restore,
    bound: Exit.Exit<Binding, { readonly message: string }>
  ): Effect.Effect<boolean> => {
    const { claimed } = ready
    const startedAtMs = now()
    // Binding took as long as an attempt may take.
    if (ending.get(claimed.deliveryId)?._tag === "Failed") {
      return Effect.as(conclude(ready, subscription, undefined, startedAtMs, Exit.interrupt()), false)
    }
    const isLate = startedAtMs >= (claimed.expiresAtMs ?? Number.POSITIVE_INFINITY)
    if (isLate || !mayBegin(ready, monotonicMs())) {
      giveBack(ready)
      return Effect.succeed(false)
    }
    if (Exit.isFailure(bound)) {
      const failure = new RetryableError({
        code: "Misconfigured",
        message: `The subscription can't be used: ${Answer.unbound(bound)}`
      })
      return Effect.as(conclude(ready, subscription, undefined, startedAtMs, Exit.fail(failure)), false)
    }
    const binding = bound.value
    const note = Note.make()
    const delivering = tracing.attempt(
      ready,
      subscription,
      (traceparent) => binding.bound.deliver(given(ready, subscription, binding, startedAtMs, traceparent))
    )
    const ended = (exit: Exit.Exit<Delivered, ProviderError>) =>
      Effect.mapEager(conclude(ready, subscription, binding, startedAtMs, exit, note), () => Exit.isSuccess(exit))
    return Effect.matchCauseEffect(restore(Effect.updateContext(delivering, during(ready, note))), {
      onSuccess: (delivered) => ended(Exit.succeed(delivered)),
      onFailure: (cause) => ended(Exit.failCause(cause))
    })
  }

  /**
   * Makes an attempt, and when it has succeeded the first of the next lane that waits for a place, or the next of its own lane
   * where no other waits: so a request goes out as soon as one is answered, where a pass would send many at once
   * and let the endpoints wait in between.
   */
  const attemptOn = (first: Next) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
        let { lane, origin, subscription: of } = first
        let ready: Lane.Ready | undefined = first.ready
        const leave = () => {
          if (!ready) return
          const { deliveryId, subscriptionId } = ready.claimed
          ready = undefined
          ending.delete(deliveryId)
          attempts.delete(deliveryId)
          shareOf(tenantOf(lane)).inFlight--
          origin?.end(deliveryId)
          State.ended(state, State.laneOf(state, subscriptionId), deliveryId)
        }
        return Effect.ensuring(
          Effect.whileLoop({
            while: () => ready !== undefined,
            body: () => ready ? attempt(ready, of, restore) : Effect.succeed(false),
            step: (mayGoOn: boolean) => {
              leave()
              const next = mayGoOn ? firstInLine(lane, origin) ?? nextOf(lane) : undefined
              if (!next) return
              ready = next.ready
              lane = next.lane
              origin = next.origin
              of = next.subscription
              attempts.set(next.ready.claimed.deliveryId, fiber)
            }
          }),
          Effect.sync(() => {
            leave()
            state.send.openUnsafe()
          })
        )
      })
    )

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
    for (let looks = 0; looks < looksInLine && origin.hasRoom(monotonicMs()); looks++) {
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
    for (let lane = line.next(); lane; lane = line.next()) {
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
    state.lanes.delete(lane.subscriptionId)
    state.lanes.set(lane.subscriptionId, lane)
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
    const [ready] = lane.waiting
    const subscription = ready && bindable(ready)
    return subscription !== undefined && !isWeighed(subscription) && isHeld(lane, originOf(subscription), monotonic)
  }

  /** The next of a lane, begun in the place of one that has ended; none where a pass has to weigh what may begin. */
  const follower = (lane: Lane.Lane): Next | undefined => {
    const ready = lane.waiting[0]
    if (!ready || state.lanes.get(lane.subscriptionId) !== lane) return undefined
    const monotonic = monotonicMs()
    if (monotonic >= state.leaseEndMs || lane.circuit.openUntilMs !== undefined) return undefined
    const subscription = bindable(ready)
    if (!subscription || isWeighed(subscription)) return undefined
    if (Lane.isSlow(lane, monotonic, limits)) return undefined
    const origin = originOf(subscription)
    if (isHeld(lane, origin, monotonic)) return undefined
    lane.waiting.shift()
    return taken({ lane, ready, subscription, origin }, monotonic)
  }

  const originOf = (subscription: Subscription): Origin | undefined => {
    const name = subscribed.binding(subscription)?.origin
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
  const taken = (next: Next, monotonic: number): Next => {
    const { lane, origin, ready: { claimed: { deliveryId }, group } } = next
    lane.inFlight.set(deliveryId, monotonic)
    origin?.begin(deliveryId, monotonic)
    shareOf(tenantOf(lane)).inFlight++
    state.inFlight++
    group.activeAtMs = monotonic
    return next
  }

  /** Counts an attempt against a rate limit where it lets one begin; else notes when it will. */
  const spend = (group: State.Group, rateLimit: RateLimit.RateLimit) =>
    Effect.map(storage.now, (nowMs) => {
      // What was spent before is read when the group is taken over.
      if (group.filledAtMs === undefined) return false
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
    })

  /** Begins attempts of a lane while it may; tells whether it has more to begin. */
  const begin = Effect.fnUntraced(function*(lane: Lane.Lane, laneSlots: number, slowLeft: number, monotonic: number) {
    const slow = Lane.isSlow(lane, monotonic, limits)
    const ready = lane.waiting[0]
    if (!ready) return 0
    if (lane.inFlight.size >= laneSlots || (slow && slowLeft <= 0)) return 0
    if (lane.circuit.openUntilMs !== undefined) {
      const free = Lane.circuitSlots(lane, yield* storage.now)
      if (free === 0) spare(lane)
      if (lane.inFlight.size >= free) return 0
    }
    const subscription = bindable(ready)
    if (!subscription) {
      lane.waiting.shift()
      giveBack(ready)
      return 1
    }
    if (lane.inFlight.size >= (subscription.maxConcurrency ?? laneSlots)) return 0
    if (subscription.rateLimit && !(yield* spend(ready.group, subscription.rateLimit))) return 0
    lane.waiting.shift()
    // Where slots are short, those that had none go first.
    state.lanes.delete(lane.subscriptionId)
    state.lanes.set(lane.subscriptionId, lane)
    const { deliveryId } = ready.claimed
    const next = taken({ lane, ready, subscription, origin: originOf(subscription) }, monotonic)
    const fiber = yield* FiberSet.run(fibers, attemptOn(next))
    // It may have ended already.
    if (lane.inFlight.has(deliveryId)) attempts.set(deliveryId, fiber)
    return slow ? 2 : 1
  })

  /** Whether a waiting delivery was claimed under another version than the copy's: the copy is behind, or the claim. */
  const behind = () => {
    for (const lane of state.lanes.values()) {
      const ready = lane.waiting[0]
      if (ready && ready.claimed.subscriptionVersion > subscribed.version()) return true
    }
    return false
  }

  const pass = Effect.gen(function*() {
    if (behind()) yield* subscribed.reload
    isSameVersion = version === subscribed.version()
    version = subscribed.version()
    line = new Line([])
    origins.clear()
    aheadMs = (yield* storage.now) - clock.currentTimeMillisUnsafe()
    nextMs = Number.POSITIVE_INFINITY
    const monotonic = yield* Monotonic.nowMs
    const waiting = Shares.inTurn([...state.lanes.values()].filter((lane) => lane.waiting.length > 0), tenantOf)
    shares = new Map()
    let slowInFlight = 0
    for (const lane of state.lanes.values()) {
      if (Lane.unfinished(lane) > 0) {
        const share = shareOf(tenantOf(lane))
        share.lanes++
        share.wanted += Lane.unfinished(lane)
        share.inFlight += lane.inFlight.size
      }
      if (Lane.isSlow(lane, monotonic, limits)) slowInFlight += lane.inFlight.size
      for (const [id, startedAt] of lane.inFlight) {
        if (monotonic - startedAt <= limits.attemptTimeoutMs) break
        end(id, Answer.tookTooLong(limits.attemptTimeoutMs))
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
    while (turn.length > 0) {
      const next: Array<Lane.Lane> = []
      for (const lane of turn) {
        // Where all is taken, no lane of many need be asked: they wait in line.
        if (isAllTaken()) {
          line = new Line(turn.slice(turn.indexOf(lane)))
          return nextMs
        }
        if (waitsForOrigin(lane, monotonic)) continue
        if (monotonicMs() >= state.leaseEndMs) return nextMs
        // A lane with nothing under way gets a first slot even where hanging ones took all before they were known as such.
        const first = lane.inFlight.size === 0 ? limits.firstSlots : 0
        if (state.inFlight >= limits.slots + first) continue
        const tenant = tenantOf(lane)
        const share = shareOf(tenant)
        if (share.inFlight >= slotsOf(tenant) + first) continue
        const laneSlots = Lane.slots(slotsOf(tenant), share.lanes, limits)
        const begun = yield* begin(lane, laneSlots, slowSlots - slowInFlight, monotonic)
        if (begun === 2) slowInFlight++
        if (begun > 0 && lane.waiting.length > 0) next.push(lane)
      }
      turn = next
    }
    return nextMs
  })

  const abort = (group: State.Group): void => {
    for (const ready of state.deliveries.values()) {
      if (ready.group === group) end(ready.claimed.deliveryId, { _tag: "Interrupted" })
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
}

/** How many lanes are looked at in line for each attempt that ends. */
const looksInLine = 4

/** Whether its limits say when an attempt may begin. */
const isWeighed = ({ maxConcurrency, rateLimit }: Subscription): boolean =>
  rateLimit !== undefined || maxConcurrency !== undefined

/** What a tenant has: lanes with something to do, deliveries in them, and those of these that are under way. */
interface Share {
  lanes: number
  wanted: number
  inFlight: number
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
