/**
 * The database's clock as this process knows it: Effect's clock and an offset, learnt from what the database says of its time.
 */
import { Clock, Effect } from "effect"

/** @category models @since 0.1.0 */
export interface PgClock {
  /** In milliseconds since 1970. */
  readonly now: Effect.Effect<number>
  /** Runs a statement whose first row has the database's time, and learns from it. */
  readonly measured: <A extends { readonly now: number }, E, R>(
    statement: Effect.Effect<ReadonlyArray<A>, E, R>
  ) => Effect.Effect<ReadonlyArray<A>, E, R>
}

/**
 * What is known: the offset, and how long the trip took that told it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Known {
  readonly offsetMs: number
  readonly tripMs: number
}

/** @category models @since 0.1.0 */
export interface Sample {
  readonly sentAtMs: number
  readonly databaseMs: number
  readonly receivedAtMs: number
  /** On the monotonic clock. */
  readonly tripMs: number
}

/**
 * What a sample makes of what is known.
 *
 * **Details**
 *
 * Half of a trip is the error: a long one tells little, and is believed only where trips have become longer for a while. A
 * sample during which this machine's clock was set tells nothing; the next one tells all.
 *
 * @category conversions
 * @since 0.1.0
 */
export const learn = (known: Known, { databaseMs, receivedAtMs, sentAtMs, tripMs }: Sample): Known => {
  if (Math.abs(receivedAtMs - sentAtMs - tripMs) > clockTolerance) return known
  return tripMs <= 2 * known.tripMs + 5
    ? { offsetMs: Math.round(databaseMs - (sentAtMs + receivedAtMs) / 2), tripMs }
    : { ...known, tripMs: known.tripMs * 1.2 + 1 }
}

/**
 * Makes the clock; it is this machine's until something was measured.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<PgClock> = Effect.sync(() => {
  let known: Known = { offsetMs: 0, tripMs: Number.POSITIVE_INFINITY }
  return {
    now: Effect.map(Clock.currentTimeMillis, (time) => time + known.offsetMs),
    measured: (statement) =>
      Effect.gen(function*() {
        const clock = yield* Clock.Clock
        const sentAtMs = clock.currentTimeMillisUnsafe()
        const sentAt = clock.monotonicTimeNanosUnsafe()
        const rows = yield* statement
        const tripMs = Number(clock.monotonicTimeNanosUnsafe() - sentAt) / 1e6
        const [row] = rows
        if (row) {
          known = learn(known, {
            sentAtMs,
            databaseMs: row.now,
            receivedAtMs: clock.currentTimeMillisUnsafe(),
            tripMs
          })
        }
        return rows
      })
  }
})

// --- internal ---

/** In milliseconds: clocks are read one after the other, and one of them in whole milliseconds. */
const clockTolerance = 20
