/**
 * Chaos, which proves itself: three runners on a real PostgreSQL deliver what emitters emit to receivers that fail in their own
 * ways, and to handlers of their own, while processes are killed, frozen and stopped, the database is ended hard, its sessions
 * are ended, the network between a runner and it is cut, receivers die for a while, and events are shared out to more dispatcher
 * partitions or fewer, by a plan from a seed. Then all is mended, and what the emitters were told, what the database says of each
 * delivery and attempt, what the receivers saw and what the processes heard must agree (see `Verdict.ts`); else it says what does
 * not, keeps the runners' logs and the evidence, and exits with 1.
 *
 * Judged are: that nothing is lost, each duplicate is explained, and order kept; that each group has one owner at a time, those of
 * partitions too; that the limits of subscriptions hold in the whole cluster; that a dead endpoint's circuit opens, spares it and
 * closes again; that each of two work queues on one hook gets every message; and that every process hears every broadcast once, in
 * one order.
 *
 * npm run chaos -- --minutes 2 --json [--seed 1]
 *
 * Progress goes to stderr. With `--json`, the last line on stdout is one of JSON:
 * - `emitted`: messages whose emitters have a receipt; `delivered`: pairs of a message and a subscription that were accepted;
 * - `lost`: pairs neither accepted nor with a final outcome and its reason, and receipts of messages that are not stored;
 * - `duplicates`: acceptances beyond the first; `duplicatesUnexplained`: those that no attempt with an open outcome and no claim
 *   without one accounts for;
 * - `partitions`: how often an event was shared out anew; `openings`: how often the circuit of a dead receiver was seen to open;
 *   `heard`: what the processes heard of what was broadcast, all together;
 * - `failoverSeconds`: from each kill until a message emitted after it was delivered by another runner, for the last of the
 *   killed one's groups. A time is no proof on a machine that does other things as well, so it is told and not judged; a
 *   fail-over that does not come at all is wrong.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Fiber, Logger, References, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { parseArgs } from "node:util"
import { timeOf } from "../../src/Id.ts"
import * as Postmaster from "../support/postmaster.ts"
import { freePort } from "../support/runner.ts"
import * as Database from "./Database.ts"
import * as Dice from "./Dice.ts"
import * as Emitters from "./Emitters.ts"
import * as Failover from "./Failover.ts"
import * as Faults from "./Faults.ts"
import * as Pace from "./Pace.ts"
import * as Plan from "./Plan.ts"
import * as Receivers from "./Receivers.ts"
import * as Runner from "./Runner.ts"
import * as Verdict from "./Verdict.ts"
import { openings } from "./verdict/Circuits.ts"
import type { Evidence, Owned, Sight, Subscription } from "./verdict/Evidence.ts"

const { values: flags } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false }
  }
})
const minutes = Number(flags.minutes)
const seed = Number(flags.seed)

/** What is not final by then is lost. */
const settling = "60 seconds"

const say = (what: string) =>
  Effect.suspend(() => Console.error(`${process.uptime().toFixed(1).padStart(6)} s  ${what}`))

/** A folder for the database and the logs. The logs stay if `keep` says so. */
const folder = Effect.fnUntraced(function*(keep: () => boolean) {
  const made = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const made = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-chaos-"))
      Fs.chmodSync(made, 0o711)
      Fs.mkdirSync(Path.join(made, "logs"))
      return made
    }),
    (made) =>
      Effect.gen(function*() {
        // It goes on for a runner whose session has not ended yet.
        yield* Postmaster.end(Path.join(made, "data", "postgres"))
        for (const gone of keep() ? ["data", "compiled"] : [""]) {
          Fs.rmSync(Path.join(made, gone), { recursive: true, force: true })
        }
        if (keep()) yield* say(`The logs are in ${Path.join(made, "logs")}`)
      })
  )
  return { dataDir: Path.join(made, "data"), logs: Path.join(made, "logs") }
})

const subscribe = Effect.fnUntraced(function*(url: string, adminKey: string, receivers: Receivers.Receivers) {
  return yield* Effect.forEach(
    receivers.all,
    Effect.fnUntraced(function*(receiver) {
      const id = yield* Effect.tryPromise(async () => {
        const response = await fetch(`${url}/api/v1/subscriptions`, {
          method: "POST",
          headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
          body: JSON.stringify(Receivers.subscriptionOf(receiver))
        })
        const text = await response.text()
        if (response.status !== 201) throw new Error(`a subscription was refused: ${text}`)
        return /"id":"(sub_\w+)"/u.exec(text)?.[1] ?? ""
      })
      const { dies = false, events, maxConcurrency, name, ordered = false, rateLimit } = receiver
      return {
        id,
        receiver: name,
        events,
        ordered,
        dies,
        ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
        ...(rateLimit === undefined ? {} : { rateLimit })
      } satisfies Subscription
    })
  )
})

const quantile = (numbers: ReadonlyArray<number>, share: number): number | null => {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null
}

const rounded = (seconds: number | null): number | null => seconds === null ? null : Math.round(seconds * 100) / 100

/** Lets the receivers that die be dead, and alive again. */
const die = Effect.fnUntraced(function*(receivers: Receivers.Receivers, seed: number) {
  const startMs = yield* Clock.currentTimeMillis
  for (const { atMs, forMs } of Plan.deaths(seed, minutes)) {
    yield* Pace.reach(startMs + atMs)
    yield* say(`a receiver is dead for ${forMs} ms`)
    yield* receivers.die(true)
    yield* Effect.sleep(forMs)
    yield* receivers.die(false)
  }
})

/** The run; what it found is judged when all of it is stopped. */
const run = Effect.fnUntraced(function*(keep: { evidence: boolean }) {
  const { dataDir, logs } = yield* folder(() => keep.evidence)
  const steps = Plan.make(seed, minutes)
  // What holds up this process holds up the runners: a busy machine is told from a slow fail-over.
  const delays = monitorEventLoopDelay({ resolution: 20 })
  delays.enable()
  yield* say(`${steps.length} faults in ${minutes} minutes, by seed ${seed}`)
  const database = yield* Database.make(dataDir)
  const receivers = yield* Receivers.make(seed)
  const adminKey = `hk_${randomBytes(24).toString("hex")}`
  const variables = {
    ...receivers.variables,
    HOOKLINE_ADMIN_KEY: adminKey,
    HOOKLINE_MASTER_KEY: randomBytes(32).toString("hex")
  }
  const runners = yield* Effect.forEach(
    ["a", "b", "c"],
    (name) => Effect.flatMap(freePort, (port) => Runner.make({ name, port, database, variables, logs, say }))
  )
  const emitters = Emitters.make({ seed, adminKey, runners })
  const dice = Dice.make(seed + 1000)
  const failover = Failover.make({ database, emitters, receivers, dice })
  const faults = Faults.make({ adminKey, database, runners, failover, dice, say })
  const allReady = (within: `${number} seconds`) =>
    faults.until(() => runners.every((runner) => runner.isReady()), within)

  yield* allReady("60 seconds")
  const subscriptions: ReadonlyArray<Subscription> = [
    ...yield* subscribe(runners[0]?.url ?? "", adminKey, receivers),
    ...yield* database.queues
  ]

  const owned = new Map<string, Owned>()
  const own = Effect.map(database.owners, (rows) => {
    // The first sight of an epoch is what tells.
    for (const row of rows) {
      const name = `${row.workerGroup} ${row.epoch}`
      if (!owned.has(name)) owned.set(name, row)
    }
  })
  const sights: Array<Sight> = []
  const dying = subscriptions.filter(({ dies }) => dies === true)
  const look = Effect.forEach(dying, ({ id }) =>
    Effect.map(database.circuit(id), (rows) => {
      for (const row of rows) sights.push({ ...row, subscriptionId: id })
    }), { discard: true })
  for (const watch of [own, look]) {
    yield* Effect.forkScoped(
      watch.pipe(Effect.timeout("2 seconds"), Effect.ignore, Effect.repeat(Schedule.spaced("300 millis")))
    )
  }

  let over = false
  const tell = Effect.suspend(() => say(`${emitters.emissions.size} emitted, ${receivers.requests.length} requests`))
    .pipe(Effect.delay("15 seconds"), Effect.forever)
  yield* Effect.forkScoped(tell)
  const chaos = Effect.gen(function*() {
    const startMs = yield* Clock.currentTimeMillis
    yield* Effect.forkScoped(die(receivers, seed))
    yield* faults.run(steps)
    yield* Pace.reach(startMs + minutes * 60_000)
    yield* receivers.heal
    over = true
  })
  const emitting = yield* Effect.forkScoped(emitters.run(() => over))
  yield* chaos
  yield* say("No more faults")
  yield* allReady("30 seconds")
  if (!runners.every((runner) => runner.isReady())) faults.wrongs.push("not all runners are ready after the faults")
  yield* Effect.timeoutOption(Fiber.await(emitting), "20 seconds")
  yield* Effect.timeoutOption(
    database.left.pipe(
      Effect.tap(({ 0: left }) => say(`  ${left?.unrouted} to route, ${left?.unfinished} to finish`)),
      Effect.retry({ schedule: Schedule.spaced("500 millis") }),
      Effect.repeat({
        schedule: Schedule.spaced("1 second"),
        until: ([left]) => left?.unrouted === 0 && left.unfinished === 0
      })
    ),
    settling
  )
  // Every process that was up has heard what was broadcast last.
  const isHeard = Effect.map(database.told, ([last]) => {
    const by = new Set(
      receivers.hearings.flatMap(({ messageId, process }) => messageId === last?.messageId ? process : [])
    )
    return runners.flatMap((runner) => runner.lives()).every(({ endsAtMs, process, readyAtMs }) =>
      endsAtMs !== undefined || by.has(process) || last === undefined || readyAtMs > timeOf(last.messageId)
    )
  })
  yield* Effect.timeoutOption(
    isHeard.pipe(
      Effect.retry({ schedule: Schedule.spaced("500 millis") }),
      Effect.repeat({ schedule: Schedule.spaced("500 millis"), until: (heard) => heard })
    ),
    "20 seconds"
  )
  yield* say(`This process was held up for ${Math.round(delays.max / 1e6)} ms at most`)
  yield* say("Reading what came of it")
  const rows = yield* database.rows
  const evidence: Evidence = {
    emissions: [...emitters.emissions.values()],
    subscriptions,
    ...rows,
    requests: receivers.requests,
    owned: [...owned.values()],
    sights,
    hearings: receivers.hearings,
    lives: runners.flatMap((runner) => runner.lives()),
    hindrances: faults.hindrances
  }
  const verdict = Verdict.make(evidence)
  const opened = dying.flatMap(({ id }) => openings(sights, id))
  for (const opening of opened) {
    const [first] = opening
    if (first) {
      yield* say(
        `  circuit open for ${Math.round((first.openUntilMs ?? 0) - first.atMs)} ms, as opening ${first.opens}`
      )
    }
  }
  const wrongs = [
    ...verdict.findings.map(({ of, what }) => `${what}: ${of.length}, as ${of.slice(0, 5).join("; ")}`),
    ...faults.wrongs,
    // A receiver dies twice in two minutes; once may be while there is little to deliver to it.
    ...(opened.length === 0 && minutes >= 2 ? ["no circuit opened, though a receiver died"] : []),
    ...runners.flatMap(({ deaths }) => deaths.filter((death) => death.endsWith("once ready")))
  ]
  if (wrongs.length > 0) {
    keep.evidence = true
    Fs.writeFileSync(Path.join(logs, "evidence.json"), JSON.stringify({ evidence, verdict, wrongs }))
  }
  return {
    verdict,
    wrongs,
    counts: faults.counts,
    failovers: faults.failovers,
    opened: opened.length,
    heard: receivers.hearings.length
  }
})

const main = Effect.gen(function*() {
  // Until it is known that nothing is wrong, the logs are worth keeping.
  const keep = { evidence: true }
  const { counts, failovers, heard, opened, verdict, wrongs } = yield* Effect.scoped(
    Effect.tap(run(keep), ({ wrongs }) => Effect.sync(() => void (keep.evidence = wrongs.length > 0)))
  )
  const { delivered, duplicates, duplicatesUnexplained, emitted, limits, lost, outcomes } = verdict
  const { cuts, dbRestarts, freezes, kills, partitions, sessions, stops } = counts
  yield* say(
    `${kills} kills, ${freezes} freezes, ${stops} stops, ${dbRestarts} restarts of the database, ${cuts} cuts, ` +
      `${sessions} sessions ended, ${partitions} changes of partitions, ${opened} openings of a circuit`
  )
  yield* say(`outcomes: ${Object.entries(outcomes).map(([name, n]) => `${name}: ${n}`).join("; ")}`)
  yield* say(`fail-overs: ${failovers.map((seconds) => seconds.toFixed(1)).join(" ")}`)
  yield* say(`limits: ${limits.join("; ")}`)
  for (const wrong of wrongs) yield* say(`✗ ${wrong}`)
  if (wrongs.length > 0) process.exitCode = 1
  const result = {
    emitted,
    delivered,
    lost,
    duplicates,
    duplicatesUnexplained,
    kills,
    freezes,
    dbRestarts,
    cuts,
    partitions,
    openings: opened,
    heard,
    failoverSeconds: { p50: rounded(quantile(failovers, 0.5)), max: rounded(quantile(failovers, 1)) }
  }
  yield* Console.log(
    flags.json ? JSON.stringify(result) : wrongs.length === 0 ? "✓ All agree." : "✗ They do not agree."
  )
})

// A closed terminal stops it as Ctrl-C does, so that nothing is left behind; what is still said then, nobody reads.
process.once("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

main.pipe(
  Effect.provideService(References.MinimumLogLevel, "Warn"),
  Effect.provideService(Logger.LogToStderr, true),
  NodeRuntime.runMain
)
