/**
 * How a command's process ends that a signal stops: with 0 where it runs until it is stopped, with 130 where it was cut off.
 */
import { Effect, Runtime } from "effect"

/**
 * Marks what runs until a signal stops it: the signal is no failure then, which a supervisor would tell or answer with a
 * restart.
 *
 * @category combinators
 * @since 0.1.0
 */
export const untilStopped = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      for (const signal of signals) process.once(signal, expected)
    }),
    () => effect,
    () =>
      Effect.sync(() => {
        for (const signal of signals) process.off(signal, expected)
      })
  )

/**
 * Ends the process: a stop that was expected with 0 where nothing failed on the way, anything else as usual.
 *
 * @category teardown
 * @since 0.1.0
 */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  Runtime.defaultTeardown(exit, (code) => onExit(code === interrupted && process.exitCode === 0 ? 0 : code))

// --- internal ---

const signals = ["SIGINT", "SIGTERM"] as const

/** The process's own note of how it should end; it is undefined until somebody says so. */
const expected = () => {
  process.exitCode = 0
}

/** What the usual teardown makes of an interruption. */
const interrupted = 130
