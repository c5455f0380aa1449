/**
 * The pace of the run, which goes by the clock of the machine: faults come at their times, whatever is happening.
 */
import { Clock, Effect } from "effect"

/** Waits until a time, in milliseconds since 1970; not at all where it has passed. */
export const reach = (timeMs: number) =>
  Effect.flatMap(Clock.currentTimeMillis, (nowMs) => Effect.sleep(Math.max(0, timeMs - nowMs)))
