/**
 * The nemesis: kills, freezes, stops and restarts runners, moves and doubles their groups and takes the database away, at
 * times that the seed draws or right after a step of the production code.
 */
import type { Entry } from "./History.ts"
import { when } from "./Plan.ts"
import type { World } from "./World.ts"

/** Steps after which a trap may close. */
const steps = [
  "TookOver",
  "Read",
  "Renewed",
  "Routed",
  "Claimed",
  "Released",
  "Recorded",
  "Begun",
  "Received",
  "Ended",
  "GaveBack"
] as const

export class Nemesis {
  readonly #world: World
  #isOver = false

  constructor(world: World) {
    this.#world = world
  }

  begin(): void {
    const { assignments, dice, plan } = this.#world
    const sometime = (count: number, act: () => void) => {
      for (let n = 0; n < count; n++) this.#at(when(plan, dice, 1000), act)
    }
    sometime(plan.kills, () => this.#strike(this.#any(), "kill"))
    sometime(plan.freezes, () => this.#strike(this.#any(), "freeze"))
    sometime(plan.stops, () => this.#stop(this.#any()))
    sometime(plan.moves, () => this.#assign((group, to) => assignments.move(group, to)))
    sometime(plan.doubles, () => this.#assign((group, to) => assignments.assign(group, to, dice.below(4000))))
    sometime(plan.outages, () => this.#world.cutOff(undefined, dice.below(3500)))
    sometime(plan.cuts, () => this.#world.cutOff(this.#any(), 500 + dice.below(6000)))
    for (let n = 0; n < plan.traps; n++) this.#trap(dice.pick(steps), (runner) => this.#strike(runner, this.#how()))
    for (let n = 0; n < plan.ambushes; n++) this.#ambush()
  }

  /** From here on everything goes well. */
  end(): void {
    const { history, machine, network, receivers, runners, weather } = this.#world
    this.#isOver = true
    Object.assign(weather, { unavailable: 0, lost: 0, slow: 0, usualMs: 3, outageUntilMs: 0 })
    weather.cutOffUntilMs.clear()
    network.hintsLost = 0
    receivers.isGood = true
    receivers.lethal.clear()
    for (const [name, runner] of runners) {
      if (runner.process.state !== "frozen") continue
      runner.process.thaw()
      history.add({ _tag: "Runner", runner: name, what: "thawed" })
    }
    const settle = () => {
      this.#world.assignOrphans()
      machine.after(1000, settle)
    }
    settle()
  }

  #at(ms: number, act: () => void): void {
    this.#world.machine.after(ms, () => {
      if (!this.#isOver) act()
    })
  }

  #any(): string | undefined {
    const { dice, runners } = this.#world
    return dice.some([...runners.keys()])
  }

  #strike(name: string | undefined, how: "kill" | "freeze"): void {
    const { dice } = this.#world
    if (name === undefined) return
    if (how === "kill") this.#world.kill(name)
    else this.#world.freeze(name, 100 + dice.below(9000))
  }

  #stop(name: string | undefined): void {
    if (name !== undefined) this.#world.stop(name)
  }

  #assign(assign: (group: string, to: string) => void): void {
    const { assignments, dice } = this.#world
    const to = this.#any()
    const group = dice.some(assignments.groups)
    if (to !== undefined && group !== undefined) assign(group, to)
  }

  #how(): "kill" | "freeze" {
    return this.#world.dice.chance(0.5) ? "kill" : "freeze"
  }

  /** Sets a trap: after some step, its runner is struck before it makes the next one. */
  #trap(
    step: Entry["_tag"],
    strike: (runner: string | undefined, entry: Entry) => void,
    counts: (entry: Entry) => boolean = () => true
  ): void {
    const { dice, history } = this.#world
    let left = 1 + dice.below(10)
    history.listen((entry) => {
      if (!this.#isOver && entry._tag === step && counts(entry) && --left === 0) strike(runnerOf(entry), entry)
    })
  }

  /** Freezes a runner that has just claimed something, and changes the subscription while it can't hear of it. */
  #ambush(): void {
    const { dice, machine, workload } = this.#world
    // A work queue's is nobody's to change.
    const isChangeable = (entry: Entry) =>
      entry._tag === "Claimed" && workload.known.some(({ id }) => id === entry.claim.claimed.subscriptionId)
    this.#trap("Claimed", (runner, entry) => {
      if (runner === undefined || entry._tag !== "Claimed") return
      // So short that the cluster does not notice, or not.
      this.#world.freeze(runner, 3200 + dice.below(4000), dice.chance(0.5))
      machine.after(dice.below(200), () => workload.change(entry.claim.claimed.subscriptionId))
    }, isChangeable)
  }
}

// --- internal ---

const runnerOf = (entry: Entry): string | undefined =>
  entry._tag === "Claimed" ? entry.claim.runner : "runner" in entry ? entry.runner : undefined
