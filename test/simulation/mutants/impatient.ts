/**
 * A new owner takes the claims of its predecessor at once, whose lease has yet to run out.
 */
import { Effect } from "effect"
import type { RunnerId } from "../../../src/Id.ts"
import { type Mutant, none } from "../Mutant.ts"

export const impatient: Mutant = {
  ...none,
  name: "takes claims before the lease of their owner has run out",
  seed: 19,
  breaks: "owners",
  storage: (storage) => {
    const owners = new Map<string, RunnerId>()
    return {
      ...storage,
      takeOver: (runnerId, group, patienceMs) =>
        Effect.suspend(() => {
          const before = owners.get(group.workerGroup)
          owners.set(group.workerGroup, runnerId)
          const taken = storage.takeOver(runnerId, group, patienceMs)
          return before === undefined ? taken : Effect.andThen(storage.returnLease(before), taken)
        })
    }
  }
}
