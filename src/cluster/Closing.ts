/**
 * A layer that does not keep a process from ending.
 */
import { Effect, Fiber, Layer, Scope } from "effect"

/**
 * The layer, whose release is waited for no longer than a time: what is left of it then goes on beside the rest of the stop.
 *
 * **Gotchas**
 *
 * Only for what nothing relies on any more when it is released: the layers below it close while it may still be at work.
 *
 * @category combinators
 * @since 0.1.0
 */
export const within = <A, E, R>(layer: Layer.Layer<A, E, R>, timeoutMs: number): Layer.Layer<A, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) =>
      Effect.gen(function*() {
        const closing = yield* Effect.forkDetach(Scope.close(scope, exit), { startImmediately: true })
        // Apart, as a finalizer can't be interrupted, and neither can what it waits for.
        const ended = yield* Effect.timeoutOption(Fiber.await(closing), timeoutMs)
        if (ended._tag === "None") {
          yield* Effect.logWarning(`A part of the cluster was not released within ${timeoutMs} ms; the stop goes on`)
        }
      })
    )
    return yield* Layer.buildWithScope(layer, scope)
  }))
