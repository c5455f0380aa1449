/**
 * Runners as real processes, ended by pid, their folders removed.
 */
import { Effect, Schedule } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { inject } from "vitest"

const root = Path.resolve(import.meta.dirname, "../..")

/** What one process has compiled, the next need not. */
const compiled = Path.join(root, "node_modules/.cache/hookline-tests")

/** A folder for a runner, removed with whatever PostgreSQL still runs there. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const made = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-runner-"))
    Fs.chmodSync(made, 0o711)
    return made
  }),
  (made) =>
    Effect.gen(function*() {
      const lock = Path.join(made, "data", "postgres", "postmaster.pid")
      const pid = Fs.existsSync(lock) ? Number(Fs.readFileSync(lock, "utf8").split("\n")[0]) : 0
      const told = pid > 0 && (yield* Effect.orElseSucceed(Effect.try(() => process.kill(pid, "SIGINT")), () => false))
      if (told) yield* until("PostgreSQL has ended", Effect.sync(() => !Fs.existsSync(lock))).pipe(Effect.ignore)
      Fs.rmSync(made, { recursive: true, force: true })
    })
)

/** The data folder of a runner whose PostgreSQL was made before, as `start --dev` makes it, and stopped. */
export const madeDataDir = Effect.map(folder, (made) => {
  const dataDir = Path.join(made, "data")
  execFileSync("cp", ["-a", inject("madeFolder"), dataDir])
  return dataDir
})

/** Waits for a condition, at most 30 seconds unless it is told how often to look. */
export const until = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>, times = 1500) =>
  condition.pipe(
    Effect.catch(() => Effect.succeed(false)),
    Effect.flatMap((met) => met ? Effect.void : Effect.fail(new Error(`it did not come to pass: ${what}`))),
    Effect.retry({ schedule: Schedule.spaced("20 millis"), times })
  )

/** The command line as a process of its own group, with nothing or a text on its standard input. */
export const hookline = (args: ReadonlyArray<string>, env: Record<string, string> = {}, input?: string) =>
  program(["src/cli/main.ts", ...args], env, input)

/** A program over the source as a process of its own group. */
export const program = (command: ReadonlyArray<string>, env: Record<string, string>, input?: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=hookline-source", ...command], {
        cwd: root,
        detached: true,
        env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compiled, ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
      child.stdin.on("error", () => {}).end(input ?? "")
      const output = { text: "", stdout: "", stderr: "", closed: false }
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].on("data", (chunk: Buffer) => {
          output.text += chunk.toString()
          output[stream] += chunk.toString()
        })
      }
      child.on("close", () => {
        output.closed = true
      })
      return { child, output }
    }),
    ({ child }) => Effect.andThen(kill(child, "SIGKILL"), Effect.ignore(exited(child)))
  )

/** A command run to its end. */
export const run = (args: ReadonlyArray<string>, env: Record<string, string> = {}, input?: string) =>
  Effect.scoped(Effect.gen(function*() {
    const { child, output } = yield* hookline(args, env, input)
    yield* until(`hookline ${args.join(" ")} has ended`, Effect.sync(() => output.closed))
    return { code: child.exitCode, stdout: output.stdout, stderr: output.stderr }
  }))

/** Sends a signal to the process's whole group. */
export const kill = (child: ChildProcess, signal: NodeJS.Signals) =>
  Effect.ignore(Effect.try(() => child.pid === undefined ? false : process.kill(-child.pid, signal)))

/** Waits for the end of a process and tells its exit code. */
export const exited = (child: ChildProcess) =>
  Effect.as(
    until("the process has ended", Effect.sync(() => child.exitCode !== null || child.signalCode !== null)),
    child
  ).pipe(Effect.map((ended) => ended.exitCode))
