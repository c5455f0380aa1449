/**
 * What this runner has recorded just now, for whoever listens: each outcome of an attempt, after the database has taken it.
 * Nothing waits for a listener. One that is slow keeps the newest outcomes and is told how many it missed; without
 * listeners an outcome costs one comparison.
 */
import { type Cause, Context, Effect, Layer, Queue, Schema, type Scope } from "effect"
import type { AttemptRecord, Delivery } from "./Delivery.ts"
import type { SubscriptionId } from "./Id.ts"
import { Limits } from "./Limits.ts"

// -- models

/**
 * A recorded outcome: the attempt, without the endpoint's answer, and what it made of its delivery.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorded {
  readonly delivery: Delivery
  readonly attempt: AttemptRecord
}

/** @category models @since 0.1.0 */
export interface Filter {
  readonly subscriptionId?: SubscriptionId
  readonly eventId?: string
  readonly tenantId?: string
}

/** @category models @since 0.1.0 */
export interface Batch {
  /** Outcomes before these that the listener was too slow for. */
  readonly dropped: number
  /** Oldest first, at least one. */
  readonly outcomes: ReadonlyArray<Recorded>
}

/**
 * There are as many listeners as this runner serves.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyListeners extends Schema.TaggedError<TooManyListeners>()("TooManyListeners", {
  message: Schema.String
}) {}

// -- service

/**
 * The live outcomes of this runner.
 *
 * @category services
 * @since 0.1.0
 */
export class Live extends Context.Service<Live, {
  /** Tells the listeners, without waiting for any; `make` is called only where there is one. */
  readonly offer: (make: () => Recorded) => void
  /**
   * Listens while the scope is open. Each turn of the answered effect waits for what has come since the last one; it is done
   * once the runner stops.
   */
  readonly listen: (filter: Filter) => Effect.Effect<Effect.Effect<Batch, Cause.Done>, TooManyListeners, Scope.Scope>
  /** Lets every listener end, so that a stopping server need not wait for them; later ones end at once. */
  readonly end: Effect.Effect<void>
}>()("hookline/Live") {}

/**
 * Layer of the live outcomes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Live> = Layer.effect(
  Live,
  Effect.map(Limits, ({ liveBuffer, liveListeners }) => {
    const listeners = new Set<Listener>()
    let ended = false

    const add = (filter: Filter) =>
      Effect.gen(function*() {
        if (listeners.size >= liveListeners) {
          return yield* new TooManyListeners({
            message: `This runner has ${liveListeners} listeners already: close one, or listen at another runner.`
          })
        }
        const queue = yield* Queue.sliding<Numbered, Cause.Done>(liveBuffer)
        const listener: Listener = { filter, queue, offered: 0, taken: 0 }
        listeners.add(listener)
        if (ended) Queue.endUnsafe(queue)
        return listener
      })

    return Live.of({
      offer: (make) => {
        if (listeners.size === 0) return
        const recorded = make()
        for (const listener of listeners) {
          if (wants(listener.filter, recorded)) Queue.offerUnsafe(listener.queue, { n: listener.offered++, recorded })
        }
      },
      listen: (filter) =>
        Effect.acquireRelease(add(filter), (listener) => Effect.sync(() => listeners.delete(listener))).pipe(
          Effect.map((listener) => Effect.map(Queue.takeAll(listener.queue), (items) => batch(listener, items)))
        ),
      end: Effect.sync(() => {
        ended = true
        for (const { queue } of listeners) Queue.endUnsafe(queue)
      })
    })
  })
)

// --- internal ---

/** An outcome with its place among those that were offered to a listener: a gap tells what slid out of its queue. */
interface Numbered {
  readonly n: number
  readonly recorded: Recorded
}

interface Listener {
  readonly filter: Filter
  readonly queue: Queue.Queue<Numbered, Cause.Done>
  offered: number
  /** The number that comes next if none is missed. */
  taken: number
}

const wants = (filter: Filter, { delivery }: Recorded): boolean =>
  (filter.subscriptionId ?? delivery.subscriptionId) === delivery.subscriptionId &&
  (filter.eventId ?? delivery.eventId) === delivery.eventId &&
  (filter.tenantId ?? delivery.tenantId) === delivery.tenantId

const batch = (listener: Listener, items: ReadonlyArray<Numbered>): Batch => {
  const dropped = (items[0]?.n ?? listener.taken) - listener.taken
  listener.taken += dropped + items.length
  return { dropped, outcomes: items.map((item) => item.recorded) }
}
