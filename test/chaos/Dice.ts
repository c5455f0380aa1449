/**
 * Chance that can be had again: numbers from a seed, so that a run's faults are those of its seed.
 */

export interface Dice {
  /** At least 0 and less than 1. */
  readonly next: () => number
  /** A whole number of milliseconds between two. */
  readonly between: (least: number, most: number) => number
  readonly chance: (share: number) => boolean
  /** One of those there are. */
  readonly one: <A>(items: ReadonlyArray<A>) => A | undefined
}

/** Mulberry32: short, and good enough to spread faults. */
export const make = (seed: number): Dice => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    between: (least, most) => Math.round(least + next() * (most - least)),
    chance: (share) => next() < share,
    one: (items) => items[Math.floor(next() * items.length)]
  }
}
