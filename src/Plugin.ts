/**
 * A plugin: what one part of a backend brings, as one Layer. Building the layer registers it; the registry seals after all
 * plugins are in.
 */
import { type Context, Effect, Layer } from "effect"
import type { AnyHook } from "./Hook.ts"
import type { IntegrationEvent } from "./IntegrationEvent.ts"
import type { Attempt, Provider } from "./Provider.ts"
import { type PluginError, Registry } from "./Registry.ts"

/**
 * Makes a plugin of hooks, events and providers. `R` is what its providers need.
 *
 * **Gotchas**
 *
 * The same layer value used twice registers once; two plugins with one id are an error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R = never>(pluginId: string, options: {
  readonly hooks?: ReadonlyArray<AnyHook>
  readonly events?: ReadonlyArray<IntegrationEvent>
  readonly providers?: ReadonlyArray<Provider<R>>
}): Layer.Layer<never, PluginError, Registry | R> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const registry = yield* Registry
    const context = yield* Effect.context<R>()
    yield* registry.register({
      pluginId,
      hooks: options.hooks ?? [],
      events: options.events ?? [],
      providers: (options.providers ?? []).map((provider) => provide(provider, context))
    })
  }))

// --- internal ---

const provided =
  <R, A, E>(act: (attempt: Attempt) => Effect.Effect<A, E, R>, context: Context.Context<R>) =>
  (attempt: Attempt): Effect.Effect<A, E> => Effect.provideContext(act(attempt), context)

const provide = <R>(provider: Provider<R>, context: Context.Context<R>) => ({
  id: provider.id,
  displayName: provider.displayName,
  description: provider.description,
  config: provider.config,
  supportedEvents: provider.supportedEvents,
  retry: provider.retry,
  bind: (config: unknown, options?: { readonly closed?: boolean }) =>
    Effect.map(provider.bind(config, options), (bound) => ({
      deliver: provided(bound.deliver, context),
      check: Effect.provideContext(bound.check, context),
      ...(bound.preview === undefined ? {} : { preview: provided(bound.preview, context) })
    }))
})
