/**
 * Of several messages that a process could hear at once, the first is left out.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const deaf: Mutant = {
  ...none,
  name: "passes over the first of several broadcast messages",
  breaks: "heard",
  storage: (storage) => ({
    ...storage,
    hear: (cursors, limit) =>
      Effect.map(
        storage.hear(cursors, limit),
        (heard) => heard.filter((one, n) => one.cursor !== heard[n + 1]?.cursor || one.cursor === heard[n - 1]?.cursor)
      )
  })
}
