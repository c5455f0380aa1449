/**
 * An outcome is recorded before the attempt is sent: a provider answers at once and sends afterwards.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const hasty: Mutant = {
  ...none,
  name: "records before it sends",
  breaks: "outcomes",
  bindings: (bindings) => ({
    bind: (subscription, connection) =>
      Effect.map(bindings.bind(subscription, connection), (binding) => ({
        ...binding,
        bound: {
          ...binding.bound,
          deliver: (attempt) => Effect.as(Effect.forkDetach(binding.bound.deliver(attempt)), { statusCode: 200 })
        }
      }))
  })
}
