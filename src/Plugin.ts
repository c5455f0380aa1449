/**
 * A plugin: what one part of a backend brings, as one Layer. Building the layer registers it; the registry seals after all
 * plugins are in.
 */
import { Context, Effect, identity, Layer, Tracer } from "effect"
import { Egress } from "./Egress.ts"
import { type Handler, PluginScope } from "./Handler.ts"
import type { AnyHook } from "./Hook.ts"
import type { IntegrationEvent } from "./IntegrationEvent.ts"
import { Note } from "./Note.ts"
import type { Attempt, Bound, ConnectionKind, Provided, Provider } from "./Provider.ts"
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

/** A plugin's services, and those together with what there is where something is bound. */
interface Services<R> {
  readonly own: Context.Context<R>
  readonly merged: Context.Context<R>
  /** That of the plugin's door, where it has one. */
  readonly begin: Provided["begin"]
}

/**
 * Merges a plugin's services with those around a binding: once for each context in which something is bound, as that copies
 * every service there is. A runner binds all of its subscriptions in one.
 */
const merging = <R>(own: Context.Context<R>) => {
  const known = new WeakMap<Context.Context<never>, Services<R>>()
  const begin = Context.getOrUndefined(own, Egress)?.begin
  return (around: Context.Context<never>): Services<R> => {
    const services = known.get(around) ??
      { own, merged: Context.merge(Context.omit(Tracer.ParentSpan, Note)(around), own), begin }
    known.set(around, services)
    return services
  }
}

type Add = NonNullable<Parameters<Provided["deliver"]>[1]>

/** Gives an attempt its plugin's services, what is its own, and the span that it is made in. */
const provided = <A, E, R>(act: Effect.Effect<A, E, R>, { merged }: Services<R>, add: Add): Effect.Effect<A, E> =>
  Effect.updateContext(act, (given: Context.Context<never>): Context.Context<R> => {
    const own = add(merged)
    const span = Context.getOrUndefined(given, Tracer.ParentSpan)
    return span === undefined ? own : Context.add(own, Tracer.ParentSpan, span)
  })

/** What is bound, with the plugin's services. There may be very many, so each holds nothing but what differs. */
class PluginBound<R> implements Provided {
  readonly #bound: Bound<R>
  readonly #services: Services<R>

  constructor(bound: Bound<R>, services: Services<R>) {
    this.#bound = bound
    this.#services = services
  }

  get origin() {
    return this.#bound.origin
  }

  get begin() {
    return this.#services.begin
  }

  exchange(attempt: Attempt) {
    return this.#services.begin && this.#bound.exchange?.(attempt)
  }

  get check() {
    return Effect.provideContext(this.#bound.check, this.#services.own)
  }

  get preview() {
    const preview = this.#bound.preview?.bind(this.#bound)
    return preview && ((attempt: Attempt) => provided(preview(attempt), this.#services, identity))
  }

  deliver(attempt: Attempt, add: Add = identity) {
    return provided(this.#bound.deliver(attempt), this.#services, add)
  }
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

const provide = <R>(provider: Provider<R>, context: Context.Context<R>) => {
  const services = merging(context)
  return {
    id: provider.id,
    displayName: provider.displayName,
    description: provider.description,
    config: provider.config,
    connection: provider.connection && connected(provider.connection, context),
    supportedEvents: provider.supportedEvents,
    retry: provider.retry,
    bind: (config: unknown, options?: { readonly closed?: boolean; readonly connection?: unknown }) =>
      Effect.contextWith((around: Context.Context<never>) =>
        Effect.map(provider.bind(config, options), (bound) => new PluginBound(bound, services(around)))
      )
  }
}
