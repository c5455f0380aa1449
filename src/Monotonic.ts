/**
 * The monotonic clock: for spans of time, which a wall clock that is set would bend.
 */
import { Clock, Effect } from "effect"

/**
 * Milliseconds on the monotonic clock, since some moment in the past.
 *
 * @category getters
 * @since 0.1.0
 */
export const nowMs: Effect.Effect<number> = Effect.map(
  Clock.Clock,
  (clock) => Number(clock.monotonicTimeNanosUnsafe() / 1000n) / 1000
)
