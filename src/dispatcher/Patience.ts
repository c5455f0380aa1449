/**
 * Patience with a database that is away: what failed is tried again until it succeeds, and the log says once that it failed
 * and once that it works again.
 */
import { Effect, Schedule } from "effect"
import type { StorageUnavailable } from "../StorageError.ts"

/** Quickly at first, then once a second. */
export const rhythm = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

/** Logs the first of a row of failures, and the success that ends it. */
export const told = <A, E extends StorageUnavailable, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  again: <A, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let failing = false
    return again(Effect.tapError(effect, (error) => {
      if (failing) return Effect.void
      failing = true
      return Effect.logWarning(`${what}: ${error.message}`)
    })).pipe(Effect.tap(() => failing ? Effect.logInfo(`${what}: it works again`) : Effect.void))
  })

/** Tries again until it succeeds. */
export const patient = <A, E extends StorageUnavailable, R>(
  what: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, never, R> =>
  // The rhythm has no end.
  Effect.orDie(told(what, effect, (failing) => Effect.retry(failing, rhythm)))
