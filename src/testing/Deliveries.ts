/**
 * Deliveries as a test looks at them: with their attempts, and settled, after as much virtual time as that takes.
 */
import { Clock, Context, Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import type { AttemptRecord, Delivery } from "../Delivery.ts"
import { Dispatcher } from "../Dispatcher.ts"
import { Dispatchers } from "../Dispatchers.ts"
import type { MessageId } from "../Id.ts"
import type { DeliveryFilter, Due, Storage } from "../Storage.ts"
import * as Faults from "./Faults.ts"

// -- models

/**
 * A delivery with its attempts, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempted extends Delivery {
  readonly attempts: ReadonlyArray<AttemptRecord>
}

/**
 * How long `settled` waits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bounds {
  /** Virtual time, in milliseconds; 100 hours, in which the default retry schedule is exhausted. */
  readonly virtualMs?: number
  /** Steps in which the clock is moved; 20,000. */
  readonly steps?: number
}

// -- service

/**
 * The deliveries of a test.
 *
 * @category services
 * @since 0.1.0
 */
export class Deliveries extends Context.Service<Deliveries, {
  readonly list: (filter: DeliveryFilter) => Effect.Effect<ReadonlyArray<Attempted>>
  readonly settled: (bounds: Bounds) => Effect.Effect<void>
}>()("hookline/testing/Deliveries") {}

// -- layers

/**
 * Layer of the deliveries that a dispatcher makes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Deliveries, never, Faults.Unstruck | Dispatcher | Dispatchers> = Layer.effect(
  Deliveries,
  Effect.gen(function*() {
    const storage = yield* Faults.Unstruck
    const faults = yield* Faults.Faults
    const dispatcher = yield* Dispatcher
    const dispatchers = yield* Dispatchers
    const sweep = (found: ReadonlyArray<Due>) =>
      Effect.andThen(
        Effect.sync(() => dispatcher.due(found)),
        Effect.forEach(found, ({ workerGroup }) => dispatchers.wake(workerGroup), { discard: true })
      )
    return Deliveries.of({
      list: (filter) => Effect.orDie(list(storage, filter)),
      settled: (bounds) => settle(storage, sweep, faults, bounds)
    })
  })
)

// -- reading

/**
 * All deliveries, oldest first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const all: Effect.Effect<ReadonlyArray<Attempted>, never, Deliveries> = Effect.flatMap(
  Deliveries,
  (deliveries) => deliveries.list({})
)

/**
 * The deliveries of a message, one for each subscription that it matched, by their subscriptions' ids.
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (messageId: MessageId): Effect.Effect<ReadonlyArray<Attempted>, never, Deliveries> =>
  Effect.flatMap(
    Deliveries,
    (deliveries) =>
      Effect.map(deliveries.list({ messageId }), (found) =>
        [...found].sort((a, b) => a.subscriptionId < b.subscriptionId ? -1 : 1))
  )

/**
 * Lets virtual time pass until no message is unrouted and no delivery pending or retrying.
 *
 * **Details**
 *
 * Moves `TestClock` from one due time to the next, so that days of retrying take moments. A delivery that is held, as its
 * subscription is disabled, waits for more than time: it counts as settled, and so does a message that was set aside. Where
 * something is still open at the end of its bounds, it dies and lists what that is.
 *
 * **Gotchas**
 *
 * What waits for something real, such as a server on the loopback, sees virtual time race by.
 *
 * **Example**
 *
 * ```ts
 * const id = yield* Hook.emit(IncidentCreated, payload)
 * yield* Deliveries.settled
 * const [delivery] = yield* Deliveries.of(id)
 * assert.strictEqual(delivery?.status, "success")
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const settled: Effect.Effect<void, never, Deliveries> = Effect.flatMap(
  Deliveries,
  (deliveries) => deliveries.settled({})
)

/**
 * `settled` within bounds of the test's choice.
 *
 * @category combinators
 * @since 0.1.0
 */
export const settledWithin = (bounds: Bounds): Effect.Effect<void, never, Deliveries> =>
  Effect.flatMap(Deliveries, (deliveries) => deliveries.settled(bounds))

// --- internal ---

type Seam = Storage["Service"]

const everything = { cursor: undefined, limit: Number.MAX_SAFE_INTEGER }

const list = Effect.fnUntraced(function*(storage: Seam, filter: DeliveryFilter) {
  const found = yield* storage.listDeliveries(filter, everything)
  const read = yield* Effect.forEach(found, ({ id }) => storage.getDelivery(id))
  return read.flatMap(Option.toArray).map(({ attempts, delivery }): Attempted => ({ ...delivery, attempts }))
    .toReversed()
})

interface Open {
  readonly due: ReadonlyArray<Due>
  /** Worker groups with messages to route. */
  readonly unrouted: ReadonlyArray<string>
  readonly deliveries: ReadonlyArray<Delivery>
}

const stillOpen = Effect.fnUntraced(function*(storage: Seam) {
  const due = yield* storage.due({ aheadMs: 0 })
  const [pending, retrying] = yield* Effect.all([
    storage.listDeliveries({ status: "pending" }, everything),
    storage.listDeliveries({ status: "retrying" }, everything)
  ])
  const open: Open = {
    due,
    unrouted: due.filter(({ unrouted }) => unrouted).map(({ workerGroup }) => workerGroup),
    deliveries: [...pending, ...retrying].filter(({ reason }) => reason !== "held")
  }
  return open
})

const settle = Effect.fnUntraced(function*(
  storage: Seam,
  sweep: (found: ReadonlyArray<Due>) => Effect.Effect<void>,
  faults: Faults.Faults,
  bounds: Bounds
) {
  const { steps = 20_000, virtualMs = 100 * 60 * 60 * 1000 } = bounds
  if (!("adjust" in (yield* Clock.Clock))) {
    return yield* Effect.die(new Error("Deliveries.settled moves TestClock: run the test with it.effect"))
  }
  const startMs = yield* Clock.currentTimeMillis
  let before: Open | undefined
  let waitMs = 1
  for (let step = 0;; step++) {
    const open = yield* Effect.orDie(stillOpen(storage))
    // What follows an outcome, such as the disabling of a subscription, is given a moment.
    if (isEmpty(open) && before !== undefined && isEmpty(before)) return
    const nowMs = yield* Clock.currentTimeMillis
    const leftMs = startMs + virtualMs - nowMs
    if (!isEmpty(open) && (step >= steps || leftMs <= 0)) {
      const passed = `after ${nowMs - startMs} ms of virtual time and ${step} steps`
      return yield* Effect.die(
        new Error(`Not settled ${passed}:\n${report(open, nowMs)}\n${Faults.report(faults)}`.trim())
      )
    }
    const dueMs = nextDue(open) - nowMs
    waitMs = before === undefined || progress(open) !== progress(before) ? 1 : Math.min(waitMs * 2, 1000)
    before = open
    yield* sweep(open.due)
    yield* TestClock.adjust(Math.max(1, Math.min(leftMs, dueMs > 0 ? dueMs : waitMs)))
  }
})

const isEmpty = ({ deliveries, unrouted }: Open): boolean => deliveries.length === 0 && unrouted.length === 0

/** When the first of all that is open is due; in the past where something is under way. */
const nextDue = ({ deliveries, unrouted }: Open): number =>
  unrouted.length > 0 || deliveries.length === 0
    ? 0
    : deliveries.reduce((first, { nextAttemptAtMs = 0 }) => Math.min(first, nextAttemptAtMs), Number.POSITIVE_INFINITY)

const progress = ({ deliveries, unrouted }: Open): string =>
  `${unrouted.length} ${deliveries.length} ${deliveries.reduce((sum, { attemptCount }) => sum + attemptCount, 0)}`

const report = ({ deliveries, unrouted }: Open, nowMs: number): string => {
  const lines = [
    ...unrouted.map((group) => `messages of ${group} are not routed`),
    ...deliveries.map(({ attemptCount, eventId, id, lastError, messageId, nextAttemptAtMs = 0, status, ...delivery }) =>
      `${id} of ${messageId} (${eventId}) to ${delivery.subscriptionId}: ${status} after ${attemptCount} attempts, ` +
      `${nextAttemptAtMs > nowMs ? `due in ${nextAttemptAtMs - nowMs} ms` : "due or under way"}` +
      (lastError === undefined ? "" : `, last error: ${lastError}`)
    )
  ]
  const [shown, more] = [lines.slice(0, 10), lines.length - 10]
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].map((line) => `- ${line}`).join("\n")
}
