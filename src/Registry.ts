/**
 * The registry: what the plugins of this runtime bring. It takes plugins while the program is built and seals when the
 * engine starts; a duplicate, a malformed or a reserved id is an error at start that names both sides.
 */
import { Cause, Context, Deferred, Effect, identity, JsonSchema, Layer, Schema } from "effect"
import * as Core from "./Core.ts"
import * as Handler from "./Handler.ts"
import { type AnyHook, Hooks } from "./Hook.ts"
import type { IntegrationEvent } from "./IntegrationEvent.ts"
import * as PayloadProperties from "./PayloadProperties.ts"
import {
  type ConfigRefused,
  type ConnectionKind,
  PermanentError,
  type Provided,
  type Provider,
  ProviderError,
  RetryableError
} from "./Provider.ts"
import type { RetrySchedule } from "./RetrySchedule.ts"
import * as SecretFields from "./SecretFields.ts"

// -- models

/**
 * A hook with where it belongs.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisteredHook {
  readonly pluginId: string
  readonly eventId: string
  readonly hook: AnyHook
}

/** @category models @since 0.1.0 */
export interface RegisteredEvent extends IntegrationEvent {
  readonly eventId: string
  readonly pluginId: string
  /** JSON Schema, draft 2020-12, of the payload as it is emitted. */
  readonly payloadSchema: JsonSchema.JsonSchema
  readonly availableProperties: ReadonlyArray<PayloadProperties.PayloadProperty>
}

/**
 * A provider whose services are provided.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisteredProvider {
  /** Qualified: `pluginId.providerId`. */
  readonly providerId: string
  readonly pluginId: string
  readonly displayName: string
  readonly description: string | undefined
  readonly config: Schema.Constraint
  readonly connection: ConnectionKind<never> | undefined
  readonly supportedEvents: ReadonlyArray<string> | undefined
  readonly retry: RetrySchedule | undefined
  readonly bind: (...given: Parameters<Provider<never>["bind"]>) => Effect.Effect<Provided, ConfigRefused>
  /** The work queue that it stands for; subscriptions to it are Hookline's own. */
  readonly queue: WorkQueue | undefined
}

/**
 * A handler with mode `work-queue`.
 *
 * @category models
 * @since 0.1.0
 */
export type WorkQueue = Extract<Handler.Handler, { readonly mode: "work-queue" }>

/**
 * What one plugin brings.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registration {
  readonly pluginId: string
  readonly hooks: ReadonlyArray<AnyHook>
  readonly events: ReadonlyArray<IntegrationEvent>
  readonly providers: ReadonlyArray<
    Omit<RegisteredProvider, "providerId" | "pluginId" | "queue"> & { readonly id: string }
  >
  readonly handlers: ReadonlyArray<Handler.Handler>
}

/**
 * A plugin can't be registered: the program's fault, told at start.
 *
 * @category errors
 * @since 0.1.0
 */
export class PluginError extends Schema.TaggedError<PluginError>()("PluginError", {
  pluginId: Schema.String,
  message: Schema.String
}) {}

/**
 * The registry.
 *
 * @category services
 * @since 0.1.0
 */
export class Registry extends Context.Service<Registry, {
  readonly register: (registration: Registration) => Effect.Effect<void, PluginError>
  /** Ends registration; a later one fails, and so does this where a handler's hook is of no plugin. */
  readonly seal: Effect.Effect<void, PluginError>
  readonly plugins: Effect.Effect<ReadonlyArray<Registration>>
  /** Gives the handlers of work queues what they emit with; until then they wait. */
  readonly connect: (hooks: Hooks["Service"]) => Effect.Effect<void>
  /** In the order of their ids. */
  readonly events: Effect.Effect<ReadonlyArray<RegisteredEvent>>
  readonly eventsByCategory: Effect.Effect<ReadonlyMap<string, ReadonlyArray<RegisteredEvent>>>
  readonly event: (eventId: string) => Effect.Effect<RegisteredEvent | undefined>
  readonly hook: (eventId: string) => Effect.Effect<RegisteredHook | undefined>
  /** Finds a hook by its value. */
  readonly hookOf: (hook: AnyHook) => Effect.Effect<RegisteredHook | undefined>
  /** Those whose messages are stored: of the plugins, and of Hookline's operational events. */
  readonly hooks: Effect.Effect<ReadonlyArray<RegisteredHook>>
  readonly provider: (providerId: string) => Effect.Effect<RegisteredProvider | undefined>
  readonly providers: Effect.Effect<ReadonlyArray<RegisteredProvider>>
}>()("hookline/Registry") {}

/**
 * The qualified ids of a plugin's providers, those of its work queues among them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const providerIds = ({ handlers, pluginId, providers }: Registration): ReadonlyArray<string> => [
  ...providers.map(({ id }) => `${pluginId}.${id}`),
  ...handlers.flatMap((handler) =>
    handler.mode === "work-queue" ? [`${pluginId}.${Handler.providerId(handler.workerGroup)}`] : []
  )
]

// -- layers

/**
 * Layer of an empty registry.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Registry> = Layer.sync(Registry, () => {
  const registrations = new Map<string, Registration>()
  const core = [...Core.hooks, ...Core.events.map(({ hook }) => hook)].map((hook) => ({
    pluginId: Core.pluginId,
    eventId: `${Core.pluginId}.${hook.id}`,
    hook
  }))
  const hooks = new Map<string, RegisteredHook>(core.map((registered) => [registered.eventId, registered]))
  const hooksByValue = new Map<AnyHook, RegisteredHook>(core.map((registered) => [registered.hook, registered]))
  const events = new Map<string, RegisteredEvent>()
  const providers = new Map<string, RegisteredProvider>()
  const connected = Deferred.makeUnsafe<Hooks["Service"]>()
  let sealed = false

  const add = (registration: Registration) => {
    const { pluginId } = registration
    if (sealed) throw problem(pluginId, "comes too late: the engine has started. Add it to the layer's plugins.")
    checkPluginId(pluginId)
    const earlier = registrations.get(pluginId)
    if (earlier) {
      throw problem(pluginId, `exists twice: one brings ${inventory(earlier)}, the other ${inventory(registration)}.`)
    }
    for (const hook of registration.hooks) {
      const registered = { pluginId, eventId: `${pluginId}.${hook.id}`, hook }
      checkLocalId(pluginId, "hook", hook.id)
      if (hooks.has(registered.eventId)) throw problem(pluginId, `brings two hooks with the id "${hook.id}".`)
      const other = hooksByValue.get(hook)
      if (other) throw problem(pluginId, `brings the hook "${hook.id}", which belongs to "${other.pluginId}".`)
      hooks.set(registered.eventId, registered)
      hooksByValue.set(hook, registered)
    }
    for (const event of registration.events) addEvent(pluginId, event)
    for (const { id, ...provider } of registration.providers) {
      checkLocalId(pluginId, "provider", id)
      const providerId = `${pluginId}.${id}`
      if (providers.has(providerId)) throw problem(pluginId, `brings two providers with the id "${id}".`)
      for (const [what, schema] of [["", provider.config], ["connection's ", provider.connection?.schema]] as const) {
        const unsealable = schema && SecretFields.problem(schema)
        if (unsealable === undefined) continue
        throw problem(
          pluginId,
          `brings the provider "${id}", whose ${what}${unsealable} is secret but no text: only texts are sealed.`
        )
      }
      providers.set(providerId, { ...provider, providerId, pluginId, queue: undefined })
    }
    const queues = new Map<string, string>()
    for (const handler of registration.handlers) {
      if (handler.mode !== "work-queue") continue
      const { hook, workerGroup } = handler
      checkLocalId(pluginId, "work queue", workerGroup)
      const other = queues.get(workerGroup)
      if (other !== undefined) {
        throw problem(
          pluginId,
          `names two work queues "${workerGroup}": on the hook "${other}" and on the hook "${hook.id}". ` +
            "Each needs a workerGroup of its own."
        )
      }
      queues.set(workerGroup, hook.id)
      const provider = queueProvider(pluginId, handler, connected)
      if (providers.has(provider.providerId)) {
        const id = Handler.providerId(workerGroup)
        throw problem(pluginId, `brings a provider with the id "${id}", which its work queue "${workerGroup}" needs.`)
      }
      providers.set(provider.providerId, provider)
    }
    registrations.set(pluginId, registration)
  }

  const addEvent = (pluginId: string, event: IntegrationEvent) => {
    const owner = hooksByValue.get(event.hook)
    if (!owner) {
      throw problem(
        pluginId,
        `exposes the hook "${event.hook.id}" as an event, but no plugin brings it. Add it to hooks.`
      )
    }
    if (owner.pluginId !== pluginId) {
      throw problem(pluginId, `exposes the hook "${event.hook.id}" as an event, but it belongs to "${owner.pluginId}".`)
    }
    const eventId = owner.eventId
    const earlier = events.get(eventId)
    if (earlier) {
      throw problem(pluginId, `exposes "${event.hook.id}" twice: "${earlier.displayName}" and "${event.displayName}".`)
    }
    const document = Schema.toJsonSchemaDocument(Schema.make(event.schema.ast))
    const payloadSchema = {
      $schema: JsonSchema.META_SCHEMA_URI_DRAFT_2020_12,
      ...document.schema,
      ...(Object.keys(document.definitions).length > 0 ? { $defs: document.definitions } : {})
    }
    events.set(eventId, {
      ...event,
      eventId,
      pluginId,
      payloadSchema,
      availableProperties: PayloadProperties.fromJsonSchema(payloadSchema)
    })
  }

  for (const event of Core.events) addEvent(Core.pluginId, event)

  const byId = <A extends { readonly eventId: string }>(items: Iterable<A>): ReadonlyArray<A> =>
    [...items].sort((a, b) => a.eventId < b.eventId ? -1 : 1)

  return Registry.of({
    register: (registration) =>
      Effect.try({
        try: () => add(registration),
        catch: (error) =>
          error instanceof PluginError ? error : problem(registration.pluginId, `can't be registered: ${error}`)
      }),
    seal: Effect.suspend(() => {
      sealed = true
      for (const { handlers, pluginId } of registrations.values()) {
        const deaf = handlers.find(({ hook, mode }) => mode !== "local" && Core.hooks.includes(hook))
        if (deaf) {
          return Effect.fail(
            problem(
              pluginId,
              `handles "${deaf.hook.id}" with mode ${deaf.mode}, but it is told in this process alone: local.`
            )
          )
        }
        const early = handlers.find(({ hook, mode }) =>
          mode === "local" && Core.events.some((event) => event.hook === hook)
        )
        if (early) {
          return Effect.fail(
            problem(
              pluginId,
              `handles "${early.hook.id}" with mode local, but it is told through the database: broadcast or work-queue.`
            )
          )
        }
        const stray = handlers.find(({ hook }) => !hooksByValue.has(hook))
        if (stray) {
          return Effect.fail(
            problem(pluginId, `handles the hook "${stray.hook.id}", but no plugin brings it. Add it to hooks.`)
          )
        }
      }
      return Effect.void
    }),
    plugins: Effect.sync(() => [...registrations.values()]),
    connect: (hooks) => Effect.asVoid(Deferred.succeed(connected, hooks)),
    events: Effect.sync(() => byId(events.values())),
    eventsByCategory: Effect.sync(() => Map.groupBy(byId(events.values()), (event) => event.category)),
    event: (eventId) => Effect.sync(() => events.get(eventId)),
    hook: (eventId) => Effect.sync(() => hooks.get(eventId)),
    hookOf: (hook) => Effect.sync(() => hooksByValue.get(hook)),
    hooks: Effect.sync(() => byId(hooks.values()).filter(({ hook }) => !Core.hooks.includes(hook))),
    provider: (providerId) => Effect.sync(() => providers.get(providerId)),
    providers: Effect.sync(() => [...providers.values()])
  })
})

// --- internal ---

const reserved = new Set(["integration", "subscription", "hookline"])

const problem = (pluginId: string, what: string) =>
  new PluginError({ pluginId, message: `The plugin "${pluginId}" ${what}` })

const checkPluginId = (pluginId: string) => {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/u.test(pluginId)) {
    throw problem(pluginId, "has a malformed id: up to 64 letters, digits, - and _, no dots.")
  }
  if (reserved.has(pluginId)) {
    throw problem(pluginId, `has a reserved id: ${[...reserved].join(", ")} belong to Hookline.`)
  }
}

const checkLocalId = (pluginId: string, kind: string, id: string) => {
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/u.test(id) || id.length > 128) {
    throw problem(
      pluginId,
      `brings a ${kind} with the malformed id "${id}": up to 128 letters, digits, - and _ in parts joined by dots.`
    )
  }
}

/** A work queue as the engine sees it: a provider whose endpoint is the handler. */
const queueProvider = (
  pluginId: string,
  queue: WorkQueue,
  connected: Deferred.Deferred<Hooks["Service"]>
): RegisteredProvider => {
  return {
    providerId: `${pluginId}.${Handler.providerId(queue.workerGroup)}`,
    pluginId,
    displayName: `Work queue ${queue.workerGroup}`,
    description: undefined,
    config: Schema.Struct({}),
    connection: undefined,
    supportedEvents: undefined,
    retry: queue.retry,
    queue,
    bind: () =>
      Effect.succeed({
        check: Effect.void,
        deliver: ({ message, number }, add = identity) =>
          queue.handle(message.emittedJson ?? message.payloadJson, {
            eventId: message.eventId,
            messageId: message.id,
            tenantId: message.tenantId,
            timestampMs: message.timestampMs,
            attempt: number
          }).pipe(
            Effect.provideServiceEffect(Hooks, Deferred.await(connected)),
            Effect.as({}),
            Effect.catchCause((cause) =>
              Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.fail(failed(cause))
            ),
            Effect.updateContext((services: Context.Context<never>) => add(services))
          )
      })
  }
}

const isProviderError = Schema.is(ProviderError)

/** A handler's own error is one that may pass, unless it says in a provider's terms what it is. */
const failed = (cause: Cause.Cause<unknown>): ProviderError => {
  const error = Cause.squash(cause)
  if (!isProviderError(error)) {
    return new RetryableError({
      code: "HandlerFailed",
      message: error instanceof Error ? error.message : String(error)
    })
  }
  // What is gone is what the handler called, and not the handler: its queue goes on.
  if (error._tag !== "Gone") return error
  const { code, message, response, statusCode } = error
  return new PermanentError({
    code,
    message,
    ...statusCode === undefined ? {} : { statusCode },
    ...response === undefined ? {} : { response }
  })
}

const inventory = (registration: Registration): string => {
  const names = [
    ...registration.hooks.map((hook) => `hook ${hook.id}`),
    ...registration.providers.map((provider) => `provider ${provider.id}`),
    ...registration.handlers.map(({ hook, mode }) => `${mode} handler of ${hook.id}`)
  ]
  return names.length === 0 ? "nothing" : names.join(", ")
}
