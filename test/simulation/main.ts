/**
 * Runs the simulation: many seeds, or one step by step.
 *
 * npm run simulate -- --seeds 200 --from 1
 * npm run simulate -- --seed 17 --trace
 */
import { parseArgs } from "node:util"
import * as History from "./History.ts"
import { simulate } from "./Simulation.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    trace: { type: "boolean", default: false }
  }
})
const out = (line: string) => process.stdout.write(`${line}\n`)
const from = Number(values.seed ?? values.from)
const seeds = values.seed === undefined ? Number(values.seeds) : 1
const write = History.writer()
const startedAt = process.hrtime.bigint()
for (let seed = from; seed < from + seeds; seed++) {
  const result = simulate(seed, values.trace ? { watch: (entry) => out(write.entry(entry)) } : {})
  out(
    `${seed} ${result.hash} steps ${result.steps} virtual ${result.virtualMs} events ${result.run.entries.length} quiet ${result.run.isQuiet} ${
      write.text(result.violations.join("\n  "))
    }`
  )
}
out(`${Number(process.hrtime.bigint() - startedAt) / 1e6 / seeds} ms a seed`)
