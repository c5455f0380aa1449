/**
 * The faults, done: the plan's steps one after the other, each undone before the next one comes, and counted.
 */
import { Clock, Effect } from "effect"
import type * as Database from "./Database.ts"
import type * as Dice from "./Dice.ts"
import type * as Failover from "./Failover.ts"
import type * as Plan from "./Plan.ts"
import type * as Runner from "./Runner.ts"

export interface Options {
  readonly database: Database.Database
  readonly runners: ReadonlyArray<Runner.Runner>
  readonly failover: Failover.Failover
  readonly dice: Dice.Dice
  readonly say: (what: string) => Effect.Effect<void>
}

/** How long a fault waits for a runner that it can meet. */
const patience = "20 seconds"

export const make = ({ database, dice, failover, runners, say }: Options) => {
  const counts = { kills: 0, freezes: 0, stops: 0, dbRestarts: 0, cuts: 0, sessions: 0 }
  const failovers: Array<number> = []
  const wrongs: Array<string> = []
  const busy = new Set<Runner.Runner>()

  const ready = () => runners.filter((runner) => runner.isReady() && !busy.has(runner))

  const until = (condition: () => boolean, within: `${number} seconds`) =>
    Effect.suspend(() => condition() ? Effect.void : Effect.sleep("50 millis")).pipe(
      Effect.repeat({ until: condition }),
      Effect.timeoutOption(within)
    )

  /** One of those there are, which no other fault meets meanwhile; it waits until there is one. */
  const meet = <A>(
    who: number,
    among: () => ReadonlyArray<Runner.Runner>,
    use: (runner: Runner.Runner) => Effect.Effect<A>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const found = among()
      const runner = found[Math.floor(who * found.length)]
      if (runner === undefined) return say("  nobody to meet")
      busy.add(runner)
      return use(runner).pipe(Effect.ensuring(Effect.sync(() => busy.delete(runner))), Effect.asVoid)
    }).pipe((met) => Effect.andThen(until(() => among().length > 0, patience), met))

  const down = (runner: Runner.Runner, downMs: number) =>
    Effect.gen(function*() {
      yield* runner.ended.pipe(Effect.timeoutOrElse({
        duration: "20 seconds",
        orElse: () =>
          Effect.andThen(
            Effect.sync(() => wrongs.push(`${runner.process()} did not stop within 20 seconds`)),
            runner.signal("SIGKILL")
          )
      }))
      yield* Effect.sleep(downMs)
      yield* runner.want(true)
    })

  const kill = Effect.fnUntraced(function*({ downMs, who }: Extract<Plan.Fault, { readonly _tag: "Kill" }>) {
    // Where nobody is left to take over, there is nothing to measure.
    yield* until(() => ready().length === runners.length, patience)
    const owned = yield* Effect.orElseSucceed(
      failover.owned,
      () => new Map<string, ReadonlyArray<{ eventId: string }>>()
    )
    const others = ready().length > 1
    const owners = () => {
      const owners = ready().filter((runner) => owned.has(runner.process()))
      return owners.length > 0 ? owners : ready()
    }
    yield* meet(who, owners, (runner) =>
      Effect.gen(function*() {
        const process = runner.process()
        const eventIds = others ? (owned.get(process) ?? []).map(({ eventId }) => eventId) : []
        yield* runner.want(false)
        const killedAtMs = yield* Clock.currentTimeMillis
        yield* runner.signal("SIGKILL")
        counts.kills++
        yield* say(`SIGKILL ${process}, owner of ${eventIds.length} groups, for ${downMs} ms`)
        const measure = failover.measure(`probe-${counts.kills}`, eventIds, runner, process, killedAtMs).pipe(
          Effect.timeout("30 seconds"),
          Effect.matchEffect({
            onFailure: () =>
              Effect.sync(() => wrongs.push(`kill ${counts.kills} of ${process}: no fail-over within 30 seconds`)),
            onSuccess: (seconds) => {
              failovers.push(seconds)
              return say(`  fail-over of ${eventIds.length} groups after ${seconds.toFixed(2)} s`)
            }
          })
        )
        yield* Effect.all([eventIds.length > 0 ? measure : Effect.void, down(runner, downMs)], {
          concurrency: "unbounded"
        })
      }))
  })

  const act = (fault: Plan.Fault): Effect.Effect<void> => {
    switch (fault._tag) {
      case "Kill":
        return kill(fault)
      case "Freeze":
        return meet(fault.who, ready, (runner) =>
          Effect.gen(function*() {
            counts.freezes++
            yield* say(`SIGSTOP ${runner.process()} for ${fault.forMs} ms`)
            yield* runner.signal("SIGSTOP")
            yield* Effect.sleep(fault.forMs)
            yield* runner.signal("SIGCONT")
          }))
      case "Stop":
        return meet(fault.who, ready, (runner) =>
          Effect.gen(function*() {
            counts.stops++
            yield* say(`SIGTERM ${runner.process()}`)
            yield* runner.want(false)
            yield* runner.signal("SIGTERM")
            yield* down(runner, fault.downMs)
          }))
      case "Cut":
        return meet(fault.who, ready, (runner) =>
          Effect.gen(function*() {
            counts.cuts++
            yield* say(`${runner.process()} and the database: ${fault.how} for ${fault.forMs} ms`)
            const mend = yield* runner.link.cut(fault.how)
            yield* Effect.sleep(fault.forMs)
            yield* mend
          }))
      case "Restart":
        return Effect.gen(function*() {
          counts.dbRestarts++
          yield* say(`${fault.signal} to PostgreSQL, back after ${fault.downMs} ms`)
          yield* database.end(fault.signal)
          yield* Effect.sleep(fault.downMs)
          yield* database.again
          yield* say("  PostgreSQL runs again")
        }).pipe(Effect.orDie)
      case "EndSessions":
        return Effect.gen(function*() {
          const met = yield* database.endSessions(fault.share, dice)
          counts.sessions += met
          yield* say(`${met} sessions ended`)
        }).pipe(Effect.catch(() => say("  no session could be ended: the database is away")))
    }
  }

  /** Does the plan. A step that comes late makes those after it late. */
  const run = Effect.fnUntraced(function*(steps: ReadonlyArray<Plan.Step>) {
    const startMs = yield* Clock.currentTimeMillis
    for (const [n, { atMs, beside, fault }] of steps.entries()) {
      const sinceMs = (yield* Clock.currentTimeMillis) - startMs
      yield* Effect.sleep(Math.max(0, atMs - sinceMs))
      const lasts = (steps[n + 1]?.atMs ?? atMs) - atMs
      yield* Effect.all([
        act(fault),
        beside ? Effect.delay(act(beside.fault), beside.afterMs) : Effect.void,
        // A pause after it, however late it came.
        Effect.sleep(Math.min(lasts, 3000))
      ], { concurrency: "unbounded" })
    }
  })

  return { counts, failovers, wrongs, run, until }
}
