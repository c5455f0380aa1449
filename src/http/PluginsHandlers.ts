/**
 * The endpoints of what a runner's plugins bring.
 */
import { Effect, JsonSchema, Layer, Result, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Connections } from "../Connections.ts"
import type { Member } from "../Member.ts"
import * as Nearest from "../Nearest.ts"
import { providerIds, type RegisteredProvider, type Registration, Registry } from "../Registry.ts"
import * as SecretFields from "../SecretFields.ts"
import { Storage } from "../Storage.ts"
import { crowded } from "./Answers.ts"
import { Api } from "./Api.ts"
import { NotFound, Refused } from "./Problem.ts"
import * as Views from "./Views.ts"

const plugins = HttpApiBuilder.group(
  Api,
  "plugins",
  Effect.fnUntraced(function*(handlers) {
    const registry = yield* Registry
    const storage = yield* Storage
    return handlers.handle("list", () =>
      Effect.gen(function*() {
        const found = yield* registry.plugins
        const members = yield* Effect.orElseSucceed(storage.members, () => undefined)
        const runners = members?.filter((member) => member.alive)
        const items = yield* Effect.forEach(found, (item) =>
          Effect.map(plugin(item, registry), (view) => ({
            ...view,
            ...(runners === undefined ? {} : { missingOn: runners.filter(lacks(item)).map(({ id }) => id) })
          })))
        return { items, nextCursor: null }
      }))
  })
)

const providers = HttpApiBuilder.group(
  Api,
  "providers",
  Effect.fnUntraced(function*(handlers) {
    const registry = yield* Registry
    const connections = yield* Connections
    // A work queue is subscribed by its handler alone.
    const choosable = Effect.map(registry.providers, (found) => found.filter((item) => !item.queue))
    const find = Effect.fnUntraced(function*(id: string) {
      const known = yield* choosable
      const found = known.find((item) => item.providerId === id)
      if (found) return found
      return yield* new NotFound({ detail: `There is no provider "${id}"${Nearest.suggestion(id, ids(known))}` })
    })
    return handlers
      .handle(
        "list",
        () => Effect.map(choosable, (found) => ({ items: found.map(provider), nextCursor: null }))
      )
      .handle("get", ({ params }) => Effect.map(find(params.id), provider))
      .handle("test", ({ params, payload }) =>
        Effect.gen(function*() {
          const { providerId } = yield* find(params.id)
          const result = yield* Effect.catchTags(connections.testConfig(providerId, payload.config), {
            NoPlace: crowded,
            ConnectionRefused: ({ message, path }) => Effect.fail(new Refused({ path, detail: `${path}: ${message}` }))
          })
          return Views.connectionTest(result)
        }))
  })
)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = Layer.mergeAll(plugins, providers)

// --- internal ---

/** Whether a runner says that it lacks some of a plugin's code. */
const lacks = (registration: Registration) => ({ announced }: Member) =>
  announced !== undefined && !(
    registration.hooks.every(({ id }) => announced.events.includes(`${registration.pluginId}.${id}`)) &&
    providerIds(registration).every((id) => announced.providers.includes(id))
  )

const ids = (found: ReadonlyArray<RegisteredProvider>) => found.map((item) => item.providerId)

const plugin = Effect.fnUntraced(function*(item: Registration, registry: Registry["Service"]) {
  const { events, hooks, pluginId, providers } = item
  const exposed = new Set(events.map((event) => event.hook))
  const handlers = yield* Effect.forEach(
    item.handlers,
    (handler) =>
      Effect.map(registry.hookOf(handler.hook), (hook) => ({
        mode: handler.mode,
        eventId: hook?.eventId ?? handler.hook.id,
        ...(handler.mode === "work-queue" ? { workerGroup: handler.workerGroup } : {})
      }))
  )
  return {
    id: pluginId,
    hooks: hooks.map((hook) => ({ id: hook.id, eventId: `${pluginId}.${hook.id}`, exposed: exposed.has(hook) })),
    events: events.map((event) => `${pluginId}.${event.hook.id}`),
    providers: providers.map(({ id }) => `${pluginId}.${id}`),
    handlers
  }
})

const toObject = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Json))

/** One that JSON Schema can't express is a schema that takes anything. */
const jsonSchema = (of: Schema.Constraint) =>
  Result.try(() => {
    const { definitions, schema } = Schema.toJsonSchemaDocument(Schema.make(of.ast), { onExcessProperty: "error" })
    return toObject({
      $schema: JsonSchema.META_SCHEMA_URI_DRAFT_2020_12,
      ...schema,
      ...(Object.keys(definitions).length > 0 ? { $defs: definitions } : {})
    })
  }).pipe(Result.getOrElse(() => ({})))

const provider = (item: RegisteredProvider) => ({
  id: item.providerId,
  pluginId: item.pluginId,
  displayName: item.displayName,
  ...(item.description === undefined ? {} : { description: item.description }),
  configSchema: jsonSchema(item.config),
  secretFields: SecretFields.paths(item.config),
  ...(item.connection === undefined ? {} : {
    connectionSchema: jsonSchema(item.connection.schema),
    connectionSecretFields: SecretFields.paths(item.connection.schema)
  }),
  optionResolvers: [...item.connection?.options.keys() ?? []],
  supportsTest: item.connection?.test !== undefined,
  ...(item.supportedEvents === undefined ? {} : { supportedEvents: item.supportedEvents })
})
