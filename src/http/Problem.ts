/**
 * Errors over HTTP: problem details (RFC 9457) with a stable `type`, the path of the field and what to do.
 */
import { Effect, Layer, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { type HttpApiEndpoint, HttpApiError, HttpApiMiddleware } from "effect/http-api"
import type { EmitBatchError, EmitError } from "../Hook.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { told } from "../Told.ts"
import * as Body from "./Body.ts"
import * as Query from "./Query.ts"
import * as Undeclared from "./Undeclared.ts"

/**
 * 400: the body is no JSON.
 *
 * @category errors
 * @since 0.1.0
 */
export class MalformedRequest extends HttpApiError.Problem<MalformedRequest>()("MalformedRequest", {
  type: "https://hookline.dev/problems/malformed-request",
  status: 400,
  title: "The request can't be read"
}) {}

/**
 * 401: no key, or a wrong one.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: "https://hookline.dev/problems/unauthorized",
  status: 401,
  title: "A valid key is needed"
}) {}

/**
 * 403: the key is valid, and may not do this.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: "https://hookline.dev/problems/forbidden",
  status: 403,
  title: "The key may not do this"
}) {}

/**
 * 404: there is no such thing.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: "https://hookline.dev/problems/not-found",
  status: 404,
  title: "There is no such thing"
}) {}

/**
 * 409: the request contradicts what is stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class Conflict extends HttpApiError.Problem<Conflict>()("Conflict", {
  type: "https://hookline.dev/problems/conflict",
  status: 409,
  title: "The request contradicts what is stored"
}, {
  messageId: Schema.optionalKey(Schema.String).pipe(told("The message that has the idempotency key")),
  subscriptions: Schema.optionalKey(Schema.Int).pipe(told("How many of them stand in the way"))
}) {}

/**
 * 412: somebody else changed it first.
 *
 * @category errors
 * @since 0.1.0
 */
export class PreconditionFailed extends HttpApiError.Problem<PreconditionFailed>()("PreconditionFailed", {
  type: "https://hookline.dev/problems/precondition-failed",
  status: 412,
  title: "It was changed meanwhile"
}) {}

/**
 * 422: a schema or a policy refuses a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends HttpApiError.Problem<Refused>()("Refused", {
  type: "https://hookline.dev/problems/refused",
  status: 422,
  title: "The request is refused"
}, { path: Schema.optionalKey(Schema.String).pipe(told("The field that is refused")) }) {}

/**
 * 422: the system behind a provider, or the provider's code, did not do what it was asked to.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderFailed extends HttpApiError.Problem<ProviderFailed>()("ProviderFailed", {
  type: "https://hookline.dev/problems/provider-failed",
  status: 422,
  title: "The provider's system did not answer"
}) {}

/**
 * 429: too many requests, or too much of one tenant's at once; the answer's `Retry-After` says how many seconds to wait.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()("TooManyRequests", {
  type: "https://hookline.dev/problems/too-many-requests",
  status: 429,
  title: "Too many requests"
}) {}

/**
 * 503: the database is away; nothing was done, or the detail says what may have been. Or the runner has no room now.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends HttpApiError.Problem<Unavailable>()("Unavailable", {
  type: "https://hookline.dev/problems/unavailable",
  status: 503,
  title: "Hookline can't do this now"
}) {}

/**
 * Makes problems of what request schemas refuse, and of query parameters that an endpoint does not have.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Problems extends HttpApiMiddleware.Service<Problems>()("hookline/http/Problems", {
  error: [MalformedRequest, Refused]
}) {}

/**
 * Layer of the middleware.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Problems> = Layer.succeed(
  Problems,
  (handled, { endpoint }) =>
    explained(Effect.andThen(
      asked(endpoint),
      endpoint.payload.size > 0 ? Effect.andThen(shallow, handled) : handled
    ))
)

/**
 * The database's absence.
 *
 * @category conversions
 * @since 0.1.0
 */
export const unavailable = (error: StorageUnavailable): Unavailable =>
  new Unavailable({ detail: `${error.message} Nothing was done: try again.` })

/**
 * What an emit's failure is over HTTP.
 *
 * @category conversions
 * @since 0.1.0
 */
export const ofEmit = (error: EmitError): Refused | Conflict | Unavailable => {
  switch (error._tag) {
    case "PayloadRefused":
      return new Refused({ detail: `${error.path}: ${error.message}`, path: error.path })
    case "HookNotRegistered":
      return new Refused({ detail: error.message, path: "eventId" })
    case "IdempotencyConflict":
      return new Conflict({ detail: error.message, messageId: error.messageId })
    case "EmitOutcomeUnknown":
      return new Unavailable({ detail: error.message })
    case "StorageUnavailable":
      return unavailable(error)
  }
}

/**
 * What a batch's failure is over HTTP: the path says which message is meant.
 *
 * @category conversions
 * @since 0.1.0
 */
export const ofBatch = (error: EmitBatchError): Refused | Conflict | Unavailable => {
  if (error._tag !== "BatchRefused") return ofEmit(error)
  const { path, reason } = error
  switch (reason._tag) {
    case "PayloadRefused":
      return new Refused({ detail: `${path}.${reason.path}: ${reason.message}`, path: `${path}.${reason.path}` })
    case "HookNotRegistered":
      return new Refused({ detail: `${path}.eventId: ${reason.message}`, path: `${path}.eventId` })
    case "IdempotencyConflict":
      return new Conflict({ detail: `${path}.idempotencyKey: ${reason.message}`, messageId: reason.messageId })
  }
}

/**
 * The body of a problem that no endpoint declares.
 *
 * @category conversions
 * @since 0.1.0
 */
export const body = (kind: Undeclared.Kind, detail: string) => ({
  type: Undeclared.typeOf(kind),
  status: kind.status,
  title: kind.title,
  detail
})

// --- internal ---

// What goes wrong while a body is read is the server's to answer: 413, or 400 for one that ended too early.
const sentBody = Effect.orDie(Body.text)

const shallow = Effect.flatMap(
  sentBody,
  (text) =>
    Body.isTooDeep(text)
      ? Effect.fail(new Refused({ detail: `The body: Expected at most ${Body.maxDepth} levels of nesting`, path: "" }))
      : Effect.void
)

const asked = (endpoint: HttpApiEndpoint.Top) =>
  Effect.flatMap(
    Query.unknownParameter(endpoint),
    (unknown) =>
      unknown
        ? Effect.fail(new Refused({ detail: `${unknown.name}: ${unknown.message}`, path: unknown.name }))
        : Effect.void
  )

const ofSchema = Effect.fnUntraced(function*(error: HttpApiError.HttpApiSchemaError) {
  // Hookline's own answer does not fit its contract.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return yield* Effect.die(error)
  if (error.kind === "Payload" && !Body.isJson(yield* sentBody)) {
    return yield* new MalformedRequest({ detail: "The body is no JSON: send one JSON value in UTF-8." })
  }
  const { message, path } = SchemaErrors.first(error.cause, [])
  return yield* new Refused({ detail: `${path === "" ? "The body" : path}: ${message}`, path })
})

const explained = <A, E, R>(
  handled: Effect.Effect<A, E, R>
): Effect.Effect<A, E | MalformedRequest | Refused, R | HttpServerRequest.HttpServerRequest> =>
  Effect.catch(
    handled,
    (error): Effect.Effect<never, E | MalformedRequest | Refused, HttpServerRequest.HttpServerRequest> =>
      HttpApiError.HttpApiSchemaError.is(error) ? ofSchema(error) : Effect.fail(error)
  )
