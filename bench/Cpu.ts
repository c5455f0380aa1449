/**
 * CPU time and memory of other processes, from `/proc`.
 */
import * as Fs from "node:fs"

/** Clock ticks are a hundredth of a second on every Linux. */
const tickMs = 10

interface Stat {
  readonly parent: number
  /** Of the process, in ticks. */
  readonly own: number
  /** And of children that have ended and were waited for. */
  readonly ended: number
}

const stat = (pid: number): Stat | undefined => {
  try {
    const text = Fs.readFileSync(`/proc/${pid}/stat`, "latin1")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number)
    const at = (n: number) => fields[n - 3] ?? 0
    return { parent: at(4), own: at(14) + at(15), ended: at(16) + at(17) }
  } catch {
    return undefined
  }
}

/** CPU time of a process and all that come of it, alive or ended, in milliseconds. */
export const tree = (root: number): number => {
  const all = new Map<number, Stat>()
  for (const name of Fs.readdirSync("/proc")) {
    const pid = Number(name)
    const found = Number.isInteger(pid) ? stat(pid) : undefined
    if (found) all.set(pid, found)
  }
  const isOf = (pid: number): boolean => {
    if (pid === root) return true
    const parent = all.get(pid)?.parent
    return parent !== undefined && parent > 1 && isOf(parent)
  }
  let ticks = 0
  for (const [pid, { ended, own }] of all) if (isOf(pid)) ticks += own + ended
  return ticks * tickMs
}

const status = (pid: number, name: "VmRSS" | "VmHWM"): number => {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, "mu").exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  return Number(found?.[1] ?? 0) * 1024
}

/** Resident memory of a process, in bytes. */
export const resident = (pid: number): number => status(pid, "VmRSS")

/** The most that a process ever had resident, in bytes. */
export const mostResident = (pid: number): number => status(pid, "VmHWM")
