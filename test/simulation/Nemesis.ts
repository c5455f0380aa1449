/**
 * The nemesis: kills, freezes, stops and restarts runners, moves and doubles their groups and takes the database away, at
 * times that the seed draws or right after a step of the production code.
 */
import type { Entry } from "./History.ts"
import type { World } from "./World.ts"

/** Steps after which a trap may close. */
const steps = [
  "TookOver",
  "Renewed",
  "Routed",
  "Claimed",
  "Released",
  "Recorded",
  "Begun",
  "Received",
  "Ended",
  "GaveBack"
]

export class Nemesis {
  readonly #world: World
  #isOver = false

  constructor(world: World) {
    this.#world = world
  }

  begin(): void {
    const { dice, plan } = this.#world
    const sometime = (count: number, act: () => void) => {
      for (let n = 0; n < count; n++) this.#at(dice.below(plan.spanMs), act)
    }
    sometime(plan.kills, () => this.#strike(this.#any(), "kill"))
    sometime(plan.freezes, () => this.#strike(this.#any(), "freeze"))
    sometime(plan.stops, () => this.#stop(this.#any()))
    sometime(plan.moves, () => this.#move(0))
    sometime(plan.doubles, () => this.#move(dice.below(4000)))
    sometime(plan.outages, () => this.#outage(dice.below(3500)))
    for (let n = 0; n < plan.traps; n++) this.#set()
  }

  /** From here on everything goes well. */
  end(): void {
    const { history, machine, network, receivers, runners, weather } = this.#world
    this.#isOver = true
    Object.assign(weather, { unavailable: 0, lost: 0, slow: 0, usualMs: 3, outageUntilMs: 0 })
    network.hintsLost = 0
    receivers.isGood = true
    receivers.lethal.clear()
    for (const [name, runner] of runners) {
      if (runner.process.state !== "frozen") continue
      runner.process.thaw()
      history.add({ _tag: "Runner", runner: name, what: "thawed" })
    }
    machine.after(0, () => this.#world.assignOrphans())
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
    else this.#world.freeze(name, 100 + dice.below(7000))
  }

  #stop(name: string | undefined): void {
    if (name !== undefined) this.#world.stop(name)
  }

  #move(overlapMs: number): void {
    const { assignments, dice } = this.#world
    const to = this.#any()
    const group = dice.some(assignments.groups)
    if (to !== undefined && group !== undefined) assignments.assign(group, to, overlapMs)
  }

  #outage(forMs: number): void {
    const { history, machine, weather } = this.#world
    weather.outageUntilMs = machine.nowMs + forMs
    history.add({ _tag: "Fault", what: `the database is away for ${forMs} ms` })
  }

  /** Sets a trap: after some step, the runner that made it is struck before it makes the next one. */
  #set(): void {
    const { dice, history } = this.#world
    const step = dice.some(steps)
    const how = dice.chance(0.5) ? "kill" : "freeze"
    let left = 1 + dice.below(10)
    history.listen((entry) => {
      if (this.#isOver || entry._tag !== step || --left !== 0) return
      this.#strike(runnerOf(entry), how)
    })
  }
}

// --- internal ---

const runnerOf = (entry: Entry): string | undefined =>
  entry._tag === "Claimed" ? entry.claim.runner : "runner" in entry ? entry.runner : undefined
