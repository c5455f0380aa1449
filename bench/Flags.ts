/**
 * What the command line asks for: pure.
 */
import { parseArgs } from "node:util"

/** How much is measured. */
export type Extent = "moment" | "quick" | "full"

/** The flags, read. */
export interface Flags {
  readonly extent: Extent
  readonly peers: boolean
  readonly json: boolean
  readonly rounds: number | undefined
  /** The figures that are wanted; all where it is not said. */
  readonly only: ReadonlySet<number> | undefined
  /** A folder for CPU profiles of the systems. */
  readonly profile: string | undefined
  readonly help: boolean
}

/** A flag that nobody understands. */
export class WrongFlag extends Error {}

/** How many figures there are. */
export const figures = 11

/** What the flags are. */
export const usage = `npm run bench -- [flags]

  --quick           less of each, without figures 9 and 10 unless --only names them
  --moment          next to nothing of each, without peers: whether everything runs
  --peers           installs the peers and measures them too
  --json            JSON lines to stdout, the figures last; the report for people to stderr
  --rounds N        how often each scenario is measured; the medians count
  --only 1,3        these figures only, 1 to ${figures}
  --profile FOLDER  writes CPU profiles of the systems there; what is measured then costs more
  --help            shows this`

/** Reads the flags, or throws what is wrong with them. */
export const parse = (args: ReadonlyArray<string>): Flags => {
  const values = read(args)
  if (values.moment && values.quick) throw new WrongFlag("--quick and --moment exclude each other")
  if (values.moment && values.peers) throw new WrongFlag("--moment is without peers")
  return {
    extent: values.moment ? "moment" : values.quick ? "quick" : "full",
    peers: values.peers,
    json: values.json,
    rounds: values.rounds === undefined ? undefined : whole("--rounds", values.rounds, 1000),
    only: values.only === undefined
      ? undefined
      : new Set(values.only.split(",").map((one) => whole("--only", one.trim(), figures))),
    profile: values.profile,
    help: values.help
  }
}

const read = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean", default: false },
        moment: { type: "boolean", default: false },
        peers: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        rounds: { type: "string" },
        only: { type: "string" },
        profile: { type: "string" },
        help: { type: "boolean", default: false }
      }
    }).values
  } catch (error) {
    throw new WrongFlag(error instanceof Error ? error.message : String(error))
  }
}

const whole = (flag: string, text: string, most: number): number => {
  const found = /^\d+$/u.test(text) ? Number(text) : 0
  if (found < 1 || found > most) throw new WrongFlag(`${flag} takes whole numbers from 1 to ${most}, not "${text}"`)
  return found
}
