/**
 * A runner as a process behind a link of its own: started again whenever it should be up and is not, its output in a file.
 */
import { Clock, Effect, Redacted, Schedule } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type * as Database from "./Database.ts"
import { processVariable } from "./Events.ts"
import * as Link from "./Link.ts"
import type { Life } from "./verdict/Evidence.ts"

const root = Path.resolve(import.meta.dirname, "../..")

export interface Options {
  readonly name: string
  readonly port: number
  readonly database: Database.Database
  /** What its environment has beside. */
  readonly variables: Record<string, string>
  readonly logs: string
  readonly say: (what: string) => Effect.Effect<void>
}

/** Starts it; it is ended when the scope closes. */
export const make = Effect.fnUntraced(function*({ database, logs, name, port, say, variables }: Options) {
  const link = yield* Link.make(database.port)
  const url = `http://127.0.0.1:${port}`
  const state = {
    wanted: true,
    frozen: false,
    ready: false,
    wasReady: false,
    /** Told to end by a fault; whatever else ends it is its own doing. */
    ending: false,
    runs: 0,
    deaths: new Array<string>(),
    lives: new Array<Life>(),
    child: undefined as ChildProcess | undefined
  }

  const start = Effect.sync(() => {
    state.runs++
    state.ready = false
    state.wasReady = false
    state.ending = false
    const output = Fs.openSync(Path.join(logs, `runner-${name}.log`), "a")
    Fs.writeSync(output, `-- ${name}${state.runs}\n`)
    state.child = spawn(
      process.execPath,
      [
        "--conditions=hookline-source",
        "src/cli/main.ts",
        "start",
        "--config",
        "test/chaos/hookline.config.ts",
        "--port",
        String(port)
      ],
      {
        cwd: root,
        detached: true,
        stdio: ["ignore", output, output],
        env: {
          PATH: process.env["PATH"],
          ...variables,
          // A start is to cost the machine little: there are many.
          NODE_COMPILE_CACHE: Path.join(logs, "..", "compiled"),
          HOOKLINE_EGRESS_ALLOW: "127.0.0.0/8",
          DATABASE_URL: Redacted.value(database.through(link.port)),
          [processVariable]: `${name}${state.runs}`
        }
      }
    )
    Fs.closeSync(output)
  })

  /** The process that runs now ends from now on, if it was ever ready. */
  const bury = Effect.map(Clock.currentTimeMillis, (endsAtMs) => {
    const process = `${name}${state.runs}`
    state.lives = state.lives.map((life) =>
      life.process === process && life.endsAtMs === undefined ? { ...life, endsAtMs } : life
    )
  })

  const hasEnded = () => state.child === undefined || state.child.exitCode !== null || state.child.signalCode !== null

  /** To its process alone, by its id. */
  const signal = (signal: NodeJS.Signals) =>
    Effect.gen(function*() {
      if (hasEnded()) return
      if (signal === "SIGKILL" || signal === "SIGTERM") {
        yield* bury
        state.ending = true
        state.ready = false
      }
      if (signal === "SIGSTOP") state.frozen = true
      if (signal === "SIGCONT") state.frozen = false
      state.child?.kill(signal)
    })

  const ended = Effect.suspend(() => hasEnded() ? Effect.void : Effect.fail("runs")).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.ignore
  )

  const end = Effect.andThen(signal("SIGKILL"), ended)

  const look = Effect.gen(function*() {
    if (hasEnded()) {
      state.ready = false
      if (state.child !== undefined && !state.ending) {
        const how = `${name}${state.runs} ended by itself (${state.child.exitCode ?? state.child.signalCode}), ` +
          (state.wasReady ? "once ready" : "before it was ready")
        state.deaths.push(how)
        yield* bury
        yield* say(how)
        state.ending = true
        yield* Effect.sleep("1 second")
      }
      if (state.wanted) yield* start
      return
    }
    const run = state.runs
    const ready = !state.frozen && !state.ending && (yield* readiness(url))
    if (run !== state.runs || state.ending) return
    state.ready = ready
    if (ready && !state.wasReady) {
      state.wasReady = true
      state.lives = [...state.lives, {
        process: `${name}${run}`,
        readyAtMs: yield* Clock.currentTimeMillis,
        endsAtMs: undefined
      }]
      yield* say(`${name}${state.runs} is ready`)
    }
  })

  yield* Effect.addFinalizer(() => end)
  yield* start
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("400 millis")))

  return {
    name,
    url,
    link,
    signal,
    ended,
    /** As the requests of the process that runs now say it. */
    process: () => `${name}${state.runs}`,
    isReady: () => state.ready && !state.frozen,
    deaths: state.deaths,
    lives: (): ReadonlyArray<Life> => state.lives,
    /** Keeps it down, or lets it start again. */
    want: (wanted: boolean) =>
      Effect.sync(() => {
        state.wanted = wanted
      })
  }
})

export type Runner = Effect.Success<ReturnType<typeof make>>

// --- internal ---

const readiness = (url: string) =>
  Effect.tryPromise((signal) => fetch(`${url}/health/ready`, { signal }).then(({ ok }) => ok)).pipe(
    Effect.timeout("2500 millis"),
    Effect.catch(() => Effect.succeed(false))
  )
