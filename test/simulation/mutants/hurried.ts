/**
 * A hand-over does not wait for the attempts under way: they are aborted, though their receivers would have answered.
 */
import { type Mutant, none } from "../Mutant.ts"

export const hurried: Mutant = {
  ...none,
  name: "hands over without waiting for attempts under way",
  seed: 52,
  breaks: "duplicates",
  limits: (limits) => ({ ...limits, drainTimeoutMs: 1 })
}
