/**
 * Runs the simulation: many seeds, or one step by step. The first seed that breaks a promise ends it with 1, and with the
 * command that replays it.
 *
 * npm run simulate -- --seeds 1000 --from 1
 * npm run simulate -- --seed 17 --trace
 */
import { parseArgs } from "node:util"
import * as History from "./History.ts"
import { type Mutant, none } from "./Mutant.ts"
import { mutants } from "./mutants/index.ts"
import { type Result, simulate } from "./Simulation.ts"

const out = (line: string) => process.stdout.write(`${line}\n`)

const fail = (line: string): never => {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

const numberOf = (name: string, text: string): number => {
  const number = Number(text)
  return Number.isSafeInteger(number) && number >= 0 ? number : fail(`--${name} takes a whole number, not "${text}".`)
}

const mutantOf = (name: string | undefined): Mutant =>
  name === undefined
    ? none
    : mutants.find((mutant) => mutant.name === name) ??
      fail(`There is no mutant "${name}"; there are ${mutants.map((mutant) => `"${mutant.name}"`).join(", ")}.`)

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seconds: { type: "string", default: "0" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false },
    mutant: { type: "string" }
  }
})
const mutant = mutantOf(values.mutant)
const startedAt = process.hrtime.bigint()
const elapsedMs = () => Number(process.hrtime.bigint() - startedAt) / 1e6

/** Runs one seed and tells all there is to tell of it. */
const replay = (seed: number): void => {
  const write = History.writer()
  const result = simulate(seed, {
    mutant,
    ...(values.trace ? { watch: (entry: History.Entry) => out(write.entry(entry)) } : {})
  })
  out(`\nseed ${seed}: ${result.run.entries.length} events in ${result.virtualMs} virtual ms, history ${result.hash}`)
  out(JSON.stringify({ ...result.run.plan, limits: undefined }))
  for (const violation of result.violations) out(`broken: ${write.text(violation)}`)
  if (result.violations.length > 0) process.exitCode = 1
}

const complain = (seed: number, { violations }: Result): void => {
  const write = History.writer()
  out(`\nseed ${seed} breaks ${violations.length === 1 ? "a promise" : `${violations.length} promises`}:`)
  for (const violation of violations.slice(0, 10)) out(`  ${write.text(violation)}`)
  const option = values.mutant === undefined ? "" : ` --mutant "${values.mutant}"`
  out(`\nReplay it step by step:\n  npm run simulate -- --seed ${seed} --trace${option}`)
  process.exitCode = 1
}

/** Runs at least so many seeds, and for at least so many seconds. */
const runMany = (from: number, seeds: number, seconds: number): void => {
  let count = 0
  let virtualMs = 0
  let events = 0
  let attempts = 0
  for (let seed = from; count < seeds || elapsedMs() < seconds * 1000; seed++) {
    const result = simulate(seed, { mutant })
    if (result.violations.length > 0) return complain(seed, result)
    count++
    virtualMs += result.virtualMs
    events += result.run.entries.length
    attempts += result.run.entries.filter((entry) => entry._tag === "Begun").length
    if (count % 500 === 0) out(`${count} seeds, ${Math.round(elapsedMs() / 1000)} s`)
  }
  out(
    `${count} seeds from ${from} keep every promise: ${events} events, ${attempts} attempts, ` +
      `${Math.round(virtualMs / 60_000)} virtual minutes in ${(elapsedMs() / 1000).toFixed(1)} s ` +
      `(${(elapsedMs() / Math.max(1, count)).toFixed(0)} ms a seed)`
  )
}

if (values.seed === undefined) {
  runMany(numberOf("from", values.from), numberOf("seeds", values.seeds), numberOf("seconds", values.seconds))
} else replay(numberOf("seed", values.seed))
