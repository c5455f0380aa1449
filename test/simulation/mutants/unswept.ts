/**
 * The sweep is dropped: work that no hint told of is never found.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const unswept: Mutant = {
  ...none,
  name: "drops the sweep",
  breaks: "quiet",
  storage: (storage) => ({
    ...storage,
    due: (options) => options.workerGroups === undefined ? Effect.succeed([]) : storage.due(options)
  })
}
