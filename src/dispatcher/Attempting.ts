/**
 * Attempting: an attempt from the subscription that is bound to what came of it, an outcome for the recorder.
 */
import { type Cause, Clock, Context, DateTime, Effect, Exit, type Fiber, FiberSet, Option, References } from "effect"
import type { Binding } from "../Bindings.ts"
import * as Circuit from "../Circuit.ts"
import * as Core from "../Core.ts"
import * as Delivery from "../Delivery.ts"
import type { DeliveryId } from "../Id.ts"
import { letGo } from "../LetGo.ts"
import * as Monotonic from "../Monotonic.ts"
import * as Note from "../Note.ts"
import { type Delivered, type ProviderError, RetryableError } from "../Provider.ts"
import { Registry } from "../Registry.ts"
import * as RequestExcerpt from "../RequestExcerpt.ts"
import * as Retention from "../Retention.ts"
import * as RetrySchedule from "../RetrySchedule.ts"
import type { Outcome } from "../Storage.ts"
import { isInternal, ownGroup, type Subscription } from "../Subscription.ts"
import * as Answer from "./Answer.ts"
import { given } from "./Given.ts"
import * as Lane from "./Lane.ts"
import { Exchanging, Making, type Turn } from "./Making.ts"
import * as State from "./State.ts"
import type { Subscribed } from "./Subscribed.ts"
import * as Tracing from "./Tracing.ts"

/** An outcome on its way to the recorder. A class, for V8, as `Lane.Ready` is, and its outcome too. */
export class Finished {
  readonly ready: Lane.Ready
  readonly outcome: Outcome
  readonly subscription: Subscription
  /** Why the subscription is to be disabled; undefined where it is not. */
  readonly disable: "gone" | "failing" | undefined
  /** Since when nothing of the subscription was accepted, where its people have to be warned. */
  readonly warnOfMs: number | undefined

  constructor(
    ready: Lane.Ready,
    outcome: Outcome,
    subscription: Subscription,
    { disable, warnOfMs }: Pick<Finished, "disable" | "warnOfMs">
  ) {
    this.ready = ready
    this.outcome = outcome
    this.subscription = subscription
    this.disable = disable
    this.warnOfMs = warnOfMs
  }
}

class Concluded implements Outcome {
  readonly owner: Outcome["owner"]
  readonly deliveryId: DeliveryId
  readonly attemptCount: number
  readonly attempt: Outcome["attempt"]
  readonly transition: Outcome["transition"]
  declare filledAtMs?: number
  declare sign?: Circuit.Sign
  declare openUntilMs?: number
  declare telling?: NonNullable<Outcome["telling"]>

  constructor({ claimed, group }: Lane.Ready, { attempt, transition }: Delivery.Step) {
    this.owner = group.owner
    this.deliveryId = claimed.deliveryId
    this.attemptCount = claimed.attemptCount
    this.attempt = attempt
    this.transition = transition
  }
}

/** Makes what attempts are made with; `now` is the engine's time in milliseconds. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  subscribed: Subscribed,
  { ending, finish, giveBack, now }: {
    /** The attempts that were ended from outside, and as what they end. */
    readonly ending: ReadonlyMap<DeliveryId, Delivery.Outcome>
    readonly finish: (finished: Finished) => void
    readonly giveBack: (ready: Lane.Ready) => void
    readonly now: () => number
  }
) {
  const registry = yield* Registry
  const { limits } = state
  const { retryMaxAgeMs } = Retention.within(limits)
  const tracing = yield* Tracing.make
  const run = yield* FiberSet.makeRuntime()
  const clock = yield* Clock.Clock
  const logAnnotations = yield* References.CurrentLogAnnotations

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

  const lengths = {
    length: limits.requestExcerptLength,
    headerLength: limits.headerExcerptLength,
    headersKept: limits.headersKept
  }
  const excerpts = { whole: { ...lengths, withBody: true }, short: { ...lengths, withBody: false } }

  /** As what an attempt was ended from outside, as hardly any is. */
  const endedAs = (id: DeliveryId): Delivery.Outcome | undefined => ending.size === 0 ? undefined : ending.get(id)

  /** What is kept of the request that was noted. Of a plugin that is no TypeScript it may be anything. */
  const excerptOf = ({ request }: Note.Note, withBody: boolean): RequestExcerpt.RequestExcerpt | undefined =>
    RequestExcerpt.isWhole(request) ? RequestExcerpt.of(request, withBody ? excerpts.whole : excerpts.short) : undefined

  /**
   * What an attempt has come to; the schedule is asked only where it failed, and people are told of few: what that leaves to do is
   * returned, and nothing else.
   */
  const conclude = (
    { binding, note, startedAtMs, turn: { ready, subscription } }: Making,
    exit: Exit.Exit<Delivered, ProviderError>
  ): Effect.Effect<void> | undefined => {
    const { claimed } = ready
    const nowMs = now()
    const outcome = Answer.outcomeOf(exit, endedAs(claimed.deliveryId))
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
          errorLength: limits.errorLength,
          phases: note.phases,
          request: excerptOf(note, outcome._tag !== "Delivered")
        }
      )

    const finished = (step: Delivery.Step, telling: Outcome["telling"]): void => {
      const found = new Concluded(ready, step)
      if (subscription.rateLimit && ready.group.filledAtMs !== undefined) found.filledAtMs = ready.group.filledAtMs
      if (sign !== undefined) found.sign = sign
      if (opens && circuit.openUntilMs !== undefined) found.openUntilMs = circuit.openUntilMs
      if (telling !== undefined && telling.length > 0) found.telling = telling
      finish(
        new Finished(ready, found, subscription, {
          // Not before people were warned.
          disable: step.disableSubscription
            ? "gone"
            : circuit.warned && failingMs >= limits.failingDisableMs
            ? "failing"
            : undefined,
          warnOfMs: isTold && failingMs >= limits.failingWarnMs && !circuit.warned ? circuit.failingSinceMs : undefined
        })
      )
    }

    if (outcome._tag === "Delivered" && !before.warned) {
      finished(stepOf(undefined), undefined)
      return undefined
    }
    return Effect.gen(function*() {
      const nextDelayMs = outcome._tag === "Failed" && outcome.error._tag === "Retryable"
        ? yield* letGo(RetrySchedule.next(yield* scheduleOf(subscription, ready.message.eventId, binding), {
          history: [...Lane.failures(ready), { atMs: nowMs, error: outcome.error }],
          seed: claimed.deliveryId,
          maxAgeMs: retryMaxAgeMs
        }))
        : Option.none<number>()
      const step = stepOf(Option.getOrUndefined(nextDelayMs))
      finished(step, isTold ? yield* letGo(tellingOf(ready, subscription, step, { before, sign, nowMs })) : undefined)
    })
  }

  /**
   * The subscription as it was claimed for, where that is how it stands and this runner can serve it. A claim that is taken up
   * again has the version of that time, and may be of a group that the subscription has left meanwhile: it goes back to be moved.
   */
  const bindable = ({ claimed, group }: Lane.Ready, lane: Lane.Lane): Subscription | undefined => {
    const subscription = served(lane)?.subscription
    return group.phase === "open" && claimed.subscriptionVersion >= lane.minVersion &&
        subscription?.version === claimed.subscriptionVersion && isAtHome(subscription, group)
      ? subscription
      : undefined
  }

  /** What serves a lane's attempts, where its subscription is enabled and this runner has its provider. */
  const served = (lane: Lane.Lane): Lane.Served | undefined => {
    const version = subscribed.version()
    if (lane.served?.version === version && lane.served.binding) return lane.served
    const subscription = subscribed.get(lane.subscriptionId)
    const isServed = subscription?.enabled === true && subscribed.hasProvider(subscription)
    return lane.served = isServed ? { version, subscription, binding: subscribed.binding(subscription) } : undefined
  }

  /** Whether an attempt may still begin: binding may have taken its time. */
  const mayBegin = (ready: Lane.Ready, lane: Lane.Lane): boolean =>
    Monotonic.readMs(clock) < state.leaseEndMs && endedAs(ready.claimed.deliveryId) === undefined &&
    bindable(ready, lane) !== undefined

  /** What an attempt has of its own: a place to note what becomes known of it, and what its log lines are about. */
  const ownOf =
    ({ claimed: { deliveryId, messageId, subscriptionId } }: Lane.Ready, note: Note.Note) =>
    <R>(services: Context.Context<R>): Context.Context<R> =>
      Context.add(
        Context.add(services, Note.Note, note),
        References.CurrentLogAnnotations,
        { ...logAnnotations, messageId, deliveryId, subscriptionId }
      )

  /**
   * Begins the attempt of a turn. When it is concluded, which may be before this returns, `over` hears whether it has succeeded.
   */
  const begin = (turn: Turn, over: (hasSucceeded: boolean) => void): void => {
    const exchanging = mayBegin(turn.ready, turn.lane) ? exchangingOf(turn, over) : undefined
    turn.begun.value.maker = exchanging ?? attemptInFiber(turn, over)
    exchanging?.begin()
  }

  const bindingOf = ({ lane, subscription }: Turn): Binding | undefined => {
    const known = served(lane)
    return known?.subscription.version === subscription.version ? known.binding : undefined
  }

  /** The attempt of a turn where it is one request; whether it may begin was seen in the same step. */
  const exchangingOf = (turn: Turn, over: (hasSucceeded: boolean) => void): Exchanging | undefined => {
    const { ready, subscription } = turn
    const { claimed, message } = ready
    const binding = bindingOf(turn)
    if (!binding?.bound.begin || !binding.bound.exchange || tracing.isSpanned(message)) return undefined
    const startedAtMs = now()
    if (startedAtMs >= (claimed.expiresAtMs ?? Number.POSITIVE_INFINITY)) return undefined
    try {
      const exchange = binding.bound.exchange(given(ready, subscription, binding, startedAtMs, message.traceparent))
      return exchange && new Exchanging(turn, startedAtMs, {
        binding,
        exchange,
        begin: binding.bound.begin,
        conclude: exchanged,
        over
      })
    } catch {
      // It is made the other way, where what a provider throws is told as its answer.
      return undefined
    }
  }

  /** Concludes an exchange, in a fiber only where there is more to do than that. */
  const exchanged = (made: Exchanging, exit: Exit.Exit<Delivered, ProviderError>): void => {
    let left
    try {
      left = conclude(made, exit)
    } catch (defect) {
      left = Effect.die(defect)
    }
    if (left) inFiber(made.turn, () => Effect.as(left, Exit.isSuccess(exit)), made.over)
    else made.over(Exit.isSuccess(exit))
  }

  /** Does in a fiber what is to be done for an attempt. */
  const inFiber = (
    turn: Turn,
    todo: (restore: Restore) => Effect.Effect<boolean>,
    over: (hasSucceeded: boolean) => void
  ): Fiber.Fiber<unknown, unknown> =>
    run(Effect.uninterruptibleMask((restore) =>
      todo(restore).pipe(
        Effect.catchCause((cause) => Effect.as(broken(turn, cause), false)),
        Effect.onExit((exit) => Effect.sync(() => over(Exit.isSuccess(exit) && exit.value)))
      )
    ))

  const attemptInFiber = (turn: Turn, over: (hasSucceeded: boolean) => void): Lane.Maker => {
    const fiber = inFiber(turn, (restore) => {
      const binding = bindingOf(turn)
      return binding
        ? attemptWith(turn, restore, Exit.succeed(binding))
        : restore(Effect.suspend(() => subscribed.bind(turn.subscription))).pipe(
          Effect.catchDefect((defect) => Effect.fail({ message: Answer.thrownMessage(defect) })),
          Effect.exit,
          Effect.flatMap((bound) => attemptWith(turn, restore, bound))
        )
    }, over)
    return { end: () => fiber.interruptUnsafe() }
  }

  const attemptWith = (
    turn: Turn,
    restore: Restore,
    bound: Exit.Exit<Binding, { readonly message: string }>
  ): Effect.Effect<boolean> => {
    const { lane, ready, subscription } = turn
    const { claimed } = ready
    const made = new Making(turn, now(), Exit.isSuccess(bound) ? bound.value : undefined)
    const { binding, startedAtMs } = made
    const ended = (exit: Exit.Exit<Delivered, ProviderError>) =>
      Effect.mapEager(conclude(made, exit) ?? Effect.void, () => Exit.isSuccess(exit))
    // Binding took as long as an attempt may take.
    if (endedAs(claimed.deliveryId)?._tag === "Failed") return ended(Exit.interrupt())
    const isLate = startedAtMs >= (claimed.expiresAtMs ?? Number.POSITIVE_INFINITY)
    if (isLate || !mayBegin(ready, lane)) {
      giveBack(ready)
      return Effect.succeed(false)
    }
    if (binding === undefined) {
      const message = `The subscription can't be used: ${Answer.unbound(bound)}`
      return ended(Exit.fail(new RetryableError({ code: "Misconfigured", message })))
    }
    const delivering = tracing.attempt(
      ready,
      subscription,
      (traceparent) =>
        binding.bound.deliver(given(ready, subscription, binding, startedAtMs, traceparent), ownOf(ready, made.note))
    )
    return Effect.matchCauseEffect(restore(delivering), {
      onSuccess: (delivered) => ended(Exit.succeed(delivered)),
      onFailure: (cause) => ended(Exit.failCause(cause))
    })
  }

  /** Ends an attempt that died of what is no provider's answer, as a failed one: its delivery must not stay in memory for good. */
  const broken = (turn: Turn, cause: Cause.Cause<never>): Effect.Effect<void> =>
    Effect.andThen(
      Effect.logError("An attempt broke off", cause).pipe(
        Effect.annotateLogs({ deliveryId: turn.ready.claimed.deliveryId, subscriptionId: turn.subscription.id })
      ),
      Effect.suspend(() => conclude(new Making(turn, now(), undefined), Exit.failCause(cause)) ?? Effect.void)
    )

  return { begin, bindable, served, spare }
})

// --- internal ---

/** Whether a subscription's deliveries are a group's: of its own, where it has one, else of their events'. */
const isAtHome = (subscription: Subscription, { subscriptionId, workerGroup }: State.Group): boolean => {
  const own = ownGroup(subscription)
  return own === undefined ? subscriptionId === undefined : own === workerGroup
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
