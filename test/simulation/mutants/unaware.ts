/**
 * A lease is prolonged by a runner that does not know of a change, as before renewals told of them.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const unaware: Mutant = {
  ...none,
  name: "prolongs a lease without knowing of a change",
  seed: 287,
  breaks: "binding",
  storage: (storage) => ({
    ...storage,
    renewLease: (runnerId, leaseMs) =>
      Effect.map(storage.renewLease(runnerId, leaseMs), (renewal) => ({ ...renewal, version: 0 }))
  })
}
