/**
 * The wire between a runner and the database: statements take their time, get lost before they are executed or lose their
 * answer after, and are executed whether or not the runner that sent them is still there.
 */
import { Effect, Exit } from "effect"
import { type AppendError, OutcomeUnknown, StorageUnavailable } from "../../src/Storage.ts"
import * as Transaction from "../../src/StorageMemoryTransaction.ts"
import * as EngineVerbs from "../../src/testing/EngineVerbs.ts"
import type { Database, Verbs } from "./Database.ts"
import type { Dice } from "./Dice.ts"
import type { History } from "./History.ts"
import type { Process } from "./Machine.ts"

/** What the wire does to statements; changed while the simulation runs. */
export interface Weather {
  /** Shares of statements that are not executed, and of those whose answer is lost. */
  unavailable: number
  lost: number
  /** Share of statements that take up to `slowMs` either way. */
  slow: number
  slowMs: number
  usualMs: number
  /** Until then the database answers nobody; or not some runner. */
  outageUntilMs: number
  readonly cutOffUntilMs: Map<string, number>
}

/** After this time without an answer a statement counts as lost. */
const answerTimeoutMs = 10_000

export const connect = (
  process: Process,
  database: Database,
  weather: Weather,
  history: History,
  dice: Dice
): Verbs => {
  const real = database.of(process.name)
  const { machine } = process

  const send = <A, E, Lost>(
    verb: string,
    statement: Effect.Effect<A, E>,
    lost: (message: string) => Lost
  ): Effect.Effect<A, E | StorageUnavailable | Lost> =>
    Effect.flatMap(Transaction.Current, (transaction) =>
      Effect.callback<A, E | StorageUnavailable | Lost>((resume) => {
        // What is left of a task after its process was killed sends nothing.
        if (process.state === "gone") return Effect.void
        const delay = () => dice.chance(weather.slow) ? dice.below(weather.slowMs) : dice.below(weather.usualMs)
        let over = false
        const answer = (exit: Exit.Exit<A, E | StorageUnavailable | Lost>) => {
          if (over) return
          over = true
          giveUp()
          resume(exit)
        }
        const giveUp = process.after(
          answerTimeoutMs,
          () => answer(Exit.fail(lost(`${verb} was not answered in time`)))
        )
        const awayUntilMs = Math.max(weather.outageUntilMs, weather.cutOffUntilMs.get(process.name) ?? 0)
        const toll = machine.nowMs < awayUntilMs || dice.chance(weather.unavailable)
        if (toll) {
          history.add({ _tag: "Fault", what: `${process.name}: ${verb} unavailable` })
          process.after(delay(), () => answer(Exit.fail(unavailable(`${verb} could not be sent`))))
          return Effect.sync(() => {
            over = true
          })
        }
        const losesAnswer = dice.chance(weather.lost)
        // The server cancels what it has not begun, if it hears of it in time.
        const cancels = dice.chance(0.5)
        machine.after(delay(), () => {
          if (over && cancels) return
          database.execute(transaction, statement, (exit) => {
            if (losesAnswer) history.add({ _tag: "Fault", what: `${process.name}: ${verb} answer lost` })
            process.after(
              delay(),
              () => answer(losesAnswer ? Exit.fail(lost(`the answer of ${verb} was lost`)) : exit)
            )
          })
        })
        return Effect.sync(() => {
          over = true
          giveUp()
        })
      }))

  const engine = <A, E>(verb: string, statement: Effect.Effect<A, E>) => send(verb, statement, unavailable)
  const append = <A>(verb: string, statement: Effect.Effect<A, AppendError>) =>
    Effect.flatMap(real.inTransaction, (inside) =>
      send(
        verb,
        statement,
        (message): AppendError => inside ? unavailable(message) : new OutcomeUnknown({ message })
      ))

  return {
    ...real,
    ...EngineVerbs.through(real, { append, engine }),
    renewLease: (runnerId, leaseMs) =>
      Effect.suspend(() => {
        const untilMs = machine.nowMs - machine.startMs + leaseMs
        return Effect.tap(
          engine("renewLease", real.renewLease(runnerId, leaseMs)),
          () => Effect.sync(() => history.add({ _tag: "Leased", runner: process.name, untilMs }))
        )
      }),
    createSubscription: (subscription) => engine("createSubscription", real.createSubscription(subscription)),
    ensureSubscription: (subscription, change) =>
      engine("ensureSubscription", real.ensureSubscription(subscription, change)),
    listen: (workerGroups) => engine("listen", real.listen(workerGroups)),
    hear: (cursors, limit) => engine("hear", real.hear(cursors, limit)),
    updateSubscription: (id, change, message) =>
      engine("updateSubscription", real.updateSubscription(id, change, message)),
    deleteSubscription: (id) => engine("deleteSubscription", real.deleteSubscription(id)),
    getSubscription: (id) => engine("getSubscription", real.getSubscription(id)),
    claimants: (id) => engine("claimants", real.claimants(id)),
    move: (rows) => engine("move", real.move(rows)),
    expire: (rows) => engine("expire", real.expire(rows)),
    maintain: (options) => engine("maintain", real.maintain(options))
  }
}

// --- internal ---

const unavailable = (message: string) => new StorageUnavailable({ message })
