/**
 * The plan of one run: what its seed makes of it. Each kind of trouble is there in some seeds and left out in others, so that
 * none hides another, and how much there is differs as well.
 */
import { defaults, type Limits } from "../../src/Limits.ts"
import type { Dice } from "./Dice.ts"
import type { Manners } from "./Receivers.ts"

export interface Plan {
  readonly runners: number
  readonly disorder: number
  /** How long messages flow and things go wrong. */
  readonly spanMs: number
  readonly messages: number
  /** When much happens at once, and the share of all that happens then. */
  readonly moments: ReadonlyArray<number>
  readonly bursts: number
  readonly subscriptions: number
  /** The share of them that are ordered or limited. */
  readonly limited: number
  /** Changes of subscriptions on the way. */
  readonly changes: number
  readonly retries: number
  /** Times at which an event gets another number of dispatcher partitions. */
  readonly partitionings: number
  /** Shares of the emits. */
  readonly keyed: number
  /** Of those that are delivered later, and of those that expire. */
  readonly timed: number
  readonly inTransaction: number
  readonly rolledBack: number
  readonly poison: number
  /** Counts of what happens to runners. */
  readonly kills: number
  readonly freezes: number
  readonly stops: number
  readonly moves: number
  readonly doubles: number
  /** Runners that are killed or frozen right after a statement or an attempt. */
  readonly traps: number
  /** Runners that are frozen right after a claim, while its subscription is changed. */
  readonly ambushes: number
  /** Times at which the database is away, from all or from one runner. */
  readonly outages: number
  readonly cuts: number
  /** How long after a runner was frozen the cluster gives its groups to others. */
  readonly failOverMs: number
  readonly unavailable: number
  readonly lost: number
  readonly slow: number
  readonly slowMs: number
  readonly usualMs: number
  readonly hintsLost: number
  readonly manners: Manners
  readonly limits: Limits
}

/** Limits so small that a few messages reach them; what looks for lost work looks more often. */
const small: Partial<Limits> = {
  routeMessages: 5,
  expressMs: 200,
  expressDeliveries: 4,
  routeDeliveries: 12,
  claimDeliveries: 8,
  claimLanes: 3,
  recordOutcomes: 4,
  slots: 8,
  firstSlots: 2,
  laneSlots: 4,
  laneWindow: 8,
  window: 16,
  broadcastMessages: 3
}

/** Circuits that open and subscriptions that are told as failing within the seconds of a run. */
const frail: Partial<Limits> = {
  circuitFailures: 3,
  circuitFailingMs: 50,
  circuitSampleAttempts: 10,
  circuitOpenMs: 200,
  circuitOpenCapMs: 2000,
  failingWarnMs: 1000,
  failingDisableMs: 4000
}

export const draw = (dice: Dice): Plan => dice.chance(0.25) ? calmed(troubled(dice)) : troubled(dice)

const troubled = (dice: Dice): Plan => {
  const spanMs = dice.between(4000, 14_000)
  const sometimes = <A>(share: number, value: () => A, otherwise: A): A => dice.chance(share) ? value() : otherwise
  const count = (most: number) => sometimes(0.5, () => dice.between(1, most), 0)
  const share = (most: number) => sometimes(0.5, () => dice.random.nextDoubleUnsafe() * most, 0)
  return {
    runners: dice.between(1, 3),
    disorder: dice.pick([0, 0.1, 1]),
    spanMs,
    messages: dice.pick([10, 20, 40, 80, 80]),
    moments: Array.from({ length: dice.between(1, 3) }, () => dice.below(spanMs - 2000)),
    bursts: share(1),
    subscriptions: dice.between(1, 4),
    limited: share(1),
    changes: count(10),
    retries: count(4),
    partitionings: sometimes(0.3, () => dice.between(1, 4), 0),
    keyed: share(0.5),
    timed: share(0.3),
    inTransaction: share(0.5),
    rolledBack: share(0.3),
    poison: sometimes(0.2, () => 1, 0),
    kills: count(2),
    freezes: count(2),
    stops: count(2),
    moves: count(5),
    doubles: count(3),
    traps: count(3),
    ambushes: sometimes(0.6, () => dice.between(1, 3), 0),
    outages: count(2),
    cuts: count(2),
    failOverMs: dice.pick([2500, 3500, 12_000]),
    unavailable: share(0.15),
    lost: share(0.15),
    slow: share(0.1),
    slowMs: dice.pick([500, 3000, 12_000]),
    usualMs: dice.pick([1, 5, 30]),
    hintsLost: share(1),
    manners: {
      retryable: share(0.5),
      permanent: share(0.1),
      gone: sometimes(0.2, () => 0.03, 0),
      answerLost: share(0.2),
      hangs: share(0.3),
      usualMs: dice.pick([5, 50, 300]),
      slow: share(0.2)
    },
    limits: {
      ...defaults,
      ...sometimes(0.6, () => small, {}),
      ...sometimes(0.5, () => frail, {}),
      takeUpIntervalMs: 5000,
      groupIdleMs: dice.pick([1500, 5000]),
      attemptTimeoutMs: 3000,
      drainTimeoutMs: 1500
    }
  }
}

/** Runners stop, groups move and endpoints fail, but nothing gives a receiver a reason to see twice what it accepted. */
const calmed = (plan: Plan): Plan => ({
  ...plan,
  kills: 0,
  freezes: 0,
  doubles: 0,
  traps: 0,
  ambushes: 0,
  outages: 0,
  cuts: 0,
  unavailable: 0,
  lost: 0,
  slow: 0,
  poison: 0,
  manners: { ...plan.manners, hangs: 0, slow: 0, answerLost: 0 }
})

/** When something happens, drawn by other dice. */
export const when = ({ bursts, moments, spanMs }: Plan, dice: Dice, withinMs: number): number => {
  const moment = dice.chance(bursts) ? dice.some(moments) : undefined
  return moment === undefined ? dice.below(spanMs) : moment + dice.below(withinMs)
}

/** Whether nothing of a plan gives a receiver a reason to see a message twice that it accepted. */
export const isCalm = (plan: Plan): boolean =>
  plan.kills + plan.freezes + plan.traps + plan.ambushes + plan.outages + plan.cuts + plan.doubles + plan.unavailable +
        plan.lost + plan.slow + plan.poison ===
    0 &&
  plan.manners.hangs + plan.manners.slow + plan.manners.answerLost === 0
