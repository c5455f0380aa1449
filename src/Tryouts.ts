/**
 * Running what people try out: a test of credentials, a resolver of options, one attempt to a subscription's endpoint. It is
 * the code of providers, which may hang, throw or refuse to be interrupted: it is answered in time, and so much of it at once
 * is all that a runner takes on.
 */
import { Context, Effect, type Exit, Fiber, Layer, Option } from "effect"
import { Limits } from "./Limits.ts"
import type { NoPlace } from "./NoPlace.ts"
import * as Places from "./Places.ts"

/**
 * The tryouts of one runner.
 *
 * @category services
 * @since 0.1.0
 */
export class Tryouts extends Context.Service<Tryouts, {
  /**
   * Runs something and tells how it ended; none where it did not within its time.
   *
   * **Details**
   *
   * It is interrupted then, and when whoever asked has gone. What can't be interrupted goes on, awaited by nobody. Its place
   * is taken until it ends, or its time is over: a provider that never ends anything must not take the places for good.
   */
  readonly run: <A, E, R>(
    tried: Effect.Effect<A, E, R>,
    timeoutMs: number
  ) => Effect.Effect<Option.Option<Exit.Exit<A, E>>, NoPlace, R>
}>()("hookline/Tryouts") {}

/**
 * Layer of the tryouts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Tryouts> = Layer.effect(
  Tryouts,
  Effect.gen(function*() {
    const { tests, testsPerTenant } = yield* Limits
    const places = Places.make({ what: "tests", inAll: tests, perTenant: testsPerTenant })

    /** Begins it, with its place: nothing comes between the two. */
    const begin = <A, E, R>(tried: Effect.Effect<A, E, R>, timeoutMs: number) =>
      Effect.uninterruptible(Effect.gen(function*() {
        const leave = yield* places.take
        // A fiber of its own, as one ends without its finalizers where JavaScript gave it what is no effect.
        const fiber = yield* Effect.forkDetach(Effect.suspend(() => tried), { startImmediately: true })
        const time = yield* Effect.forkDetach(Effect.delay(Effect.sync(leave), timeoutMs))
        fiber.addObserver(() => {
          leave()
          time.interruptUnsafe()
        })
        return fiber
      }))

    return Tryouts.of({
      run: (tried, timeoutMs) =>
        Effect.flatMap(begin(tried, timeoutMs), (fiber) =>
          Fiber.await(fiber).pipe(
            Effect.onInterrupt(() => Effect.sync(() => fiber.interruptUnsafe())),
            Effect.timeoutOption(timeoutMs),
            Effect.tap((exit) =>
              Option.isNone(exit) && fiber.pollUnsafe() === undefined
                ? Effect.logWarning("A provider's code goes on beyond the time of a test: it can't be interrupted")
                : Effect.void
            )
          ))
    })
  })
)
