/**
 * The faults, done: the plan's steps one after the other, each undone before the next one comes, and counted; and what each held
 * up, from when until when.
 */
import { Clock, Effect, Schedule } from "effect"
import type * as Database from "./Database.ts"
import type * as Dice from "./Dice.ts"
import type * as Failover from "./Failover.ts"
import * as Pace from "./Pace.ts"
import type * as Plan from "./Plan.ts"
import type * as Runner from "./Runner.ts"
import type { Hindrance } from "./verdict/Evidence.ts"

export interface Options {
  readonly adminKey: string
  readonly database: Database.Database
  readonly runners: ReadonlyArray<Runner.Runner>
  readonly failover: Failover.Failover
  readonly dice: Dice.Dice
  readonly say: (what: string) => Effect.Effect<void>
}

/** How long a fault waits for a runner that it can meet. */
const patience = "20 seconds"

export const make = ({ adminKey, database, dice, failover, runners, say }: Options) => {
  const counts = { kills: 0, freezes: 0, stops: 0, dbRestarts: 0, cuts: 0, sessions: 0, partitions: 0 }
  const failovers: Array<number> = []
  const wrongs: Array<string> = []
  const hindrances: Array<Hindrance> = []
  let asked = 0
  const busy = new Set<Runner.Runner>()

  const ready = () => runners.filter((runner) => runner.isReady() && !busy.has(runner))

  const until = (condition: () => boolean, within: `${number} seconds`) =>
    Effect.suspend(() => condition() ? Effect.void : Effect.sleep("50 millis")).pipe(
      Effect.repeat({ until: condition }),
      Effect.timeoutOption(within)
    )

  /** Notes that a process, or all of them, are held up meanwhile. */
  const hindering = <A, E>(process: string | undefined, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Clock.currentTimeMillis, (fromMs) => {
      const at = hindrances.push({ process, fromMs, untilMs: undefined }) - 1
      const over = Effect.map(Clock.currentTimeMillis, (untilMs) => {
        hindrances[at] = { process, fromMs, untilMs }
      })
      return Effect.ensuring(effect, over)
    })

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
      () => new Map<string, ReadonlyArray<Failover.KeyedGroup>>()
    )
    const others = ready().length > 1
    const owners = () => {
      const owners = ready().filter((runner) => owned.has(runner.process()))
      return owners.length > 0 ? owners : ready()
    }
    yield* meet(who, owners, (runner) =>
      Effect.gen(function*() {
        const process = runner.process()
        const groups = others ? owned.get(process) ?? [] : []
        yield* runner.want(false)
        const killedAtMs = yield* Clock.currentTimeMillis
        yield* runner.signal("SIGKILL")
        counts.kills++
        yield* say(`SIGKILL ${process}, owner of ${groups.length} groups, for ${downMs} ms`)
        const measure = failover.measure(String(counts.kills), groups, runner, process, killedAtMs).pipe(
          Effect.timeout("30 seconds"),
          Effect.matchEffect({
            onFailure: () =>
              Effect.sync(() => wrongs.push(`kill ${counts.kills} of ${process}: no fail-over within 30 seconds`)),
            onSuccess: (seconds) => {
              failovers.push(seconds)
              return say(`  fail-over of ${groups.length} groups after ${seconds.toFixed(2)} s`)
            }
          })
        )
        yield* Effect.all([groups.length > 0 ? measure : Effect.void, down(runner, downMs)], {
          concurrency: "unbounded"
        })
      }))
  })

  /** Asks one runner after the other until one has done it: it can be repeated. */
  const share = ({ count, eventId }: Extract<Plan.Fault, { readonly _tag: "Partition" }>) =>
    Effect.suspend((): Effect.Effect<{ readonly status: number; readonly text: string }, unknown> => {
      const among = ready()
      const runner = among[asked++ % Math.max(1, among.length)]
      return runner === undefined ?
        Effect.fail("nobody is ready") :
        Effect.tryPromise((signal) =>
          fetch(`${runner.url}/api/v1/events/${eventId}/partitions`, {
            method: "PUT",
            signal,
            headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
            body: JSON.stringify({ partitions: count })
          }).then(async (response) => ({ status: response.status, text: await response.text() }))
        ).pipe(Effect.timeout("2 seconds"))
    }).pipe(
      Effect.filterOrFail(({ status }) => status < 500),
      Effect.retry(Schedule.spaced("200 millis")),
      Effect.timeout(patience),
      Effect.flatMap(({ status, text }) => {
        if (status === 200) counts.partitions++
        else wrongs.push(`the partitions of ${eventId} could not be set: ${status} ${text}`)
        return say(`${eventId} is shared out to ${count}`)
      }),
      Effect.catch(() => say(`  ${eventId} could not be shared out: no runner answered`))
    )

  const act = (fault: Plan.Fault): Effect.Effect<void> => {
    switch (fault._tag) {
      case "Kill":
        return kill(fault)
      case "Freeze":
        return meet(fault.who, ready, (runner) =>
          Effect.gen(function*() {
            counts.freezes++
            yield* say(`SIGSTOP ${runner.process()} for ${fault.forMs} ms`)
            yield* hindering(
              runner.process(),
              Effect.gen(function*() {
                yield* runner.signal("SIGSTOP")
                yield* Effect.sleep(fault.forMs)
                yield* runner.signal("SIGCONT")
              })
            )
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
            yield* hindering(
              runner.process(),
              Effect.gen(function*() {
                const mend = yield* runner.link.cut(fault.how)
                yield* Effect.sleep(fault.forMs)
                yield* mend
              })
            )
          }))
      case "Restart":
        return Effect.gen(function*() {
          counts.dbRestarts++
          yield* say(`${fault.signal} to PostgreSQL, back after ${fault.downMs} ms`)
          yield* hindering(
            undefined,
            Effect.gen(function*() {
              yield* database.end(fault.signal)
              yield* Effect.sleep(fault.downMs)
              yield* database.again
            })
          )
          yield* say("  PostgreSQL runs again")
        }).pipe(Effect.orDie)
      case "EndSessions":
        return Effect.gen(function*() {
          const met = yield* hindering(undefined, database.endSessions(fault.share, dice))
          counts.sessions += met
          yield* say(`${met} sessions ended`)
        }).pipe(Effect.catch(() => say("  no session could be ended: the database is away")))
      case "Partition":
        return share(fault)
    }
  }

  /** Does the plan. A step that comes late makes those after it late. */
  const run = Effect.fnUntraced(function*(steps: ReadonlyArray<Plan.Step>) {
    const startMs = yield* Clock.currentTimeMillis
    for (const [n, { atMs, beside, fault }] of steps.entries()) {
      yield* Pace.reach(startMs + atMs)
      const lasts = (steps[n + 1]?.atMs ?? atMs) - atMs
      yield* Effect.all([
        act(fault),
        beside ? Effect.delay(act(beside.fault), beside.afterMs) : Effect.void,
        // A pause after it, however late it came.
        Effect.sleep(Math.min(lasts, 3000))
      ], { concurrency: "unbounded" })
    }
  })

  return { counts, failovers, hindrances, wrongs, run, until }
}
