/**
 * Express messages: those whose deliveries are attempted before their routing is written. Where all of them succeed at once, as
 * they do where endpoints are well, routing and outcomes are one statement, and no delivery is ever written as unfinished. Whatever
 * else becomes of one of them, the message's routing is written first, with its deliveries as claimed, and all goes the usual way.
 *
 * Until either is written the message waits in the inbox, as one that nobody has touched: whoever owns its group next finds it there.
 */
import type { SubscriptionId } from "../Id.ts"
import type { Unrouted } from "../Storage.ts"
import type { Finished } from "./Attempting.ts"
import * as Lane from "./Lane.ts"
import * as State from "./State.ts"

/** An express message: what is held of it, until it is one no more. */
export class Express {
  held: Held | undefined

  constructor(held: Held) {
    this.held = held
  }
}

/**
 * What is held of an express message. Classes, as V8 makes no instance of one in old memory at once, where it would keep alive
 * what it refers to after its use; arrays are emptied for the same reason.
 */
export class Held {
  readonly message: Unrouted
  readonly group: State.Group
  /** The payload after the event's transform, where it has one. */
  readonly transformedJson: string | undefined
  /** The version of the subscriptions that were matched. */
  readonly version: number
  readonly filtered: number
  /** When it was matched, on the monotonic clock in milliseconds. */
  readonly sinceMs: number
  /** When the first of its attempts began, on the same clock; undefined before. */
  begunAtMs: number | undefined
  deliveries: Array<Lane.Ready> | undefined
  /** Those whose attempt has ended. */
  finished: Array<Finished> | undefined
  /** Those that are to be given back, as no attempt of them can begin. */
  returned: Array<Lane.Ready> | undefined
  /** `whole` when all its deliveries have succeeded; `late` when its routing is to be written before its outcomes. */
  phase: "ahead" | "whole" | "late" = "ahead"

  constructor(
    message: Unrouted,
    group: State.Group,
    matched: {
      readonly transformedJson: string | undefined
      readonly version: number
      readonly filtered: number
      readonly sinceMs: number
    }
  ) {
    this.message = message
    this.group = group
    this.transformedJson = matched.transformedJson
    this.version = matched.version
    this.filtered = matched.filtered
    this.sinceMs = matched.sinceMs
    this.begunAtMs = undefined
  }
}

/** Adds a message. */
export const add = ({ expresses: { bySeq, some } }: State.State, express: Express, { group, message }: Held): void => {
  bySeq.set(message.seq, express)
  group.ahead++
  some.openUnsafe()
}

/** Whose messages there are in a group. */
export const tenants = (state: State.State, group: State.Group): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const { held } of state.expresses.bySeq.values()) if (held?.group === group) found.push(held.message.tenantId)
  return found
}

/** Takes in that an attempt has ended; tells whether all of the message's deliveries have succeeded by that. */
export const finish = (state: State.State, express: Express, held: Held, finished: Finished): boolean => {
  if (held.finished) held.finished.push(finished)
  else held.finished = [finished]
  if (!isPlain(finished)) {
    delay(state, express)
    return false
  }
  if (held.phase !== "ahead" || held.finished.length < countOf(held)) return false
  held.phase = "whole"
  return true
}

/** Takes in that a delivery is to be given back. A message of which nothing was begun is forgotten, and read again. */
export const giveBack = (state: State.State, express: Express, held: Held, ready: Lane.Ready): void => {
  const { group } = held
  if (held.returned) held.returned.push(ready)
  else held.returned = [ready]
  if (held.phase === "late" || held.returned.length < countOf(held)) return delay(state, express)
  end(state, express, () => {}, (one) => State.dismiss(state, one))
  State.unrouted(state, group)
}

/** Has the routing of a message written before its outcomes, unless these are on their way with it. */
export const delay = (state: State.State, express: Express): void => {
  if (express.held?.phase !== "ahead") return
  express.held.phase = "late"
  state.expresses.late.push(express)
  state.route.openUnsafe()
}

/**
 * Has the routing of those written that have been under way for long. What only waits for its turn may do so for longer, unless its
 * endpoint hangs: to write it twice would make all that waits wait even longer.
 */
export const delayOverdue = (state: State.State, monotonicMs: number): void => {
  const { limits } = state
  for (const express of state.expresses.bySeq.values()) {
    const { held } = express
    if (held?.phase !== "ahead") continue
    const waitedMs = monotonicMs - held.sinceMs
    if (waitedMs < limits.expressMs) break
    const isLong = held.begunAtMs !== undefined && monotonicMs - held.begunAtMs >= limits.expressMs
    if (isLong || waitedMs >= limits.expressWaitMs || hangs(state, held, monotonicMs)) delay(state, express)
  }
}

/** Takes in that the database refused what was to be written together. */
export const refuse = (state: State.State, express: Express): void => {
  if (express.held?.phase !== "whole") return
  express.held.phase = "ahead"
  delay(state, express)
}

/** Those of a group whose outcomes are not on their way already. */
export const ofGroup = (state: State.State, group: State.Group): ReadonlyArray<Express> =>
  [...state.expresses.bySeq.values()].filter(({ held }) => held?.group === group && held.phase !== "whole")

/** Ends an express message, as its routing is written, or will be by another owner; what was held of it goes on its way. */
export const end = (
  state: State.State,
  express: Express,
  finish: (finished: Finished) => void,
  giveBack: (ready: Lane.Ready) => void
): void => {
  const { held } = express
  if (!held) return
  express.held = undefined
  state.expresses.bySeq.delete(held.message.seq)
  held.group.ahead--
  const { endedTenants } = state.expresses
  const known = endedTenants?.get(held.group)
  if (known) known.push(held.message.tenantId)
  else endedTenants?.set(held.group, [held.message.tenantId])
  for (const one of held.finished ?? []) finish(one)
  for (const one of held.returned ?? []) giveBack(one)
  for (const some of [held.deliveries, held.finished, held.returned]) if (some) some.length = 0
}

/** How many deliveries it has. */
export const countOf = ({ deliveries }: Held): number => deliveries?.length ?? 0

/** Whether a lane's deliveries may go ahead of their routing: its endpoint has accepted one here a short while ago, and all is well. */
export const isLaneWell = (state: State.State, id: SubscriptionId, { monotonicMs, nowMs }: State.Times): boolean => {
  const acceptedAtMs = state.accepted.get(id)
  if (acceptedAtMs === undefined || nowMs - acceptedAtMs > state.limits.expressAcceptedMs) return false
  const lane = state.lanes.get(id)
  return !lane || (lane.minVersion === 0 && !Lane.isSlow(lane, monotonicMs, state.limits))
}

// --- internal ---

/** Whether an endpoint that a message goes to hangs. */
const hangs = (state: State.State, { deliveries = [] }: Held, monotonicMs: number): boolean =>
  deliveries.some(({ claimed }) => {
    const lane = state.lanes.get(claimed.subscriptionId)
    return lane !== undefined && Lane.isSlow(lane, monotonicMs, state.limits)
  })

/** Whether an outcome is a success that has nothing else to be written with it or done after it. */
const isPlain = ({ disable, outcome, warnOfMs }: Finished): boolean =>
  outcome.attempt.outcome === "success" && outcome.transition._tag === "Final" && outcome.telling === undefined &&
  outcome.filledAtMs === undefined && outcome.openUntilMs === undefined && disable === undefined &&
  warnOfMs === undefined
