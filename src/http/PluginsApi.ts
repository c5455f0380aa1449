/**
 * The contract of what a runner's plugins bring.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { RunnerId } from "../Id.ts"
import { told } from "../Told.ts"
import { ConnectionTest } from "./ConnectionsApi.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, Refused, TooManyRequests, Unavailable } from "./Problem.ts"
import { closed } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const PluginView = Schema.Struct({
  id: Schema.String.pipe(told("The plugin's id")),
  hooks: Schema.Array(
    Schema.Struct({
      id: Schema.String.pipe(told("Local to the plugin")),
      eventId: Schema.String.pipe(told("With the plugin's id before it")),
      exposed: Schema.Boolean.pipe(told("Whether it is an event"))
    })
  ).pipe(told("Its channels; those that are no event are inside the backend alone")),
  events: Schema.Array(Schema.String).pipe(told("The ids of its events")),
  providers: Schema.Array(Schema.String).pipe(told("The ids of its providers")),
  handlers: Schema.Array(Schema.Struct({
    mode: Schema.Literals(["broadcast", "local", "work-queue"]).pipe(
      told("In every process, in that of the emit, or once, durably")
    ),
    eventId: Schema.String.pipe(told("Which hook it hears")),
    workerGroup: Schema.optionalKey(Schema.String).pipe(told("The queue's name"))
  })).pipe(told("What it does itself when hooks are emitted, its own or other plugins'")),
  missingOn: Schema.optionalKey(Schema.Array(RunnerId)).pipe(
    told(
      "The runners alive that lack one of its hooks, providers or work queues; left out where the database does not tell"
    )
  )
}).annotate({ identifier: "Plugin" })

/** @category schemas @since 0.1.0 */
export const ProviderView = Schema.Struct({
  id: Schema.String.pipe(told("The provider's id, which subscriptions name")),
  pluginId: Schema.String.pipe(told("Whose it is")),
  displayName: Schema.String.pipe(told("Its name for people")),
  description: Schema.optionalKey(Schema.String).pipe(told("What it delivers to")),
  configSchema: Schema.Record(Schema.String, Schema.Json).pipe(
    told("JSON Schema, draft 2020-12, of a subscription's `config`")
  ),
  secretFields: Schema.Array(Schema.String).pipe(
    told("The paths of what is sealed when it is stored and never in an answer, as in `config.bearerToken`")
  ),
  connectionSchema: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)).pipe(
    told("JSON Schema of a connection's `config`; left out where the provider has no connections")
  ),
  connectionSecretFields: Schema.optionalKey(Schema.Array(Schema.String)).pipe(
    told("The paths of what is sealed of a connection")
  ),
  optionResolvers: Schema.Array(Schema.String).pipe(
    told("The names of the resolvers that tell what fields of a subscription's `config` can be")
  ),
  supportsTest: Schema.Boolean.pipe(told("Whether it can try credentials")),
  supportedEvents: Schema.optionalKey(Schema.Array(Schema.String)).pipe(
    told("The events that it can deliver; all when left out")
  )
}).annotate({ identifier: "Provider" })

/**
 * Credentials to try before they are saved: a connection's `config`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ProviderTestInput = Schema.Struct({ config: Schema.Json.pipe(told("The configuration to try")) }).annotate(
  { identifier: "ProviderTestInput" }
)

/**
 * The plugins of the runner that answers.
 *
 * **Details**
 *
 * All of them are whole: a plugin that can't be registered ends the start with an error that names it, so a runner that
 * answers has none to report here. `hookline doctor` finds such a plugin before a start.
 *
 * @category groups
 * @since 0.1.0
 */
export class PluginsGroup extends HttpApiGroup.make("plugins").add(
  HttpApiEndpoint.get("list", "/plugins", { success: Page.whole(PluginView) }).annotateMerge(
    described({
      summary: "List plugins",
      description: "What the plugins of the runner that answers bring: hooks, events, providers, handlers.",
      answer: Examples.plugins
    })
  )
).annotateMerge(OpenApi.annotations({ description: "What the code of a runner brings." })) {}

/** @category groups @since 0.1.0 */
export class ProvidersGroup extends HttpApiGroup.make("providers").add(
  HttpApiEndpoint.get("list", "/providers", { success: Page.whole(ProviderView) }).annotateMerge(
    described({
      summary: "List providers",
      description: "How messages can be delivered, with the JSON Schema of each configuration.",
      answer: Examples.providers
    })
  ),
  HttpApiEndpoint.get("get", "/providers/:id", {
    params: { id: Schema.String },
    success: ProviderView,
    error: NotFound
  }).annotateMerge(
    described({
      summary: "Read a provider",
      description: "With the JSON Schema of its configuration and which of its fields are secret.",
      answer: Examples.provider
    })
  ),
  HttpApiEndpoint.post("test", "/providers/:id/test", {
    params: { id: Schema.String },
    payload: ProviderTestInput,
    success: ConnectionTest,
    error: [NotFound, Refused, TooManyRequests, Unavailable]
  }).annotateMerge(described({
    summary: "Try credentials",
    description:
      "Asks the provider whether a connection's configuration works, before it is saved. A provider that has no " +
      "such test answers that it has none.",
    request: { config: { baseUrl: "https://example.atlassian.net", apiToken: "…" } },
    answer: { success: true, message: "Connected as Ada" }
  })).annotate(HttpApi.PayloadParseOptions, closed)
).annotateMerge(OpenApi.annotations({ description: "How messages can be delivered." })) {}
