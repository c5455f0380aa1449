/**
 * Effects that are about much, for generators that run often: V8 may make what a `yield*` hands out in old memory, where it keeps
 * the effect alive, with all that this is about, long after it has run. See "What memory holds" in `docs/architecture.md`.
 */
import { Effect } from "effect"

/**
 * The effect, once: it lets go of what it is about as it begins.
 *
 * **Gotchas**
 *
 * It dies when it is run again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const letGo = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  let held: Effect.Effect<A, E, R> | undefined = effect
  return Effect.suspend(() => {
    const given = held
    held = undefined
    return given ?? Effect.die(new Error("This effect was let go of: it can be run once"))
  })
}
