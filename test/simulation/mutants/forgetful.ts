/**
 * What was spent of a rate limit is not kept: each owner begins anew.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const forgetful: Mutant = {
  ...none,
  name: "forgets what was spent of a rate limit",
  seed: 148,
  breaks: "limits",
  storage: (storage) => ({ ...storage, filled: () => Effect.succeed(new Map()) })
}
