/**
 * Places of a kind that a runner has so many of, as tests and listeners. Keys that are bound to a tenant have a share of them
 * together, so that one tenant can't take them all.
 */
import { Effect } from "effect"
import { BoundTenant } from "./Access.ts"
import { NoPlace } from "./NoPlace.ts"

// -- models

/**
 * How many places there are, in all and for the keys of one tenant; `what` names who takes them, in the plural.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly what: string
  readonly inAll: number
  readonly perTenant: number
}

/** @category models @since 0.1.0 */
export interface Places {
  /** Takes a place for whoever asks now; what it answers gives the place back, once. */
  readonly take: Effect.Effect<() => void, NoPlace>
}

// -- constructors

/**
 * Makes the places of one runner.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ inAll, perTenant, what }: Options): Places => {
  /** By who has them: a tenant, or whoever is bound to none. */
  const taken = new Map<string | undefined, number>()
  let all = 0
  const take = (tenantId: string | undefined) => {
    const before = taken.get(tenantId) ?? 0
    if (tenantId !== undefined && before >= perTenant) {
      return new NoPlace({
        ofTenant: true,
        message: `This runner has ${before} ${what} of this tenant, as many as one may have: try again in a moment.`
      })
    }
    if (all >= inAll) {
      return new NoPlace({
        ofTenant: false,
        message: `This runner has ${all} ${what} already: try again in a moment, or at another runner.`
      })
    }
    taken.set(tenantId, before + 1)
    all++
    let given = false
    return () => {
      if (given) return
      given = true
      all--
      const left = (taken.get(tenantId) ?? 1) - 1
      if (left === 0) taken.delete(tenantId)
      else taken.set(tenantId, left)
    }
  }
  return {
    take: Effect.gen(function*() {
      const place = take(yield* BoundTenant)
      return typeof place === "function" ? place : yield* place
    })
  }
}
