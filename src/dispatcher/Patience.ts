/**
 * Patience with a database that is away: what failed is tried again until it succeeds, after a defect too, so that no loop of
 * the engine ends without a word. The log says once that it fails and once that it works again.
 */
import { Effect, Schedule } from "effect"
import { StorageUnavailable } from "../StorageError.ts"

/** Quickly at first, then once a second. */
const rhythm = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

/** Tries again until it succeeds; `what` begins the log's sentences. */
export const patient = <A, R>(
  what: string,
  effect: Effect.Effect<A, StorageUnavailable, R>
): Effect.Effect<A, never, R> =>
  Effect.suspend(() => {
    let failing = false
    return effect.pipe(
      Effect.catchDefect((defect) => Effect.fail(defect)),
      Effect.tapError((error) => {
        if (failing) return Effect.void
        failing = true
        return error instanceof StorageUnavailable
          ? Effect.logWarning(`${what} has to wait: ${error.message}`)
          : Effect.logError(`${what} failed and is tried again`, error)
      }),
      Effect.retry(rhythm),
      // The rhythm has no end.
      Effect.orDie,
      Effect.tap(() => failing ? Effect.logInfo(`${what} works again`) : Effect.void)
    )
  })
