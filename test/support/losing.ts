/**
 * A database that does what it was asked and does not answer.
 */
import { Effect } from "effect"
import { StorageUnavailable } from "../../src/Storage.ts"

/** Runs a verb and loses its first answer that matters. */
export const losing = <Options, A, E>(
  verb: (options: Options) => Effect.Effect<A, E>,
  matters: (answer: A) => boolean
) => {
  const state = { lost: 0 }
  return {
    state,
    verb: (options: Options) =>
      Effect.flatMap(verb(options), (answer) => {
        if (state.lost > 0 || !matters(answer)) return Effect.succeed(answer)
        state.lost++
        return Effect.fail(new StorageUnavailable({ message: "the answer was lost" }))
      })
  }
}
