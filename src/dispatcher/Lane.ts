/**
 * Lanes: what a runner holds in memory for one subscription, and the rules of how much that may be. A backlog of one lane
 * never fills the window, and lanes whose endpoint hangs share a part of the slots.
 */
import { Option } from "effect"
import type { Binding } from "../Bindings.ts"
import { Chain } from "../Chain.ts"
import * as Circuit from "../Circuit.ts"
import * as Delivery from "../Delivery.ts"
import type { DeliveryId, SubscriptionId } from "../Id.ts"
import type { Limits } from "../Limits.ts"
import type { Message } from "../Message.ts"
import * as RateLimit from "../RateLimit.ts"
import type * as RetrySchedule from "../RetrySchedule.ts"
import type { Claimed, Loaded } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import type { Express } from "./Express.ts"
import type { Origin } from "./Origins.ts"
import { Queue } from "./Queue.ts"
import type { Group } from "./State.ts"

/** A claimed delivery with all that its attempts need. A class, for V8: see "What memory holds" in `docs/architecture.md`. */
export class Ready {
  readonly group: Group
  readonly claimed: Claimed
  readonly message: Message
  /** The attempts since the last manual retry, oldest first. */
  readonly history: ReadonlyArray<Loaded["attempts"][number]["attempt"]>
  readonly suspect: boolean
  /** The express message that it is of, where it is of one. */
  readonly express: Express | undefined

  constructor(
    group: Group,
    claimed: Claimed,
    message: Message,
    { express, history, suspect }: Pick<Ready, "express" | "history" | "suspect">
  ) {
    this.group = group
    this.claimed = claimed
    this.message = message
    this.history = history
    this.suspect = suspect
    this.express = express
  }
}

/** An attempt that is under way. */
export interface Begun {
  readonly deliveryId: DeliveryId
  readonly group: Group
  /** When it began, on the monotonic clock in milliseconds. */
  readonly atMs: number
  /** Undefined until it is being made. */
  maker: Maker | undefined
}

/** What makes an attempt. */
export interface Maker {
  /** Has it end, as soon as it may: it is concluded as one that was interrupted. */
  readonly end: () => void
}

/** What serves a subscription's attempts, as long as the subscriptions are of that version. */
export interface Served {
  readonly version: number
  readonly subscription: Subscription
  /** Undefined until the subscription is bound. */
  readonly binding: Binding | undefined
}

/** One subscription's lane on this runner. */
export interface Lane {
  readonly subscriptionId: SubscriptionId
  /** Claimed, not begun. */
  readonly waiting: Queue<Ready>
  /** Begun, oldest first. */
  readonly inFlight: Chain<Begun>
  /** Waiting, in flight or with an outcome not yet recorded. */
  held: number
  /** By worker group: when the first delivery that is not claimed is due, as far as is known. */
  readonly backlog: Map<Group, number>
  /** The last attempt timed out. */
  timedOut: boolean
  /** Attempts bound to an older version than this must not begin. */
  minVersion: number
  circuit: Circuit.Circuit
  /** The origin that had no room for its next attempt, when that was looked for. */
  waitsAt: Origin | undefined
  /** Found once: every attempt asks for it. */
  served: Served | undefined
}

/** Makes an empty lane. */
export const make = (subscriptionId: SubscriptionId): Lane => ({
  subscriptionId,
  waiting: new Queue(),
  inFlight: new Chain(),
  held: 0,
  backlog: new Map(),
  timedOut: false,
  minVersion: 0,
  circuit: Circuit.closed,
  waitsAt: undefined,
  served: undefined
})

/** How many have no outcome yet: what has one waits for the database alone, and keeps no other from being claimed. */
export const unfinished = (self: Lane): number => self.waiting.length + self.inFlight.size

/** Whether deliveries of a lane wait in the database that are due: those go first. */
export const isBehind = (self: Lane, nowMs: number): boolean => {
  for (const dueAtMs of self.backlog.values()) if (dueAtMs <= nowMs) return true
  return false
}

/** Whether a lane's endpoint hangs: its last attempt timed out, or one has been under way for long. */
export const isSlow = (self: Lane, monotonicMs: number, limits: Limits): boolean => {
  if (self.timedOut) return true
  const oldest = self.inFlight.first
  return oldest !== undefined && monotonicMs - oldest.atMs > limits.slowAfterMs
}

/** How many attempts a lane may have in flight: an equal share of its tenant's slots among its lanes that have work. */
export const slots = (tenantSlots: number, activeLanes: number, limits: Limits): number =>
  Math.max(1, Math.min(limits.laneSlots, Math.floor(tenantSlots / Math.max(1, activeLanes))))

/** How many attempts a lane's circuit lets be under way: none while it is open, a probe until it is closed. */
export const circuitSlots = (self: Lane, nowMs: number): number => {
  const state = Circuit.stateAt(self.circuit, nowMs)
  return state === "open" ? 0 : state === "half-open" ? 1 : Number.POSITIVE_INFINITY
}

/** When a lane's circuit lets the next attempt begin, in milliseconds. */
export const circuitNextMs = ({ circuit }: Lane): number => circuit.openUntilMs ?? 0

/**
 * How many more deliveries a lane may take into memory. A slow lane takes no more than it has slots for, and the slow ones
 * together no more than `slowRoom`; one whose circuit is not closed no more than that lets begin.
 */
export const room = (
  self: Lane,
  { monotonicMs, nowMs, slowRoom }: { readonly monotonicMs: number; readonly nowMs: number; readonly slowRoom: number },
  limits: Limits
): number =>
  Math.max(
    0,
    Math.min(
      circuitSlots(self, nowMs) - self.held,
      isSlow(self, monotonicMs, limits)
        ? Math.min(limits.laneSlots - self.held, slowRoom)
        : limits.laneWindow - unfinished(self)
    )
  )

/**
 * How many more deliveries a lane may take into memory of a group that is its subscription's own: no more than its limits
 * let begin soon, so that what is claimed is not kept from its next owner.
 */
export const ownRoom = (
  self: Lane,
  group: Group,
  subscription: Subscription | undefined,
  nowMs: number,
  limits: Limits
): number => {
  if (group.subscriptionId === undefined) return Number.POSITIVE_INFINITY
  if (!subscription) return 0
  const { maxConcurrency = Number.POSITIVE_INFINITY, rateLimit } = subscription
  const concurrent = 2 * maxConcurrency - self.held
  if (!rateLimit) return concurrent
  return group.filledAtMs === undefined
    ? 0
    : Math.min(
      concurrent,
      RateLimit.free(rateLimit, RateLimit.owed(rateLimit, group.filledAtMs, nowMs), nowMs, limits.rateAheadMs) -
        self.waiting.length
    )
}

/** When a rate limit lets the next delivery be claimed that is due, in milliseconds. */
export const rateNextMs = (
  self: Lane,
  group: Group,
  subscription: Subscription | undefined,
  nowMs: number,
  limits: Limits
): number => {
  const rateLimit = group.subscriptionId === undefined ? undefined : subscription?.rateLimit
  if (!rateLimit) return 0
  if (group.filledAtMs === undefined) return Number.POSITIVE_INFINITY
  const filledAtMs = RateLimit.owed(rateLimit, group.filledAtMs, nowMs)
  const soonestMs = RateLimit.nextAtMs(rateLimit, Math.max(filledAtMs, nowMs))
  return soonestMs + self.waiting.length * RateLimit.costMs(rateLimit) - limits.rateAheadMs
}

/** The failures of a delivery that its schedule counts, oldest first. */
export const failures = ({ history }: Ready): ReadonlyArray<RetrySchedule.Failure> =>
  history.flatMap((attempt) =>
    Option.match(Delivery.errorOf(attempt), {
      onNone: () => [],
      onSome: (error) => [{ atMs: attempt.startedAtMs + attempt.durationMs, error }]
    })
  )
