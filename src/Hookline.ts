/**
 * Hookline as one Layer: the registry, then the plugins, sealed, then the engine; stopped in reverse.
 */
import { Effect, Layer } from "effect"
import type { Sharding } from "effect/cluster"
import * as Bindings from "./Bindings.ts"
import * as Cluster from "./Cluster.ts"
import * as Connections from "./Connections.ts"
import * as Dispatcher from "./Dispatcher.ts"
import * as Dispatchers from "./Dispatchers.ts"
import * as Explanations from "./Explanations.ts"
import * as Handlers from "./Handlers.ts"
import type { Hooks } from "./Hook.ts"
import * as HooksLive from "./Hooks.ts"
import * as Keys from "./Keys.ts"
import * as Live from "./Live.ts"
import * as Maintenance from "./Maintenance.ts"
import * as Members from "./Members.ts"
import * as Previews from "./Previews.ts"
import type { PluginError } from "./Registry.ts"
import * as Registry from "./Registry.ts"
import * as Replayer from "./Replayer.ts"
import * as Replays from "./Replays.ts"
import type { Secrets } from "./Secrets.ts"
import * as Stats from "./Stats.ts"
import type { Storage } from "./Storage.ts"
import * as Subscriptions from "./Subscriptions.ts"
import * as Tryouts from "./Tryouts.ts"

/**
 * Layer of a whole Hookline: emits, dispatches and administers.
 *
 * **Details**
 *
 * `R` is what the plugins' providers need, `Egress` for most. The storage is the caller's choice: `PgStorage.layer` over the
 * one `PgClient` layer that the program's own code uses too, so that emits join its transactions, or `StorageMemory.layer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R, E2 = never, R2 = never>(options: {
  readonly plugins: Layer.Layer<never, E, R>
  /** Where the dispatchers run; a cluster of one, this process, when left out. */
  readonly cluster?: Layer.Layer<Sharding.Sharding, E2, R2>
}): Layer.Layer<
  | Hooks
  | Registry.Registry
  | Dispatchers.Dispatchers
  | Dispatcher.Dispatcher
  | Live.Live
  | Members.Members
  | Cluster.Pulse
  | Subscriptions.Subscriptions
  | Connections.Connections
  | Keys.Keys
  | Replays.Replays
  | Explanations.Explanations
  | Previews.Previews
  | Stats.Stats
  | Sharding.Sharding,
  E | E2 | PluginError,
  Storage | Secrets | R2 | Exclude<R, Registry.Registry>
> =>
  Layer.mergeAll(
    Handlers.layer,
    Keys.layer,
    Maintenance.layer,
    Explanations.layer,
    Members.layer,
    Previews.layer,
    Layer.provide(Replays.layer, Replayer.layer),
    Stats.layer
  ).pipe(
    Layer.provideMerge(HooksLive.layer),
    Layer.provideMerge(Layer.mergeAll(Subscriptions.layer, Connections.layer)),
    Layer.provide(Tryouts.layer),
    Layer.provideMerge(Cluster.member),
    Layer.provideMerge(Dispatcher.layer),
    Layer.provide(Bindings.layer),
    Layer.provideMerge(Live.layer),
    Layer.provideMerge(options.cluster ?? Cluster.single),
    Layer.provideMerge(sealed(options.plugins))
  )

/**
 * Layer of a process that emits and leaves the delivery to runners elsewhere, which need the plugins too.
 *
 * **Details**
 *
 * Its `local` and `broadcast` handlers hear; what a work queue is to do is left to runners too.
 *
 * With `cluster` (`SocketCluster.client` of `hookline/cluster`) its emits are told to the runner that delivers them; without
 * it they are found within a second.
 *
 * @category layers
 * @since 0.1.0
 */
export const emitter = <E, R, E2 = never, R2 = never>(options: {
  readonly plugins: Layer.Layer<never, E, R>
  readonly cluster?: Layer.Layer<Sharding.Sharding, E2, R2>
}): Layer.Layer<
  Hooks | Registry.Registry | Dispatchers.Dispatchers,
  E | E2 | PluginError,
  Storage | R2 | Exclude<R, Registry.Registry>
> =>
  Handlers.layer.pipe(
    Layer.provideMerge(HooksLive.layer),
    Layer.provideMerge(
      options.cluster === undefined ? Dispatchers.layerNoop : Layer.provide(Cluster.hints, options.cluster)
    ),
    Layer.provideMerge(sealed(options.plugins))
  )

// --- internal ---

const sealed = <E, R>(plugins: Layer.Layer<never, E, R>) =>
  Layer.effectDiscard(Effect.flatMap(Registry.Registry, (registry) => registry.seal)).pipe(
    Layer.provideMerge(plugins),
    Layer.provideMerge(Registry.layer)
  )
