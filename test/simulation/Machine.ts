/**
 * The simulated machine: processes, one virtual time and the seeded scheduler. Whatever could run next, a fiber of one
 * process or another, the seed picks; where nothing can, time moves on to the next timer. Nothing waits for real, so that
 * one seed is one history.
 */
import { Clock, Context, Duration, Effect, type Exit, Scheduler } from "effect"
import type { Dice } from "./Dice.ts"

type Task = () => void

/** A process that answers a call was gone before it could. */
export class ProcessGone extends Error {
  readonly _tag = "ProcessGone"
}

export class Machine {
  /** Of a day in 2033: ids sort by time, and a time of 0 hides what forgets to set one. */
  nowMs = 2_000_000_000_000
  readonly startMs = this.nowMs
  readonly dice: Dice
  /** How often a process runs another task than the one that waited longest, 0 to 1. */
  readonly disorder: number
  readonly #processes = new Set<Process>()
  readonly #timers: Array<Timer> = []
  #made = 0
  /** Tasks that ran so far. */
  steps = 0

  constructor(dice: Dice, disorder: number) {
    this.dice = dice
    this.disorder = disorder
  }

  /** Starts a process; its fibers run in a context that has `references` too. */
  process(name: string, references: Context.Context<never> = Context.empty()): Process {
    const process = new Process(this, name, references)
    this.#processes.add(process)
    return process
  }

  forget(process: Process): void {
    this.#processes.delete(process)
  }

  /** Runs a task of the world outside at a later time; returns what takes it back. */
  after(ms: number, task: Task): Task {
    const timer: Timer = { atMs: this.nowMs + Math.max(0, ms), n: this.#made++, task }
    push(this.#timers, timer)
    return () => {
      timer.task = undefined
    }
  }

  /** Runs until `done`, or until there is nothing to do or too much time has passed; tells whether it is done. */
  run(done: () => boolean, limitMs: number): boolean {
    const endMs = this.nowMs + limitMs
    while (!done()) {
      if (this.#step()) continue
      if ((this.#timers[0]?.atMs ?? Number.POSITIVE_INFINITY) > endMs) {
        this.nowMs = endMs
        return false
      }
      const timer = pop(this.#timers)
      this.nowMs = timer?.atMs ?? endMs
      timer?.task?.()
    }
    return true
  }

  /** Runs one task of one process. */
  #step(): boolean {
    const ready: Array<Process> = []
    for (const process of this.#processes) if (process.isReady) ready.push(process)
    const process = this.dice.some(ready)
    if (!process) return false
    this.steps++
    process.step()
    return true
  }
}

/** A process of the machine: fibers run in its context, which has the machine's time and scheduler. */
export class Process {
  readonly name: string
  readonly machine: Machine
  readonly context: Context.Context<never>
  state: "running" | "frozen" | "gone" = "running"
  #tasks: Array<Task> = []
  readonly #mourners = new Set<Task>()

  constructor(machine: Machine, name: string, references: Context.Context<never>) {
    this.machine = machine
    this.name = name
    this.context = references.pipe(
      Context.add(Scheduler.Scheduler, this.#scheduler()),
      Context.add(Clock.Clock, this.#clock()),
      Context.add(Running, this)
    )
  }

  get isReady(): boolean {
    return this.state === "running" && this.#tasks.length > 0
  }

  step(): void {
    const { dice, disorder } = this.machine
    const at = this.#tasks.length > 1 && disorder > 0 && dice.chance(disorder) ? dice.below(this.#tasks.length) : 0
    const [task] = at === 0 ? [this.#tasks.shift()] : this.#tasks.splice(at, 1)
    task?.()
  }

  /** Lets a task run when the scheduler picks it; one of a process that is gone never runs. */
  post(task: Task): void {
    if (this.state !== "gone") this.#tasks.push(task)
  }

  /** Lets a task run later; returns what takes it back. */
  after(ms: number, task: Task): Task {
    let taken = false
    const cancel = this.machine.after(ms, () =>
      this.post(() => {
        if (!taken) task()
      }))
    return () => {
      taken = true
      cancel()
    }
  }

  /** Runs an effect as a fiber of this process; `end` is told how it ended, if ever. */
  run<A, E>(effect: Effect.Effect<A, E>, end: (exit: Exit.Exit<A, E>) => void = () => {}): void {
    this.post(() => Effect.runForkWith(this.context)(effect).addObserver(end))
  }

  /** As after SIGKILL: nothing of it runs any more, not even what cleans up. */
  kill(): void {
    if (this.state === "gone") return
    this.state = "gone"
    this.#tasks = []
    this.machine.forget(this)
    for (const mourner of this.#mourners) mourner()
    this.#mourners.clear()
  }

  /** As after SIGSTOP: nothing of it runs, time passes. */
  freeze(): void {
    if (this.state === "running") this.state = "frozen"
  }

  thaw(): void {
    if (this.state === "frozen") this.state = "running"
  }

  /** Runs a task when the process is killed; returns what takes it back. */
  mourn(task: Task): Task {
    this.#mourners.add(task)
    return () => this.#mourners.delete(task)
  }

  #scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => this.post(task),
      flush: () => {}
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
      makeDispatcher: () => dispatcher
    }
  }

  #clock(): Clock.Clock {
    const millis = () => this.machine.nowMs
    const nanos = () => BigInt(Math.round(this.machine.nowMs * 1000)) * 1000n
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) => {
        const ms = Duration.toMillis(duration)
        if (ms <= 0) return Effect.yieldNow
        if (!Number.isFinite(ms)) return Effect.never
        return Effect.callback<void>((resume) => {
          // Timers are never early and often late.
          const cancel = this.after(ms + this.machine.dice.below(3), () => resume(Effect.void))
          return Effect.sync(cancel)
        })
      }
    }
  }
}

/** The process that a fiber runs in. */
export const Running = Context.Reference<Process | undefined>("hookline/simulation/Running", {
  defaultValue: () => undefined
})

/** Runs an effect in another process and waits for how it ends there. */
export const call = <A, E>(process: Process, effect: Effect.Effect<A, E>): Effect.Effect<A, E | ProcessGone> =>
  Effect.flatMap(Running, (caller) =>
    Effect.callback<A, E | ProcessGone>((resume) => {
      const answer = (exit: Effect.Effect<A, E | ProcessGone>) => {
        forget()
        if (caller) caller.post(() => resume(exit))
        else resume(exit)
      }
      const gone = () => answer(Effect.fail(new ProcessGone(process.name)))
      const forget = process.mourn(gone)
      if (process.state === "gone") return gone()
      process.run(effect, answer)
    }))

// --- internal ---

interface Timer {
  readonly atMs: number
  readonly n: number
  task: Task | undefined
}

const isBefore = (a: Timer, b: Timer) => a.atMs < b.atMs || (a.atMs === b.atMs && a.n < b.n)

/** Puts a timer into a heap. */
const push = (heap: Array<Timer>, timer: Timer): void => {
  let at = heap.length
  heap.push(timer)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up]
    if (!parent || isBefore(parent, timer)) break
    heap[at] = parent
    at = up
  }
  heap[at] = timer
}

/** Takes the first timer out of a heap. */
const pop = (heap: Array<Timer>): Timer | undefined => {
  const first = heap[0]
  const last = heap.pop()
  if (!last || heap.length === 0) return first
  let at = 0
  while (true) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
    const child = right && left && isBefore(right, left) ? right : left
    if (!child || isBefore(last, child)) break
    heap[at] = child
    at = child === left ? 2 * at + 1 : 2 * at + 2
  }
  heap[at] = last
  return first
}
