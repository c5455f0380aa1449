/**
 * A plugin: what one part of a backend brings, as one Layer. Building the layer registers it; the registry seals after all
 * plugins are in.
 */
import { Context, Effect, Layer, References, Tracer } from "effect"
import { type Handler, PluginScope } from "./Handler.ts"
import type { AnyHook } from "./Hook.ts"
import type { IntegrationEvent } from "./IntegrationEvent.ts"
import { Note } from "./Note.ts"
import type { Attempt, ConnectionKind, Provider } from "./Provider.ts"
import { type PluginError, Registry } from "./Registry.ts"

/**
 * Makes a plugin of hooks, events, providers and handlers. `R` is what its providers and handlers need.
 *
 * **Gotchas**
 *
 * The same layer value used twice registers once; two plugins with one id are an error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R = never, E = never, RH = never>(pluginId: string, options: {
  readonly hooks?: ReadonlyArray<AnyHook>
  readonly events?: ReadonlyArray<IntegrationEvent>
  readonly providers?: ReadonlyArray<Provider<R>>
  /** Made with `Hook.on`; of the plugin's own hooks, or of other plugins'. */
  readonly handlers?: ReadonlyArray<Layer.Layer<never, E, RH>>
}): Layer.Layer<never, PluginError | E, Registry | R | Exclude<RH, PluginScope>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const registry = yield* Registry
    const context = yield* Effect.context<R>()
    const handlers: Array<Handler> = []
    const scope = Layer.succeed(PluginScope, { add: (handler) => Effect.sync(() => void handlers.push(handler)) })
    // One after the other: in the order in which they are named.
    for (const handler of options.handlers ?? []) yield* Layer.build(Layer.provide(handler, scope))
    yield* registry.register({
      pluginId,
      hooks: options.hooks ?? [],
      events: options.events ?? [],
      providers: (options.providers ?? []).map((provider) => provide(provider, context)),
      handlers
    })
  }))

// --- internal ---

/**
 * Attempts with the plugin's services. Merged with them once, as that copies every service there is; of its own an attempt has
 * its note, what its log lines are about, and its span.
 */
const provided = <R, A, E>(
  act: (attempt: Attempt) => Effect.Effect<A, E, R>,
  context: Context.Context<R>
): (attempt: Attempt) => Effect.Effect<A, E> => {
  let merged: Context.Context<R> | undefined
  return (attempt) =>
    Effect.updateContext(act(attempt), (given: Context.Context<never>): Context.Context<R> => {
      merged ??= Context.merge(Context.omit(Tracer.ParentSpan)(given), context)
      const own = Context.add(
        Context.add(merged, Note, Context.get(given, Note)),
        References.CurrentLogAnnotations,
        Context.get(given, References.CurrentLogAnnotations)
      )
      const span = Context.getOption(given, Tracer.ParentSpan)
      return span._tag === "None" ? own : Context.add(own, Tracer.ParentSpan, span.value)
    })
}

const connected = <R>(
  { check, options, schema, test }: ConnectionKind<R>,
  context: Context.Context<R>
): ConnectionKind<never> => ({
  schema,
  check,
  test: test && ((config) => Effect.provideContext(test(config), context)),
  options: new Map(
    [...options].map(([name, resolve]) => [
      name,
      (config, given) => Effect.provideContext(resolve(config, given), context)
    ])
  )
})

const provide = <R>(provider: Provider<R>, context: Context.Context<R>) => ({
  id: provider.id,
  displayName: provider.displayName,
  description: provider.description,
  config: provider.config,
  connection: provider.connection && connected(provider.connection, context),
  supportedEvents: provider.supportedEvents,
  retry: provider.retry,
  bind: (config: unknown, options?: { readonly closed?: boolean; readonly connection?: unknown }) =>
    Effect.map(provider.bind(config, options), (bound) => ({
      deliver: provided(bound.deliver, context),
      check: Effect.provideContext(bound.check, context),
      ...(bound.preview === undefined ? {} : { preview: provided(bound.preview, context) })
    }))
})
