/**
 * What is measured for which figure, of which systems.
 */
import * as Path from "node:path"
import { defaultRatio } from "../src/Sampling.ts"
import type { Bench, Entry } from "./Bench.ts"
import { bounds } from "./Bounds.ts"
import type { Extent } from "./Flags.ts"
import { bare, ours } from "./Goals.ts"
import { growth } from "./Growth.ts"
import { memory } from "./Memory.ts"
import type { Values } from "./Results.ts"
import { together } from "./Runners.ts"
import { broadFanOut, drain, emitting, isolation, latency, live } from "./Scenarios.ts"
import type { Sizes } from "./Sizes.ts"
import { telemetry } from "./Telemetry.ts"
import { transaction } from "./Transaction.ts"

/** A scenario that is measured. */
export interface Measure {
  readonly name: string
  /** The figures that need it. */
  readonly figures: ReadonlyArray<number>
  readonly of: "machine" | "bare" | "ours" | "all" | "peers"
  /** Takes so long that one round has to do, and that only a full run has it. */
  readonly isLong?: boolean
  readonly run: (bench: Bench, entry: Entry, sizes: Sizes) => Promise<Values>
}

const module = (name: string) => Path.join(import.meta.dirname, "systems", `${name}.ts`)

/** Hookline, and what is measured beside it without peers. */
export const hookline: Entry = {
  key: ours,
  name: "Hookline",
  module: module("Hookline"),
  store: "postgres",
  subscribes: true
}
export const posts: Entry = { key: bare, name: "bare signed POSTs", module: module("Bare"), store: "own" }

/** Endpoints that a message has in the scenario of ten. */
const ten = 10

/** Messages a second where latency is measured. */
const perSecond = 100

const hanging = (n: number, of: Measure["of"], options: ReadonlyArray<string> = []): Measure => ({
  name: options.length === 0 ? `isolation-${n}` : `isolation-${n}-${options.join("-")}`,
  figures: [6],
  of,
  run: async (bench, entry, { isolation: size }) => ({
    ...await isolation(bench, entry, { hanging: n, options, ...size })
  })
})

/** In the order in which a round has them. */
export const measures: ReadonlyArray<Measure> = [
  {
    name: "bounds",
    figures: [],
    of: "machine",
    run: (bench, _, { boundSeconds }) => bounds(bench, { seconds: boundSeconds })
  },
  {
    name: "drain",
    figures: [1, 8],
    of: "bare",
    run: async (bench, entry, { drain: count }) => ({ ...await drain(bench, entry, { count }) })
  },
  {
    name: "drain-key-object",
    figures: [],
    of: "bare",
    run: async (bench, entry, { drain: count }) => ({
      ...await drain(bench, entry, { count, options: ["key-object"] })
    })
  },
  {
    name: "drain",
    figures: [1, 8],
    of: "all",
    run: async (bench, entry, { drain: count }) => ({ ...await drain(bench, entry, { count }) })
  },
  {
    name: "live",
    figures: [2, 3, 8],
    of: "all",
    run: async (bench, entry, { live: count }) => ({ ...await live(bench, entry, { count }) })
  },
  {
    name: "spread",
    figures: [3],
    of: "ours",
    run: async (bench, entry, { live: count, spread: events }) => ({ ...await live(bench, entry, { count, events }) })
  },
  {
    name: "ten",
    figures: [4],
    of: "all",
    run: async (bench, entry, { ten: count }) => ({ ...await live(bench, entry, { count, fanOut: ten }) })
  },
  {
    name: "broad",
    figures: [4],
    of: "all",
    run: async (bench, entry, { broad }) => ({ ...await broadFanOut(bench, entry, broad) })
  },
  {
    name: "latency",
    figures: [5],
    of: "all",
    run: async (bench, entry, { latencySeconds: seconds }) => ({
      ...await latency(bench, entry, { perSecond, seconds })
    })
  },
  hanging(0, "ours"),
  hanging(1, "all"),
  hanging(5, "ours"),
  hanging(1, "peers", ["queue-per-endpoint"]),
  {
    name: "emit",
    figures: [7],
    of: "ours",
    run: async (bench, entry, { emit: count }) => ({ perSecond: await emitting(bench, entry, { count }) })
  },
  {
    name: "emit-each",
    figures: [7],
    of: "ours",
    run: async (bench, entry, { emit: count }) => ({
      perSecond: await emitting(bench, entry, { count, options: ["one-commit-each"] })
    })
  },
  {
    name: "transaction",
    figures: [7],
    of: "ours",
    run: async (bench, entry) => ({ ...await transaction(bench, entry) })
  },
  {
    name: "runners-1",
    figures: [11],
    of: "ours",
    run: async (bench, entry, { runners: count }) => ({ ...await together(bench, entry, { count, runners: 1 }) })
  },
  {
    name: "runners-2",
    figures: [11],
    of: "ours",
    run: async (bench, entry, { runners: count }) => ({ ...await together(bench, entry, { count, runners: 2 }) })
  },
  {
    name: "telemetry-off",
    figures: [],
    of: "ours",
    run: async (bench, entry, { live: count }) => ({ ...await live(bench, entry, { count }) })
  },
  ...[["telemetry-default", defaultRatio], ["telemetry-all", 1]].map(([name, share]): Measure => ({
    name: String(name),
    figures: [],
    of: "ours",
    run: async (bench, entry, { live: count }) => ({
      ...await telemetry(bench, entry, { count, share: Number(share) })
    })
  })),
  {
    name: "fresh",
    figures: [9],
    of: "ours",
    isLong: true,
    run: async (bench, entry, { growth: { drain, warm } }) => ({ ...await growth(bench, entry, { drain, warm }) })
  },
  {
    name: "grown",
    figures: [9],
    of: "ours",
    isLong: true,
    run: async (bench, entry, { growth: size }) => ({ ...await growth(bench, entry, size) })
  },
  {
    name: "memory",
    figures: [10],
    of: "ours",
    isLong: true,
    run: async (bench, entry, { memory: size }) => ({ ...await memory(bench, entry, size) })
  }
]

/** What is measured in a round, counted from 0: all, or what the figures need that are wanted. */
export const inRound = (
  round: number,
  { extent, only }: { readonly extent: Extent; readonly only: ReadonlySet<number> | undefined }
): ReadonlyArray<Measure> =>
  measures.filter(({ figures, isLong }) => {
    const isWanted = only === undefined || figures.some((one) => only.has(one))
    return isWanted && (isLong !== true || round === 0 && (extent !== "quick" || only !== undefined))
  })

/** The systems of a measure, begun with another one in each round. */
export const systemsOf = (
  { of }: Measure,
  round: number,
  peers: ReadonlyArray<Entry>
): ReadonlyArray<Entry> => {
  const all = of === "ours" || of === "machine"
    ? [hookline]
    : of === "bare"
    ? [posts]
    : of === "peers"
    ? peers
    : [hookline, ...peers]
  const first = all.length === 0 ? 0 : round % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}
