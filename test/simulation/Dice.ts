/**
 * Dice: what a seed draws. Each part of the simulation throws dice of its own, so that a draw more in one part does not
 * change what another one draws.
 */
import { Effect, Random } from "effect"

export interface Dice {
  readonly random: Random.Random
  /** 0 or more, less than `n`. */
  readonly below: (n: number) => number
  /** Both ends included. */
  readonly between: (low: number, high: number) => number
  readonly chance: (share: number) => boolean
  readonly pick: <A>(items: readonly [A, ...ReadonlyArray<A>]) => A
  /** One of them; none where there are none. */
  readonly some: <A>(items: ReadonlyArray<A>) => A | undefined
  /** Other dice of the same seed. */
  readonly of: (name: string) => Dice
}

export const make = (seed: string): Dice => {
  const random = Effect.runSync(Random.withSeed(Effect.map(Random.Random, (random) => random), seed))
  const below = (n: number) => Math.floor(random.nextDoubleUnsafe() * n)
  return {
    random,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (share) => random.nextDoubleUnsafe() < share,
    pick: (items) => items[below(items.length)] ?? items[0],
    some: (items) => items[below(items.length)],
    of: (name) => make(`${seed}/${name}`)
  }
}
