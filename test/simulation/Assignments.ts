/**
 * Who the cluster says owns which worker group. It may be wrong, as a real one after a freeze: more than one runner may
 * believe that a group is its own.
 */
import type { History } from "./History.ts"
import type { Machine } from "./Machine.ts"

/** What an entity gets to end: the drain, and what follows it. */
const letGoMs = 8000

export class Assignments {
  readonly groups: Array<string>
  readonly #machine: Machine
  readonly #history: History
  readonly #holders = new Map<string, string>()
  readonly #believers = new Map<string, Set<string>>()
  /** Who gets a group when its holder has let go of it. */
  readonly #heirs = new Map<string, string>()

  constructor(machine: Machine, history: History, groups: ReadonlyArray<string>) {
    this.#machine = machine
    this.#history = history
    this.groups = [...groups]
  }

  /** A group that there was not before; whether it is new. */
  add(group: string): boolean {
    const isNew = !this.groups.includes(group)
    if (isNew) this.groups.push(group)
    return isNew
  }

  holder(group: string): string | undefined {
    return this.#holders.get(group)
  }

  /** Whether a runner believes that it owns a group. */
  believes(runner: string, group: string): boolean {
    return this.#believers.get(group)?.has(runner) ?? false
  }

  /** Assigns a group by force; those before learn of it after `overlapMs`. */
  assign(group: string, runner: string, overlapMs = 0): void {
    const before = [...this.#believers.get(group) ?? []]
    this.#holders.set(group, runner)
    this.#believers.set(group, new Set([...before, runner]))
    this.#heirs.delete(group)
    const forget = () => {
      const believers = this.#believers.get(group)
      for (const other of before) if (other !== this.#holders.get(group)) believers?.delete(other)
    }
    if (overlapMs > 0) this.#machine.after(overlapMs, forget)
    else forget()
    this.#note(group)
  }

  /** Moves a group as a cluster does: the next one gets it when this one has let go of it, or has had its time. */
  move(group: string, runner: string): void {
    const holder = this.#holders.get(group)
    if (holder === undefined || holder === runner) return this.assign(group, runner)
    this.#believers.set(group, new Set())
    this.#heirs.set(group, runner)
    this.#note(group)
    this.#machine.after(letGoMs, () => {
      if (this.#heirs.get(group) === runner) this.assign(group, runner)
    })
  }

  /** A runner tells that it has let go of a group. */
  released(group: string, runner: string): void {
    const heir = this.#heirs.get(group)
    if (heir !== undefined && this.#holders.get(group) === runner) this.assign(group, heir)
  }

  #note(group: string): void {
    this.#history.add({ _tag: "Assigned", group, runners: [...this.#believers.get(group) ?? []] })
  }

  /** Lets go of a runner that is no more, as soon as the cluster notices. */
  replace(runner: string, others: () => ReadonlyArray<string>, afterMs: number): void {
    this.#machine.after(afterMs, () => {
      const candidates = others().filter((other) => other !== runner)
      for (const [n, group] of this.groups.entries()) {
        const next = candidates[n % candidates.length]
        if (this.#holders.get(group) === runner && next !== undefined) this.assign(group, next, 4000)
      }
    })
  }
}
