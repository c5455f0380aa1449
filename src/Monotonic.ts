/**
 * The monotonic clock: for spans of time, which a wall clock that is set would bend.
 */
import { Clock, Effect } from "effect"

/**
 * Milliseconds on the monotonic clock, since some moment in the past, as a clock that is at hand has it.
 *
 * @category getters
 * @since 0.1.0
 */
export const readMs = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/**
 * The same of the present clock.
 *
 * @category getters
 * @since 0.1.0
 */
export const nowMs: Effect.Effect<number> = Effect.map(Clock.Clock, readMs)
