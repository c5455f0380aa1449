/**
 * How the rest of a runtime reaches the dispatchers, wherever in the cluster they are: hints that may be lost, and the
 * confirmation that a change of a subscription binds. `Cluster.ts` provides it.
 */
import { Context, Effect, Layer } from "effect"
import type { RunnerId, SubscriptionId } from "./Id.ts"
import type { Unrouted } from "./Storage.ts"

/**
 * Messages of one worker group, which this process owns, that were committed just now, with what held then: see `Placed`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Committed {
  readonly messages: ReadonlyArray<Unrouted>
  readonly version: number
  readonly epoch: number
}

/**
 * The dispatchers.
 *
 * @category services
 * @since 0.1.0
 */
export class Dispatchers extends Context.Service<Dispatchers, {
  /** This process, where it is a runner. */
  readonly runnerId: RunnerId | undefined
  /**
   * Says that a worker group may have work; `committed` are messages of it that need not be read where this process owns it still.
   * Returns at once: coalesced, forked, timed out. A hint: the sweep finds what a lost one would have told.
   */
  readonly wake: (workerGroup: string, committed?: Committed) => Effect.Effect<void>
  /**
   * Returns when no attempt can begin any more under a version of the subscription older than `version`: each owner that may
   * have some of it in memory has dropped the un-begun ones, or its lease has run out.
   */
  readonly confirm: (subscription: { readonly id: SubscriptionId; readonly version: number }) => Effect.Effect<void>
}>()("hookline/Dispatchers") {}

/**
 * Layer for programs that emit and dispatch nothing: other runners' sweeps find the work.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoop: Layer.Layer<Dispatchers> = Layer.succeed(Dispatchers, {
  runnerId: undefined,
  wake: () => Effect.void,
  confirm: () => Effect.void
})
