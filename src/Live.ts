/**
 * What this runner has recorded just now, for whoever listens: each outcome of an attempt, after the database has taken it.
 * Nothing waits for a listener. One that is slow keeps the newest outcomes and is told how many it missed; one that comes back
 * goes on where it was, as long as the newest are kept. While nobody listens, nor has just left, an outcome costs one
 * comparison.
 */
import { type Cause, Context, Effect, Layer, Queue, type Scope } from "effect"
import type { AttemptRecord, Delivery } from "./Delivery.ts"
import type { SubscriptionId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import type { NoPlace } from "./NoPlace.ts"
import * as Places from "./Places.ts"

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

/**
 * An outcome with an id to go on after it: its delivery's and its attempt's number, which tell nothing of what else there was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Told extends Recorded {
  readonly id: string
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
  readonly outcomes: ReadonlyArray<Told>
}

/**
 * What a listener has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  /** Waits for what has come since the last time; it is done once the runner stops. */
  readonly next: Effect.Effect<Batch, Cause.Done>
  /**
   * Whether what came after the outcome that it wanted to go on after is not kept any more, or is another runner's. It is kept
   * for all listeners together: a gap says that this runner can't tell, not that something was missed.
   */
  readonly hasGap: boolean
}

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
  /** Listens while the scope is open, from now on, or from after the outcome with an id. */
  readonly listen: (filter: Filter, after?: string) => Effect.Effect<Listening, NoPlace, Scope.Scope>
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
  Effect.gen(function*() {
    const { liveBuffer, liveKept, liveListeners, liveListenersPerTenant } = yield* Limits
    const places = Places.make({ what: "listeners", inAll: liveListeners, perTenant: liveListenersPerTenant })
    const listeners = new Set<Listener>()
    /** The newest outcomes, oldest first: while somebody listens, and some more for who has just left. */
    let kept: Array<Told> = []
    /** The one before them, where it is known. */
    let before: Told | undefined
    let keepMore = 0
    let ended = false

    const add = (filter: Filter, after: string | undefined) =>
      Effect.gen(function*() {
        const giveBack = yield* places.take
        const queue = yield* Queue.sliding<Numbered, Cause.Done>(liveBuffer)
        const listener: Listener = { filter, queue, giveBack, offered: 0, taken: 0 }
        listeners.add(listener)
        const missed = after === undefined ? [] : since(filter, after)
        for (const told of missed ?? []) hand(listener, told)
        if (ended) Queue.endUnsafe(queue)
        return { listener, hasGap: missed === undefined }
      })

    /** What came after an outcome of the listener's tenant; undefined where that is not known. */
    const since = ({ tenantId }: Filter, id: string): ReadonlyArray<Told> | undefined => {
      const isIt = (told: Told) => told.id === id && (tenantId ?? told.delivery.tenantId) === told.delivery.tenantId
      if (before && isIt(before)) return kept
      const place = kept.findLastIndex(isIt)
      return place < 0 ? undefined : kept.slice(place + 1)
    }

    const hand = (listener: Listener, told: Told) => {
      if (wants(listener.filter, told)) Queue.offerUnsafe(listener.queue, { n: listener.offered++, told })
    }

    /** Keeps the last so many. */
    const keep = (most: number) => {
      before = kept.at(-most - 1)
      kept = most === 0 ? [] : kept.slice(-most)
    }

    const leave = (listener: Listener) => {
      listener.giveBack()
      listeners.delete(listener)
      if (listeners.size === 0) keepMore = liveKept
    }

    return Live.of({
      offer: (make) => {
        if (listeners.size === 0 && keepMore === 0) {
          before = undefined
          return
        }
        const recorded = make()
        const told = { ...recorded, id: `${recorded.delivery.id}-${recorded.attempt.number}` }
        kept.push(told)
        // Rarely: what is copied is as much as was added since.
        if (kept.length >= 2 * liveKept) keep(liveKept)
        for (const listener of listeners) hand(listener, told)
        if (listeners.size === 0 && --keepMore === 0) keep(0)
      },
      listen: (filter, after) =>
        Effect.acquireRelease(add(filter, after), ({ listener }) => Effect.sync(() => leave(listener))).pipe(
          Effect.map(({ hasGap, listener }) => ({
            hasGap,
            next: Effect.map(Queue.takeAll(listener.queue), (items) => batch(listener, items))
          }))
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
  readonly told: Told
}

interface Listener {
  readonly filter: Filter
  readonly queue: Queue.Queue<Numbered, Cause.Done>
  readonly giveBack: () => void
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
  return { dropped, outcomes: items.map((item) => item.told) }
}
