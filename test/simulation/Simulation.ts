/**
 * One run of the simulation: a seed in, what happened and what was wrong with it out. Trouble for some virtual seconds, then
 * none, until all has come to rest.
 */
import { Effect } from "effect"
import type { AttemptRecord, Delivery } from "../../src/Delivery.ts"
import type { StoredMessage } from "../../src/Storage.ts"
import type { Subscription } from "../../src/Subscription.ts"
import { heard } from "./checkers/heard.ts"
import * as Checkers from "./checkers/index.ts"
import type { Database } from "./Database.ts"
import type { Entry } from "./History.ts"
import { type Mutant, none } from "./Mutant.ts"
import { Nemesis } from "./Nemesis.ts"
import type { Plan } from "./Plan.ts"
import { World } from "./World.ts"

/** What checkers judge: the history, and the rows as they are in the end. */
export interface Run {
  readonly seed: number
  readonly plan: Plan
  readonly entries: ReadonlyArray<Entry>
  /** Whether all came to rest in time. */
  readonly isQuiet: boolean
  readonly messages: ReadonlyArray<StoredMessage>
  readonly deliveries: ReadonlyArray<{ readonly delivery: Delivery; readonly attempts: ReadonlyArray<AttemptRecord> }>
  readonly subscriptions: ReadonlyArray<Subscription>
}

export interface Result {
  readonly run: Run
  readonly hash: string
  readonly steps: number
  readonly virtualMs: number
  readonly violations: ReadonlyArray<string>
}

/** From the end of trouble until all has to be at rest: leases, fail-over, look for lost claims and the longest schedule. */
const quietMs = 60_000

/** From then until all that was broadcast has to be heard: a question that is never answered, a poll, and what was behind. */
const hearingMs = 15_000

/** Runs a seed; `watch` is told of each event as it happens. */
export const simulate = (seed: number, options: {
  readonly mutant?: Mutant
  readonly watch?: (entry: Entry) => void
} = {}): Result => {
  const world = new World(seed, options.mutant ?? none)
  const { database, history, machine, plan, workload } = world
  if (options.watch) history.listen(options.watch)
  const nemesis = new Nemesis(world)
  for (let n = 0; n < plan.runners; n++) world.start()
  // Runners start, subscriptions are made, then messages flow.
  machine.run(() => false, 200)
  workload.begin()
  nemesis.begin()
  machine.run(() => false, plan.spanMs)
  nemesis.end()
  workload.enableAll()
  const until = (condition: () => boolean, withinMs: number) => {
    let holds = condition()
    const look = () => {
      holds = condition()
      if (!holds) machine.after(250, look)
    }
    machine.after(250, look)
    return machine.run(() => holds, withinMs)
  }
  const isQuiet = until(() => isAtRest(database), quietMs)
  // What was routed last is heard a little later.
  until(() => [...heard(history)].length === 0, hearingMs)
  const run = { seed, plan, entries: history.entries, isQuiet, ...rowsOf(database) }
  return {
    run,
    hash: history.hash(),
    steps: machine.steps,
    virtualMs: machine.nowMs - machine.startMs,
    violations: Checkers.judge(run)
  }
}

// --- internal ---

/** Whether every message is routed and every delivery is over: nothing waits, nothing is claimed. */
const isAtRest = (database: Database): boolean => {
  const { deliveries, messages } = rowsOf(database)
  return messages.every((message) => message.state._tag !== "Unrouted") &&
    deliveries.every(({ delivery }) => delivery.status !== "pending" && delivery.status !== "retrying")
}

/** The rows at the simulation's time. */
const rowsOf = ({ process, storage }: Database) => {
  const page = { cursor: undefined, limit: 100_000 }
  return Effect.runSyncWith(process.context)(Effect.orDie(Effect.gen(function*() {
    const deliveries = yield* storage.listDeliveries({}, page)
    return {
      messages: (yield* storage.listMessages({}, { ...page, bytes: Number.POSITIVE_INFINITY })).items,
      deliveries: yield* Effect.forEach(
        deliveries,
        ({ id }) => Effect.flatMap(storage.getDelivery(id), Effect.fromOption)
      ),
      subscriptions: (yield* storage.subscriptions).items
    }
  })))
}
