/**
 * Calls that are made together: what is asked for while one is under way goes with the next, as one.
 */
import { Effect, Exit, Semaphore } from "effect"

interface One<A, E> {
  readonly item: A
  exit: Exit.Exit<void, E> | undefined
}

/** Makes such calls of one that does many; a failure is told to all whose items were in it. */
export const make = <A, E>(
  callAll: (items: ReadonlyArray<A>) => Effect.Effect<unknown, E>
): Effect.Effect<(item: A) => Effect.Effect<void, E>> =>
  Effect.map(Semaphore.make(1), (turn) => {
    const waiting = new Set<One<A, E>>()

    const callNext = Effect.suspend(() => {
      const all = [...waiting]
      return Effect.onExit(callAll(all.map(({ item }) => item)), (exit) =>
        Effect.sync(() => {
          // Who gave up does so for himself alone: the others go with the next call.
          if (Exit.hasInterrupts(exit)) return
          for (const one of all) {
            one.exit = Exit.asVoid(exit)
            waiting.delete(one)
          }
        }))
    })

    return (item) =>
      Effect.suspend(() => {
        const one: One<A, E> = { item, exit: undefined }
        waiting.add(one)
        return turn.withPermits(1)(Effect.suspend(() => one.exit ?? Effect.asVoid(callNext))).pipe(
          Effect.ensuring(Effect.sync(() => waiting.delete(one)))
        )
      })
  })
