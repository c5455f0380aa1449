/**
 * The judges of a run: each knows one promise, and none knows the workload. A violation is a sentence that begins with the
 * promise that was broken.
 */
import { Ledger } from "../Ledger.ts"
import type { Run } from "../Simulation.ts"
import { binding } from "./binding.ts"
import { bounded } from "./bounded.ts"
import { circuits } from "./circuits.ts"
import { duplicates } from "./duplicates.ts"
import { durable } from "./durable.ts"
import { heard } from "./heard.ts"
import { leases } from "./leases.ts"
import { limits } from "./limits.ts"
import { ordered } from "./ordered.ts"
import { outcomes } from "./outcomes.ts"
import { owners } from "./owners.ts"
import { queues } from "./queues.ts"
import { quiet } from "./quiet.ts"
import { routing } from "./routing.ts"
import { schedule } from "./schedule.ts"
import { sound } from "./sound.ts"
import { times } from "./times.ts"
import { told } from "./told.ts"

export type Checker = (run: Run, ledger: Ledger) => Iterable<string>

const checkers: Readonly<Record<string, Checker>> = {
  durable,
  routing,
  owners,
  leases,
  binding,
  schedule,
  outcomes,
  duplicates,
  bounded,
  ordered,
  limits,
  circuits,
  told,
  times,
  queues,
  heard,
  sound,
  quiet
}

/** What a run did wrong. */
export const judge = (run: Run): ReadonlyArray<string> => {
  const ledger = new Ledger(run.entries)
  return Object.entries(checkers).flatMap(([promise, check]) =>
    [...check(run, ledger)].map((what) => `${promise}: ${what}`)
  )
}
