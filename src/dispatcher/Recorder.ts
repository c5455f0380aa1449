/**
 * Recording: outcomes are written in bulk, those of express messages with their routing, fenced, and again until the database has
 * taken them; only then do their deliveries leave memory.
 */
import { type Context, Effect, Latch, type Types } from "effect"
import { outline } from "../Delivery.ts"
import { type DeliveryId, type SubscriptionId, timeOf } from "../Id.ts"
import { letGo } from "../LetGo.ts"
import { Live, type Recorded } from "../Live.ts"
import * as Metrics from "../Metrics.ts"
import { type Completed, type Outcome, Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Finished } from "./Attempting.ts"
import * as Express from "./Express.ts"
import { patient } from "./Patience.ts"
import * as State from "./State.ts"

/** Makes the recorder: a place to put outcomes, and a loop that writes what has gathered. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  act: (finished: Finished) => Effect.Effect<unknown>,
  isOrdered: (id: SubscriptionId) => boolean
) {
  const storage = yield* Storage
  const live = yield* Live
  const context = yield* Effect.context<never>()
  const count = counter(context)
  const routed = Metrics.labelled(Metrics.messagesRouted, context, "event")
  /** What the database takes in no form: it stays in memory, so that it is not sent again, until the runner stops. */
  const stuck = new Set<DeliveryId>()

  /** Records outcomes; of those that the database refuses, each alone, what can be told without words from outside. */
  const record = (outcomes: ReadonlyArray<Outcome>): Effect.Effect<ReadonlyArray<DeliveryId>, StorageUnavailable> =>
    Effect.catchTag(storage.record(outcomes), "RowRefused", (refused) => {
      const half = outcomes.length >> 1
      if (half > 0) {
        return Effect.zipWith(record(outcomes.slice(0, half)), record(outcomes.slice(half)), (a, b) => [...a, ...b])
      }
      const told = Effect.logError(`An outcome can't be recorded as it is: ${refused.message}`).pipe(
        Effect.annotateLogs("deliveryId", outcomes[0]?.deliveryId)
      )
      return Effect.andThen(told, storage.record(outcomes.map((outcome) => bare(outcome, refused.message)))).pipe(
        Effect.catchTag("RowRefused", () =>
          Effect.sync(() => {
            for (const { deliveryId } of outcomes) stuck.add(deliveryId)
            return []
          }))
      )
    })

  const write = Effect.fnUntraced(function*(batch: ReadonlyArray<Finished>) {
    // Repeating is safe: an outcome is recorded once. Until it is, the delivery stays in memory and cannot be claimed.
    const recorded = yield* letGo(patient(
      "Recording",
      Effect.suspend(() => {
        const live = batch.filter((finished) => finished.ready.group.phase !== "lost")
        return live.length === 0 ? Effect.succeed([]) : record(live.map((finished) => finished.outcome))
      })
    ))
    const ids = new Set(recorded)
    for (const finished of batch) {
      const { outcome, ready } = finished
      const { transition } = outcome
      if (stuck.has(outcome.deliveryId)) continue
      // A claim that was given back when nobody knew, and made again: this outcome is its own.
      const again = state.again.get(outcome.deliveryId)
      if (again && ids.has(outcome.deliveryId) && State.isSameClaim(again, ready)) State.forgetAgain(state, again)
      if (ids.has(outcome.deliveryId)) live.offer(() => recordedOf(finished))
      if (ids.has(outcome.deliveryId) && transition._tag === "Retry" && ready.group.phase === "open") {
        State.backlog(state, ready.group, ready.claimed.subscriptionId, transition.dueAtMs)
      }
      // It is the next one's turn.
      if (ready.group.phase === "open" && isOrdered(ready.claimed.subscriptionId)) {
        State.backlog(state, ready.group, ready.claimed.subscriptionId, 0)
      }
      State.dismiss(state, ready)
    }
    count(batch.filter(({ outcome }) => ids.has(outcome.deliveryId)))
    for (const finished of batch) {
      // Also where it was recorded and the answer to that was lost: what the endpoint said of its subscription holds.
      if (finished.ready.group.phase === "lost") continue
      for (const { message } of finished.outcome.telling ?? []) State.told(state, message)
      if (finished.disable !== undefined || finished.warnOfMs !== undefined) yield* act(finished)
    }
  })

  /** Writes the routing of express messages with their outcomes; where the database refuses it, one goes before the other. */
  const complete = Effect.fnUntraced(function*(batch: ReadonlyArray<Express.Express>) {
    const completed = yield* letGo(patient(
      "Completing",
      Effect.suspend(() => {
        const live = batch.flatMap(({ held }) => held && held.group.phase !== "lost" ? [completedOf(held)] : [])
        return live.length === 0 ? Effect.succeed([]) : storage.complete(live)
      }).pipe(Effect.catchTag("RowRefused", () => Effect.undefined))
    ))
    if (completed === undefined) {
      for (const express of batch) Express.refuse(state, express)
      return
    }
    const ids = new Set(completed)
    const recorded: Array<Finished> = []
    for (const express of batch) {
      const { held } = express
      if (!held) continue
      const isCompleted = ids.has(held.message.id)
      if (isCompleted) routed(1, held.message.eventId)
      Express.end(state, express, (finished) => {
        if (isCompleted) {
          recorded.push(finished)
          live.offer(() => recordedOf(finished))
        }
        State.dismiss(state, finished.ready)
      }, () => {})
    }
    count(recorded)
  })

  const outcomes = line(state, write, () => 1)
  const whole = line(state, complete, ({ held }: Express.Express) => held ? Express.countOf(held) : 0)

  return {
    /** How many outcomes wait. */
    queued: () => outcomes.queued() + whole.queued(),
    finish: (finished: Finished): void => {
      const { express, group } = finished.ready
      const isUrgent = group.subscriptionId !== undefined || group.phase !== "open"
      if (!express?.held) outcomes.add(finished, isUrgent)
      else if (Express.finish(state, express, express.held, finished)) whole.add(express, isUrgent)
    },
    loops: [outcomes.loop, whole.loop]
  }
})

// --- internal ---

/**
 * What waits to be written by one kind of statement, one at a time: of two at once the second would have what the first has left, and
 * on a busy machine both take longer.
 */
const line = <Item>(
  state: State.State,
  write: (batch: ReadonlyArray<Item>) => Effect.Effect<void>,
  countOf: (item: Item) => number
) => {
  const { limits } = state
  const items: Array<Item> = []
  /** Outcomes in them. */
  let queued = 0
  /** Somebody waits for one of them. */
  let urgent = false
  const some = Latch.makeUnsafe()
  /** There are enough of them for a statement, or one that is urgent, or no more are about to come. */
  const enough = Latch.makeUnsafe()

  /**
   * Waits for more outcomes where more are about to come: a statement costs the database about as much as twenty outcomes in
   * it do. Not where somebody waits for this one: the next of an ordering key, or a place under a limit.
   */
  const gather = Effect.suspend(() =>
    urgent || queued >= limits.recordOutcomes / 2 || state.inFlight < limits.recordGatherInFlight
      ? Effect.void
      : Effect.asVoid(Effect.timeoutOption(State.take(enough), limits.recordGatherMs))
  )

  const next = Effect.suspend(() => {
    urgent = false
    // What it told of is taken now: else the next ones would be written at once, however few.
    enough.closeUnsafe()
    let taken = 0
    const over = items.findIndex((item) => (taken += countOf(item)) >= limits.recordOutcomes)
    queued -= taken
    return write(items.splice(0, over < 0 ? items.length : over + 1))
  })

  return {
    queued: () => queued,
    add: (item: Item, isUrgent: boolean): void => {
      items.push(item)
      queued += countOf(item)
      if (isUrgent) urgent = true
      // Of the attempts under way this is the last one still.
      if (urgent || queued >= limits.recordOutcomes / 2 || state.inFlight <= 1) enough.openUnsafe()
      some.openUnsafe()
    },
    loop: State.take(some).pipe(
      Effect.andThen(Effect.whileLoop({
        while: () => items.length > 0,
        body: () => Effect.andThen(gather, next),
        step: () => {}
      })),
      Effect.forever
    )
  }
}

const completedOf = (
  { filtered, finished = [], group, message, transformedJson, version }: Express.Held
): Completed => ({
  owner: group.owner,
  messageId: message.id,
  version,
  filtered,
  transformedJson,
  deliveries: finished.map(({ outcome: { attempt, transition }, ready: { claimed } }) => {
    const one: Types.Mutable<Completed["deliveries"][number]> = {
      id: claimed.deliveryId,
      subscriptionId: claimed.subscriptionId,
      attempt
    }
    if (transition._tag === "Final" && transition.externalId !== undefined) one.externalId = transition.externalId
    return one
  })
})

/** Counts what was recorded together; what is alike by one step. */
const counter = (context: Context.Context<never>) => {
  const attempt = Metrics.labelled(Metrics.attempts, context, "provider", "outcome")
  const seconds = Metrics.labelled(Metrics.attemptSeconds, context, "provider")
  const delivery = Metrics.labelled(Metrics.deliveries, context, "provider", "status")
  return (recorded: ReadonlyArray<Finished>): void => {
    for (const [provider, ofProvider] of Map.groupBy(recorded, ({ subscription }) => subscription.providerId)) {
      const outcomes = Map.groupBy(ofProvider, ({ outcome }) => outcome.attempt.outcome)
      for (const [outcome, { length }] of outcomes) attempt(length, provider, outcome)
      const statuses = Map.groupBy(
        ofProvider,
        ({ outcome: { transition } }) => transition._tag === "Final" ? transition.status : undefined
      )
      for (const [status, { length }] of statuses) if (status !== undefined) delivery(length, provider, status)
      for (const { outcome } of ofProvider) seconds(outcome.attempt.durationMs / 1000, provider)
    }
  }
}

/** The delivery as it is after its outcome; one whose subscription was deleted meanwhile may be cancelled instead. */
const recordedOf = ({ outcome, ready: { claimed, message } }: Finished): Recorded => {
  const attempt = outline(outcome.attempt)
  const { transition } = outcome
  const { externalId, lastError, reason } = transition._tag === "Final"
    ? transition
    : { ...transition, externalId: undefined, reason: undefined }
  return {
    attempt,
    delivery: {
      id: claimed.deliveryId,
      messageId: claimed.messageId,
      eventId: message.eventId,
      subscriptionId: claimed.subscriptionId,
      tenantId: message.tenantId,
      status: transition._tag === "Final" ? transition.status : "retrying",
      ...(reason === undefined ? {} : { reason }),
      attemptCount: attempt.number,
      ...(externalId === undefined ? {} : { externalId }),
      ...(lastError === undefined ? {} : { lastError }),
      createdAtMs: timeOf(claimed.deliveryId),
      ...(transition._tag === "Final"
        ? { completedAtMs: attempt.startedAtMs + attempt.durationMs }
        : { nextAttemptAtMs: transition.dueAtMs })
    }
  }
}

/** The outcome without texts that an endpoint or a provider gave. */
const bare = (outcome: Outcome, why: string): Outcome => {
  const { error, ...attempt } = outline(outcome.attempt)
  const { transition } = outcome
  return {
    ...outcome,
    attempt: error === undefined ? attempt : { ...attempt, error: { tag: "Unstorable", message: why } },
    transition: transition._tag === "Final"
      ? { ...transition, externalId: undefined, lastError: transition.lastError && why }
      : { ...transition, lastError: why }
  }
}
