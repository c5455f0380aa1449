/**
 * Where and on what it is measured.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Bench } from "./Bench.ts"

/** The machine, the versions and the command, by their names. */
export type Machine = Readonly<Record<string, string>>

const gb = 1024 ** 3

const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  try {
    return git("rev-parse", "--short=12", "HEAD") + (git("status", "--porcelain") === "" ? "" : ", with changes")
  } catch {
    return "unknown"
  }
}

const version = (name: string): string => {
  try {
    const file = Path.join(import.meta.dirname, "..", "node_modules", name, "package.json")
    const read: { readonly version: string } = JSON.parse(Fs.readFileSync(file, "utf8"))
    return read.version
  } catch {
    return "unknown"
  }
}

/** Describes it, with the versions of the peers where these are measured. */
export const machine = async (
  bench: Bench,
  args: ReadonlyArray<string>,
  peers: Readonly<Record<string, string>>
): Promise<Machine> => {
  const [server] = await bench.sql("show server_version")
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC",
    command: ["npm run bench", ...args.length === 0 ? [] : ["--", ...args]].join(" "),
    commit: commit(),
    cpu: `${Os.cpus()[0]?.model.trim() ?? "unknown"}, ${Os.availableParallelism()} cores`,
    memory: `${(Os.totalmem() / gb).toFixed(1)} GB`,
    kernel: `${Os.type()} ${Os.release()} ${Os.arch()}`,
    node: process.versions.node,
    postgresql: `${String(server?.["server_version"])}, with its defaults`,
    effect: version("effect"),
    undici: version("undici"),
    ...peers
  }
}
