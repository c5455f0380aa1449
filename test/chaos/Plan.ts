/**
 * The plan, pure: which faults come when, from a seed. Kinds come in fixed shares, so that a run of some minutes has as many
 * of each as it promises, in an order and with particulars that the seed decides. Each fault has a time in which the next one
 * does not come: a fail-over has to be over to be measured.
 */
import * as Dice from "./Dice.ts"
import { eventIds, hotEvent, partitionCounts } from "./Events.ts"

/** `who` is a share: the place of the one that it meets among those that can be met. */
export type Fault =
  /** SIGKILL, and a restart. */
  | { readonly _tag: "Kill"; readonly who: number; readonly downMs: number }
  /** SIGSTOP, and SIGCONT: past the lease, mostly, and sometimes past the locks' expiry. */
  | { readonly _tag: "Freeze"; readonly who: number; readonly forMs: number }
  /** SIGTERM, and a restart. */
  | { readonly _tag: "Stop"; readonly who: number; readonly downMs: number }
  /** The database's server is ended hard, and started again. */
  | { readonly _tag: "Restart"; readonly signal: "SIGQUIT" | "SIGKILL"; readonly downMs: number }
  /** A runner and the database hear nothing of each other. */
  | { readonly _tag: "Cut"; readonly who: number; readonly how: Cut; readonly forMs: number }
  /** Some of the runners' sessions are ended by the server. */
  | { readonly _tag: "EndSessions"; readonly share: number }
  /** The messages of an event are shared out to so many dispatchers from now on. */
  | { readonly _tag: "Partition"; readonly eventId: string; readonly count: number }

/**
 * `refused`: connections are reset, and new ones too. `cut`: those there are are reset, new ones are made. `silent`: nothing is
 * heard any more, and when it is over what was sent meanwhile arrives. `forgotten`: as `silent`, but then they are reset.
 */
export type Cut = "refused" | "cut" | "silent" | "forgotten"

export interface Step {
  readonly atMs: number
  readonly fault: Fault
  /** Comes while the other one lasts. */
  readonly beside: { readonly afterMs: number; readonly fault: Fault } | undefined
}

const shares = {
  Kill: 0.5,
  Freeze: 0.15,
  Restart: 0.08,
  Cut: 0.14,
  Stop: 0.07,
  EndSessions: 0.06,
  Partition: 0.16
} as const

type Kind = keyof typeof shares

const kinds: ReadonlyArray<Kind> = ["Kill", "Freeze", "Restart", "Cut", "Stop", "EndSessions", "Partition"]

/** The faults of so many minutes. */
export const make = (seed: number, minutes: number): ReadonlyArray<Step> => {
  const dice = Dice.make(seed)
  const counts = { Kill: 0, Freeze: 0, Restart: 0, Cut: 0, Stop: 0, EndSessions: 0, Partition: 0 }
  const steps: Array<Step> = []
  let atMs = 2000
  while (atMs + 8000 <= minutes * 60_000) {
    // Whichever is most behind its share, with some play.
    const behind = kinds.map((kind) => ({
      kind,
      by: shares[kind] * (steps.length + 1) - counts[kind] + dice.next() * 0.5
    }))
    const { kind } = behind.reduce((a, b) => a.by >= b.by ? a : b)
    counts[kind]++
    const drawn = faultOf(kind, dice)
    const isLong = drawn._tag === "Restart" && counts.Restart === 1 && minutes >= 10
    const fault = isLong ? { ...drawn, downMs: longAwayMs } : drawn
    steps.push({ atMs, fault, beside: besideOf(kind, dice) })
    atMs += lasting(fault)
  }
  return steps
}

/** When the receivers that die are dead, and for how long. */
export interface Death {
  readonly atMs: number
  readonly forMs: number
}

/**
 * The receivers' deaths in so many minutes. Each lasts beyond the circuit's first probe, more often than not, so that it opens
 * for longer a second time; by the next one, and by the end of the time that a run takes to settle, it is closed again. Where
 * three runners open it at once, each counts, so its second time may be eight times the first one's five seconds.
 */
export const deaths = (seed: number, minutes: number): ReadonlyArray<Death> => {
  const dice = Dice.make(seed + 2000)
  const found: Array<Death> = []
  for (let atMs = 12_000; atMs + 30_000 <= minutes * 60_000; atMs += 60_000) {
    found.push({ atMs: atMs + dice.between(0, 4000), forMs: dice.between(5000, 9000) })
  }
  return found
}

// --- internal ---

/** The database's first restart takes this long in a long run. */
const longAwayMs = 60_000

const cuts = ["refused", "cut", "silent", "forgotten"] as const

const faultOf = (kind: Kind, dice: Dice.Dice): Fault => {
  const who = dice.next()
  switch (kind) {
    case "Kill":
      return { _tag: kind, who, downMs: dice.between(500, 6000) }
    case "Freeze":
      return { _tag: kind, who, forMs: dice.between(2000, 8000) }
    case "Stop":
      return { _tag: kind, who, downMs: dice.between(200, 2000) }
    case "Restart":
      return { _tag: kind, signal: dice.chance(0.5) ? "SIGQUIT" : "SIGKILL", downMs: dice.between(0, 3000) }
    case "Cut":
      return { _tag: kind, who, how: dice.one(cuts) ?? "cut", forMs: dice.between(1000, 10_000) }
    case "EndSessions":
      return { _tag: kind, share: dice.next() }
    case "Partition":
      return {
        _tag: kind,
        eventId: dice.chance(0.7) ? hotEvent : dice.one(eventIds) ?? hotEvent,
        count: dice.one(partitionCounts) ?? 1
      }
  }
}

/** A kill stands alone, to be measured. */
const besideOf = (kind: Kind, dice: Dice.Dice): Step["beside"] => {
  const wanted = dice.chance(0.4)
  const afterMs = dice.between(200, 2500)
  const fault = faultOf(dice.one(["EndSessions", "Cut", "Freeze", "Stop", "Partition"] as const) ?? "Cut", dice)
  return wanted && kind !== "Kill" ? { afterMs, fault } : undefined
}

/** How long until the next one. */
const lasting = (fault: Fault): number => {
  switch (fault._tag) {
    case "Kill":
      return Math.max(7000, fault.downMs + 2500)
    case "Freeze":
    case "Cut":
      return fault.forMs + 3000
    case "Restart":
      return fault.downMs + 5000
    case "Stop":
      return fault.downMs + 4000
    case "EndSessions":
      return 3000
    // What comes next meets an event whose messages are in groups of both kinds.
    case "Partition":
      return 1000
  }
}
