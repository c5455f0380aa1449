/**
 * Recording: outcomes are written in bulk, fenced, and again until the database has taken them; only then do their
 * deliveries leave memory.
 */
import { Effect } from "effect"
import { Storage } from "../Storage.ts"
import { patient } from "./Patience.ts"
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
    // Repeating is safe: an outcome is recorded once. Until it is, the delivery stays in memory and cannot be claimed.
    const recorded = yield* patient(
      "Recording",
      Effect.suspend(() => {
        const live = batch.filter((finished) => finished.ready.group.phase !== "lost")
        return live.length === 0 ? Effect.succeed([]) : storage.record(live.map((finished) => finished.outcome))
      })
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
