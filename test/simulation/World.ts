/**
 * The world of one run: the database, the runners on it, their cluster, the receivers and the clients, all of one seed.
 */
import { ownGroup } from "../../src/Subscription.ts"
import { Assignments } from "./Assignments.ts"
import * as Database from "./Database.ts"
import * as Dice from "./Dice.ts"
import { type Entry, History } from "./History.ts"
import { Machine } from "./Machine.ts"
import type { Network } from "./Member.ts"
import type { Mutant } from "./Mutant.ts"
import * as Plan from "./Plan.ts"
import { Receivers } from "./Receivers.ts"
import * as Runner from "./Runner.ts"
import * as Shop from "./Shop.ts"
import type { Weather } from "./Wire.ts"
import { type Open, Workload } from "./Workload.ts"

export class World {
  readonly plan: Plan.Plan
  readonly machine: Machine
  readonly history: History
  readonly dice: Dice.Dice
  readonly database: Database.Database
  readonly weather: Weather
  readonly assignments: Assignments
  readonly receivers: Receivers
  readonly workload: Workload
  readonly network: Network
  readonly runners = new Map<string, Runner.Runner>()
  readonly #surroundings: Runner.Surroundings
  #started = 0

  constructor(seed: number, mutant: Mutant) {
    const dice = Dice.make(`simulation ${seed}`)
    const plan = Plan.draw(dice.of("plan"))
    const machine = new Machine(dice.of("scheduler"), plan.disorder)
    const history = new History(machine)
    this.plan = plan
    this.machine = machine
    this.history = history
    this.dice = dice.of("nemesis")
    this.database = Database.open(machine, history, mutant)
    this.weather = { ...plan, outageUntilMs: 0, cutOffUntilMs: new Map() }
    this.assignments = new Assignments(machine, history, Shop.groups)
    this.network = { hintsLost: plan.hintsLost, members: new Map() }
    this.receivers = new Receivers(machine, history, dice.of("receivers"), plan.manners, (runner) => this.kill(runner))
    for (let n = 0; n < plan.poison; n++) this.receivers.lethal.add(dice.below(plan.messages))
    this.workload = new Workload({
      process: machine.process("clients"),
      history,
      database: this.database,
      dice: dice.of("workload"),
      plan,
      runner: () => this.#open()
    })
    // Subscriptions may be worker groups of their own, and events be shared out to several.
    history.listen((entry) => {
      for (const group of groupsOf(entry)) {
        if (!this.assignments.add(group)) continue
        const runner = this.dice.some([...this.runners.keys()])
        if (runner !== undefined) this.assignments.assign(group, runner)
      }
    })
    this.#surroundings = { ...this, dice: dice.of("runners"), limits: plan.limits, mutant }
  }

  /** Starts a runner, which gets a share of the groups. */
  start(): void {
    const name = `r${++this.#started}`
    this.runners.set(name, Runner.start(this.#surroundings, name))
    for (const group of this.assignments.groups) {
      if (this.assignments.holder(group) === undefined || this.dice.below(this.runners.size) === 0) {
        this.assignments.move(group, name)
      }
    }
  }

  kill(name: string): void {
    const runner = this.runners.get(name)
    if (!runner || runner.process.state === "gone") return
    runner.process.kill()
    this.history.add({ _tag: "Runner", runner: name, what: "killed" })
    this.#gone(name, 1000 + this.dice.below(3000))
  }

  freeze(name: string, forMs: number, isNoticed = true): void {
    const { process } = this.runners.get(name) ?? {}
    if (process?.state !== "running") return
    process.freeze()
    this.history.add({ _tag: "Runner", runner: name, what: "frozen" })
    // After its locks have run out the cluster gives its groups to others; it learns of that some time after it goes on.
    this.assignments.replace(
      name,
      () => isNoticed && process.state === "frozen" ? [...this.runners.keys()] : [],
      this.plan.failOverMs
    )
    this.machine.after(forMs, () => {
      if (process.state !== "frozen") return
      process.thaw()
      this.history.add({ _tag: "Runner", runner: name, what: "thawed" })
    })
  }

  /** Takes the database away from one runner, or from all; to the cluster it is as alive as before. */
  cutOff(name: string | undefined, forMs: number): void {
    const untilMs = this.machine.nowMs + forMs
    if (name === undefined) this.weather.outageUntilMs = untilMs
    else this.weather.cutOffUntilMs.set(name, untilMs)
    this.history.add({ _tag: "Fault", what: `${name ?? "everybody"} is cut off from the database for ${forMs} ms` })
  }

  /** Stops a runner as a deployment does: another one takes its place. */
  stop(name: string): void {
    const runner = this.runners.get(name)
    if (runner?.process.state !== "running" || !runner.services()) return
    this.runners.delete(name)
    this.network.members.delete(name)
    this.start()
    const names = [...this.runners.keys()]
    for (const [n, group] of this.assignments.groups.entries()) {
      const next = names[n % names.length]
      if (this.assignments.holder(group) === name && next !== undefined) this.assignments.move(group, next)
    }
    runner.stop(() => {
      for (const group of this.assignments.groups) this.assignments.released(group, name)
    })
  }

  /** Gives groups that nobody holds to somebody. */
  assignOrphans(): void {
    if (this.runners.size === 0) this.start()
    const names = [...this.runners.keys()]
    for (const [n, group] of this.assignments.groups.entries()) {
      const next = names[n % names.length]
      if (next !== undefined && !this.runners.has(this.assignments.holder(group) ?? "")) {
        this.assignments.assign(group, next)
      }
    }
  }

  #gone(name: string, afterMs: number): void {
    this.runners.delete(name)
    this.network.members.delete(name)
    this.machine.after(this.dice.below(2000), () => {
      if (this.runners.size < this.plan.runners) this.start()
    })
    this.assignments.replace(name, () => [...this.runners.keys()], afterMs)
    this.machine.after(afterMs + 3000, () => this.assignOrphans())
  }

  #open(): Open | undefined {
    const open = [...this.runners.values()].flatMap(({ process, services }) => {
      const found = services()
      return found ? [{ process, services: found }] : []
    })
    return this.dice.some(open)
  }
}

// --- internal ---

/** The worker groups that there may be from an event of the history on. */
const groupsOf = (entry: Entry): ReadonlyArray<string> => {
  switch (entry._tag) {
    case "Saved": {
      const group = entry.deleted ? undefined : ownGroup(entry.subscription)
      return group === undefined ? [] : [group]
    }
    case "Partitioned":
      return Array.from({ length: entry.count }, (_, n) => `integration.${entry.eventId}#${n}.${entry.count}`)
    default:
      return []
  }
}
