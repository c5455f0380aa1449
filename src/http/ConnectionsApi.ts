/**
 * The contract of connections.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { ConnectionId } from "../Id.ts"
import { ConnectionOption } from "../Provider.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, PreconditionFailed, ProviderFailed, Refused, Unavailable } from "./Problem.ts"
import { closed, id, JsonObject, Name } from "./Shapes.ts"

/** @category schemas @since 0.1.0 */
export const ConnectionInput = Schema.Struct({
  name: Schema.String,
  providerId: Schema.String,
  config: Schema.Json,
  tenantId: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "ConnectionInput" })

/** @category schemas @since 0.1.0 */
export const ConnectionPatch = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  config: Schema.optionalKey(Schema.Json)
}).annotate({ identifier: "ConnectionPatch" })

/** @category schemas @since 0.1.0 */
export const ConnectionView = Schema.Struct({
  id: ConnectionId,
  tenantId: Schema.String,
  providerId: Schema.String,
  name: Schema.String,
  /** Without its secrets. */
  config: Schema.Json,
  createdAt: Schema.String,
  updatedAt: Schema.String
}).annotate({ identifier: "Connection" })

/** @category schemas @since 0.1.0 */
export const ConnectionTest = Schema.Struct({
  success: Schema.Boolean,
  /** What the provider says, without secrets. */
  message: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "ConnectionTest" })

/** @category schemas @since 0.1.0 */
export const OptionsInput = Schema.Struct({
  /** One of the provider's `optionResolvers`. */
  resolver: Schema.String,
  /** What is chosen so far. */
  context: Schema.optionalKey(JsonObject)
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
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/connections", {
    query: { ...Page.query, tenantId: Schema.optionalKey(Name), providerId: Schema.optionalKey(Name) },
    success: Page.of(ConnectionView),
    error: [Refused, Unavailable]
  }),
  HttpApiEndpoint.get("get", "/connections/:id", { ...id, success: ConnectionView, error: [NotFound, Unavailable] }),
  HttpApiEndpoint.patch("update", "/connections/:id", {
    ...id,
    payload: ConnectionPatch,
    success: ConnectionView,
    error: [NotFound, Refused, PreconditionFailed, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("remove", "/connections/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: [NotFound, Conflict, Unavailable]
  }),
  HttpApiEndpoint.post("test", "/connections/:id/test", {
    ...id,
    success: ConnectionTest,
    error: [NotFound, Refused, Unavailable]
  }),
  HttpApiEndpoint.post("options", "/connections/:id/options", {
    ...id,
    payload: OptionsInput,
    success: Page.whole(ConnectionOption),
    error: [NotFound, Refused, ProviderFailed, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed)
) {}
