/**
 * How much each scenario does, by the extent that is asked for.
 */
import type { Extent } from "./Flags.ts"

/** Counts of messages, seconds and rows. */
export interface Sizes {
  readonly rounds: number
  readonly drain: number
  readonly live: number
  /** Events and subscriptions of figure 3. */
  readonly spread: number
  /** Messages to ten subscriptions each. */
  readonly ten: number
  /** Subscriptions of one message. */
  readonly broad: number
  readonly latencySeconds: number
  readonly isolation: { readonly perSecond: number; readonly seconds: number }
  readonly emit: number
  readonly growth: {
    readonly waiting: number
    readonly finished: number
    readonly warm: number
    readonly drain: number
  }
  readonly memory: {
    readonly events: number
    readonly subscriptions: number
    readonly load: number
    readonly idleSeconds: number
  }
  readonly runners: number
  /** How long each limit of the machine is measured. */
  readonly boundSeconds: number
}

export const sizes: Readonly<Record<Extent, Sizes>> = {
  moment: {
    rounds: 1,
    drain: 200,
    live: 200,
    spread: 10,
    ten: 20,
    broad: 50,
    latencySeconds: 1,
    isolation: { perSecond: 50, seconds: 1 },
    emit: 300,
    growth: { waiting: 2000, finished: 2000, warm: 200, drain: 300 },
    memory: { events: 10, subscriptions: 2, load: 100, idleSeconds: 1 },
    runners: 300,
    boundSeconds: 0.1
  },
  quick: {
    rounds: 1,
    drain: 10_000,
    live: 5000,
    spread: 1000,
    ten: 500,
    broad: 10_000,
    latencySeconds: 5,
    isolation: { perSecond: 100, seconds: 10 },
    emit: 20_000,
    growth: { waiting: 1_000_000, finished: 5_000_000, warm: 10_000, drain: 20_000 },
    memory: { events: 1000, subscriptions: 10, load: 10_000, idleSeconds: 10 },
    runners: 6000,
    boundSeconds: 1
  },
  full: {
    rounds: 5,
    drain: 10_000,
    live: 20_000,
    spread: 1000,
    ten: 2000,
    broad: 10_000,
    latencySeconds: 20,
    isolation: { perSecond: 100, seconds: 20 },
    emit: 40_000,
    growth: { waiting: 1_000_000, finished: 5_000_000, warm: 10_000, drain: 20_000 },
    memory: { events: 1000, subscriptions: 10, load: 10_000, idleSeconds: 10 },
    runners: 20_000,
    boundSeconds: 3
  }
}
