/**
 * Recording: outcomes are written in bulk, fenced, and again until the database has taken them; only then do their
 * deliveries leave memory.
 */
import { Effect } from "effect"
import { Storage } from "../Storage.ts"
import { StorageUnavailable } from "../StorageError.ts"
import { rhythm, told } from "./Patience.ts"
import type { Finished } from "./Sender.ts"
import * as State from "./State.ts"

/** Makes the recorder: a place to put outcomes, and a loop that writes what has gathered. */
export const make = Effect.fnUntraced(function*(
  state: State.State,
  disable: (finished: Finished) => Effect.Effect<void>
) {
  const storage = yield* Storage
  const { limits } = state
  const queue: Array<Finished> = []

  const write = Effect.fnUntraced(function*(batch: ReadonlyArray<Finished>) {
    const live = batch.filter((finished) => finished.ready.group.phase !== "lost")
    // Repeating is safe: an outcome is recorded once. Until it is, the delivery stays in memory and cannot be claimed.
    const record = storage.record(live.map((finished) => finished.outcome)).pipe(
      // An outcome that was let go would never be recorded: a defect is tried again as well.
      Effect.catchDefect((defect) => Effect.fail(new StorageUnavailable({ message: String(defect) })))
    )
    const recorded = live.length === 0 ? [] : yield* told(
      "Outcomes can't be recorded",
      record,
      Effect.retry({
        schedule: rhythm,
        while: () => live.some((finished) => finished.ready.group.phase !== "lost")
      })
    ).pipe(
      Effect.catch(() => Effect.succeed([]))
    )
    const ids = new Set(recorded)
    for (const { outcome, ready } of batch) {
      const { transition } = outcome
      if (ids.has(outcome.deliveryId) && transition._tag === "Retry" && ready.group.phase === "open") {
        State.backlog(state, ready.group, ready.claimed.subscriptionId, transition.dueAtMs)
      }
      State.dismiss(state, ready)
    }
    for (const finished of batch) if (finished.disableSubscription) yield* disable(finished)
  })

  return {
    finish: (finished: Finished): void => {
      queue.push(finished)
      state.record.openUnsafe()
    },
    loop: State.take(state.record).pipe(
      Effect.andThen(Effect.whileLoop({
        while: () => queue.length > 0,
        body: () => write(queue.splice(0, limits.recordOutcomes)),
        step: () => {}
      })),
      Effect.forever
    )
  }
})
