/**
 * The contract of connections.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ConnectionId } from "../Id.ts"
import { ConnectionOption } from "../Provider.ts"
import { told } from "../Told.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import {
  Conflict,
  NotFound,
  PreconditionFailed,
  ProviderFailed,
  Refused,
  TooManyRequests,
  Unavailable
} from "./Problem.ts"
import { closed, id, JsonObject, Name } from "./Shapes.ts"
import { Time } from "./Time.ts"

/** @category schemas @since 0.1.0 */
export const ConnectionInput = Schema.Struct({
  name: Schema.String.pipe(told("Its name for people")),
  providerId: Schema.String.pipe(told("Whose connection it is")),
  config: Schema.Json.pipe(told("As the provider's `connectionSchema` wants it")),
  tenantId: Schema.optionalKey(Schema.String).pipe(
    told("Whose it is; the tenant of the key, or `default`, when left out")
  )
}).annotate({ identifier: "ConnectionInput" })

/** @category schemas @since 0.1.0 */
export const ConnectionPatch = Schema.Struct({
  name: Schema.optionalKey(Schema.String).pipe(told("Its name for people")),
  config: Schema.optionalKey(Schema.Json).pipe(
    told("Merged into the stored one: a secret that is blank stays, one that is null is taken away")
  )
}).annotate({ identifier: "ConnectionPatch" })

/** @category schemas @since 0.1.0 */
export const ConnectionView = Schema.Struct({
  id: ConnectionId.pipe(told("The connection's id, which subscriptions name")),
  tenantId: Schema.String.pipe(told("Whose it is")),
  providerId: Schema.String.pipe(told("Whose connection it is")),
  name: Schema.String.pipe(told("Its name for people")),
  config: Schema.Json.pipe(told("Without its secrets")),
  createdAt: Time.pipe(told("When it was made")),
  updatedAt: Time.pipe(told("When it was changed last"))
}).annotate({ identifier: "Connection" })

/** @category schemas @since 0.1.0 */
export const ConnectionTest = Schema.Struct({
  success: Schema.Boolean.pipe(told("Whether the credentials serve")),
  message: Schema.optionalKey(Schema.String).pipe(told("What the provider says, without secrets"))
}).annotate({ identifier: "ConnectionTest" })

/** @category schemas @since 0.1.0 */
export const OptionsInput = Schema.Struct({
  resolver: Schema.String.pipe(told("One of the provider's `optionResolvers`")),
  context: Schema.optionalKey(JsonObject).pipe(told("What is chosen so far"))
}).annotate({ identifier: "OptionsInput" })

/**
 * Connections.
 *
 * **Details**
 *
 * A test that fails, throws or hangs is an answer: `success` is false. Options that can't be told are a problem of status 422,
 * `provider-failed`: what failed is neither the request's form nor Hookline.
 *
 * @category groups
 * @since 0.1.0
 */
export class ConnectionsGroup extends HttpApiGroup.make("connections").add(
  HttpApiEndpoint.post("create", "/connections", {
    payload: ConnectionInput,
    success: ConnectionView.pipe(HttpApiSchema.status(201)),
    error: [Refused, Unavailable]
  }).annotateMerge(described({
    summary: "Save credentials",
    description:
      "Stores the credentials of a provider for many subscriptions: its secrets are sealed, and in no answer.",
    request: {
      providerId: "jira.jira",
      name: "Jira of operations",
      config: { baseUrl: "https://example.atlassian.net", email: "ada@example.com", apiToken: "…" }
    },
    answer: Examples.connection,
    versioned: true
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/connections", {
    query: { ...Page.query, tenantId: Schema.optionalKey(Name), providerId: Schema.optionalKey(Name) },
    success: Page.of(ConnectionView),
    error: [Refused, Unavailable]
  }).annotateMerge(described({
    summary: "List connections",
    description: "Newest first, without their secrets.",
    answer: Examples.connections
  })),
  HttpApiEndpoint.get("get", "/connections/:id", { ...id, success: ConnectionView, error: [NotFound, Unavailable] })
    .annotateMerge(described({
      summary: "Read a connection",
      description: "Without its secrets.",
      answer: Examples.connection,
      versioned: true
    })),
  HttpApiEndpoint.patch("update", "/connections/:id", {
    ...id,
    payload: ConnectionPatch,
    success: ConnectionView,
    error: [NotFound, Refused, PreconditionFailed, Unavailable]
  }).annotateMerge(described({
    summary: "Change a connection",
    description:
      "Its fields are merged into the stored ones, where a blank secret keeps its value, and one that is null is taken " +
      "away. A change of an address has to bring the secrets that are sent there. When it is answered, no attempt begins " +
      "under the old credentials.",
    request: { config: { apiToken: "…" } },
    answer: Examples.connection,
    versioned: true
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("remove", "/connections/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Conflict, PreconditionFailed, Unavailable]
  }).annotateMerge(described({
    summary: "Delete a connection",
    description:
      "Refused while subscriptions use it. With If-Match it deletes the version that was read, or answers 412."
  })),
  HttpApiEndpoint.post("test", "/connections/:id/test", {
    ...id,
    success: ConnectionTest,
    error: [NotFound, Refused, TooManyRequests, Unavailable]
  }).annotateMerge(described({
    summary: "Try a connection",
    description: "Asks the provider whether the stored credentials work.",
    answer: { success: true, message: "Connected as Ada" }
  })),
  HttpApiEndpoint.post("options", "/connections/:id/options", {
    ...id,
    payload: OptionsInput,
    success: Page.whole(ConnectionOption),
    error: [NotFound, Refused, ProviderFailed, TooManyRequests, Unavailable]
  }).annotateMerge(described({
    summary: "List choices",
    description: "What a field of a subscription may be, as the provider knows it: projects, channels, issue types.",
    request: { resolver: "projects", context: {} },
    answer: { items: [{ value: "OPS", label: "Operations" }], nextCursor: null }
  })).annotate(HttpApi.PayloadParseOptions, closed)
).annotateMerge(OpenApi.annotations({ description: "Credentials of providers that many subscriptions share." })) {}
