/**
 * The bench: `npm run bench -- [--quick] [--peers] [--json] …`; `docs/performance.md` says what it does and how to read it.
 */
import * as Fs from "node:fs"
import { type Bench, type Entry, make } from "./Bench.ts"
import * as Flags from "./Flags.ts"
import * as Goals from "./Goals.ts"
import * as Machine from "./Machine.ts"
import { type Peer, peers, quoted, versions } from "./peers/index.ts"
import { install } from "./peers/install.ts"
import * as Redis from "./peers/Redis.ts"
import * as Plan from "./Plan.ts"
import { report } from "./Report.ts"
import * as Results from "./Results.ts"
import { sizes } from "./Sizes.ts"

const args = process.argv.slice(2)

/** How it ends where it was stopped. */
const interrupted = 130

const progress = (text: string) => {
  process.stderr.write(`${text}\n`)
}

const entryOf = ({ key, module, redis, row, store }: Peer): Entry => ({
  key,
  name: row,
  module,
  store,
  ...(redis === undefined ? {} : { redis: (folder) => Redis.start(redis, folder) })
})

const readFlags = (): Flags.Flags => {
  try {
    return Flags.parse(args)
  } catch (error) {
    if (!(error instanceof Flags.WrongFlag)) throw error
    progress(`${error.message}\n\n${Flags.usage}`)
    process.exit(2)
  }
}

const measured = async (bench: Bench, flags: Flags.Flags, compared: ReadonlyArray<Entry>, signal: AbortSignal) => {
  const size = sizes[flags.extent]
  const rounds = flags.rounds ?? size.rounds
  const results = Results.make()
  const emitLine = (line: object) => {
    if (flags.json) process.stdout.write(`${JSON.stringify(line)}\n`)
  }
  const skipped = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    for (const measure of Plan.inRound(round, flags)) {
      for (const entry of Plan.systemsOf(measure, round, compared)) {
        const { name } = measure
        const what = `${name} ${entry.key}`
        if (skipped.has(what)) continue
        signal.throwIfAborted()
        const began = performance.now()
        try {
          const values = await measure.run(bench, entry, size)
          results.add(name, entry.key, values)
          emitLine({ measure: name, system: entry.key, round: round + 1, values })
          const told = Object.entries(values).slice(0, 4).map(([key, value]) => `${key} ${value.toFixed(3)}`).join(", ")
          progress(`${round + 1}/${rounds} ${what}: ${told} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
        } catch (error) {
          // Nothing is left to measure on.
          signal.throwIfAborted()
          const message = error instanceof Error ? error.message : String(error)
          // What can't be done once is not waited for again.
          skipped.add(what)
          results.fail({ measure: name, system: entry.key, message })
          emitLine({ failed: name, system: entry.key, message })
          progress(`${round + 1}/${rounds} ${what} failed: ${message}`)
        }
      }
    }
  }
  return { results, emitLine }
}

const run = async (flags: Flags.Flags, bench: Bench, signal: AbortSignal) => {
  const compared = flags.peers ? peers : []
  const { emitLine, results } = await measured(bench, flags, compared.map(entryOf), signal)
  const machine = await Machine.machine(bench, args, flags.peers ? versions() : {})
  const keys = (holds: (peer: Peer) => boolean) => compared.filter(holds).map(({ key }) => key)
  const telemetry = Goals.telemetry(results)
  const figures = Goals.figures(results, {
    onPostgres: keys(({ store }) => store === "postgres"),
    bullmq: keys(({ packages }) => packages.includes("bullmq")),
    all: keys(() => true)
  }).filter(({ figure }) => flags.only?.has(figure) ?? true)
  const systems = [Plan.hookline, ...compared.map(entryOf)]
  const text = report({ machine, results, systems, quoted, telemetry, figures })
  if (flags.json) progress(text)
  else process.stdout.write(`${text}\n`)
  emitLine({ machine })
  for (const { floor, holdsFloor, name, value } of telemetry) {
    emitLine({ telemetry: { name, value, floor, holdsFloor } })
  }
  for (const figure of figures) emitLine(figure)
  return results.failures.some(({ system }) => system === Plan.hookline.key || system === Plan.posts.key) ? 1 : 0
}

const main = async (): Promise<number> => {
  const flags = readFlags()
  if (flags.help) {
    process.stdout.write(`${Flags.usage}\n`)
    return 0
  }
  if (flags.peers) install()
  if (flags.profile !== undefined) Fs.mkdirSync(flags.profile, { recursive: true })
  const starting = make({ profiles: flags.profile })
  const stopping = new AbortController()
  const stop = () => {
    // A terminal's interrupt comes from it and from npm: the second must not end what stops.
    if (stopping.signal.aborted) return
    progress("Stops")
    stopping.abort()
    void starting.then((bench) => bench[Symbol.asyncDispose]()).finally(() => process.exit(interrupted))
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop)
  try {
    await using bench = await starting
    return await run(flags, bench, stopping.signal)
  } catch (error) {
    if (stopping.signal.aborted) return interrupted
    throw error
  }
}

process.exitCode = await main()
