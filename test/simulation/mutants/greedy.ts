/**
 * The window is forgotten: a runner takes into memory whatever waits, while it sends one after the other.
 */
import { type Mutant, none } from "../Mutant.ts"

export const greedy: Mutant = {
  ...none,
  name: "takes more into memory than its window holds",
  breaks: "bounded",
  limits: (limits) => ({ ...limits, window: 10 * limits.window, laneWindow: 10 * limits.laneWindow, laneSlots: 1 })
}
