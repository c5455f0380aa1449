/**
 * The judges of a run: each knows one promise, and none knows the workload. A violation is a sentence that begins with the
 * promise that was broken.
 */
import type { Run } from "../Simulation.ts"

export type Checker = (run: Run) => Iterable<string>

const checkers: Readonly<Record<string, Checker>> = {}

/** What a run did wrong. */
export const judge = (run: Run): ReadonlyArray<string> =>
  Object.entries(checkers).flatMap(([promise, check]) => [...check(run)].map((what) => `${promise}: ${what}`))
