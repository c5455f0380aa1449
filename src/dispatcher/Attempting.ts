/**
 * Attempting: one attempt, from the subscription that is bound to what came of it, an outcome for the recorder.
 */
import { type Cause, Clock, Context, DateTime, Effect, Exit, Option, References } from "effect"
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
      return Effect.void
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

  /** Makes one attempt; tells whether its fiber may make another. */
  const attempt = (
    ready: Lane.Ready,
    lane: Lane.Lane,
    subscription: Subscription,
    restore: Restore
  ): Effect.Effect<boolean> => {
    const known = served(lane)
    return known?.binding && known.subscription.version === subscription.version
      ? attemptWith(ready, lane, subscription, restore, Exit.succeed(known.binding))
      : restore(Effect.suspend(() => subscribed.bind(subscription))).pipe(
        Effect.catchDefect((defect) => Effect.fail({ message: Answer.thrownMessage(defect) })),
        Effect.exit,
        Effect.flatMap((bound) => attemptWith(ready, lane, subscription, restore, bound))
      )
  }

  const attemptWith = (
    ready: Lane.Ready,
    lane: Lane.Lane,
    subscription: Subscription,
    restore: Restore,
    bound: Exit.Exit<Binding, { readonly message: string }>
  ): Effect.Effect<boolean> => {
    const { claimed } = ready
    const startedAtMs = now()
    // Binding took as long as an attempt may take.
    if (endedAs(claimed.deliveryId)?._tag === "Failed") {
      return Effect.as(conclude(ready, subscription, undefined, startedAtMs, Exit.interrupt()), false)
    }
    const isLate = startedAtMs >= (claimed.expiresAtMs ?? Number.POSITIVE_INFINITY)
    if (isLate || !mayBegin(ready, lane)) {
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
      (traceparent) =>
        binding.bound.deliver(given(ready, subscription, binding, startedAtMs, traceparent), ownOf(ready, note))
    )
    const ended = (exit: Exit.Exit<Delivered, ProviderError>) =>
      Effect.mapEager(conclude(ready, subscription, binding, startedAtMs, exit, note), () => Exit.isSuccess(exit))
    return Effect.matchCauseEffect(restore(delivering), {
      onSuccess: (delivered) => ended(Exit.succeed(delivered)),
      onFailure: (cause) => ended(Exit.failCause(cause))
    })
  }

  /** Ends an attempt that died of what is no provider's answer, as a failed one: its delivery must not stay in memory for good. */
  const broken = (ready: Lane.Ready, subscription: Subscription, cause: Cause.Cause<never>): Effect.Effect<void> =>
    Effect.andThen(
      Effect.logError("An attempt broke off", cause).pipe(
        Effect.annotateLogs({ deliveryId: ready.claimed.deliveryId, subscriptionId: subscription.id })
      ),
      conclude(ready, subscription, undefined, now(), Exit.failCause(cause))
    )

  return { attempt, bindable, broken, served, spare }
})

// --- internal ---

/** Whether a subscription's deliveries are a group's: of its own, where it has one, else of their events'. */
const isAtHome = (subscription: Subscription, { subscriptionId, workerGroup }: State.Group): boolean => {
  const own = ownGroup(subscription)
  return own === undefined ? subscriptionId === undefined : own === workerGroup
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
