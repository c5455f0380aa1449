/**
 * Errors over HTTP: problem details (RFC 9457) with a stable `type`, the path of the field and what to do.
 */
import { Effect, Schema } from "effect"
import { HttpApiError, HttpApiMiddleware } from "effect/http-api"
import type { EmitError } from "../Hook.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import type { StorageUnavailable } from "../StorageError.ts"

const type = (name: string) => `https://hookline.dev/problems/${name}`

/** 400: the body is no JSON. */
export class MalformedRequest extends HttpApiError.Problem<MalformedRequest>()("MalformedRequest", {
  type: "https://hookline.dev/problems/malformed-request",
  status: 400,
  title: "The request can't be read"
}) {}

/** 401: no key, or a wrong one. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: "https://hookline.dev/problems/unauthorized",
  status: 401,
  title: "A valid key is needed"
}) {}

/** 404: there is no such thing. */
export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: "https://hookline.dev/problems/not-found",
  status: 404,
  title: "There is no such thing"
}) {}

/** 409: the request contradicts what is stored. */
export class Conflict extends HttpApiError.Problem<Conflict>()("Conflict", {
  type: "https://hookline.dev/problems/conflict",
  status: 409,
  title: "The request contradicts what is stored"
}, { messageId: Schema.optionalKey(Schema.String) }) {}

/** 422: a schema or a policy refuses a field. */
export class Refused extends HttpApiError.Problem<Refused>()("Refused", {
  type: "https://hookline.dev/problems/refused",
  status: 422,
  title: "The request is refused"
}, { path: Schema.optionalKey(Schema.String) }) {}

/** 503: the database is away; nothing was done, or the detail says what may have been. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()("Unavailable", {
  type: "https://hookline.dev/problems/unavailable",
  status: 503,
  title: "Hookline can't do this now"
}) {}

/** Makes problems of what request schemas refuse. */
export class Problems extends HttpApiMiddleware.Service<Problems>()("hookline/http/Problems", {
  error: [MalformedRequest, Refused]
}) {}

/** Layer of the middleware. */
export const layer = HttpApiMiddleware.layerSchemaErrorTransform(
  Problems,
  (error): Effect.Effect<never, MalformedRequest | Refused | HttpApiError.HttpApiSchemaError> => {
    if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
    const { message, path } = SchemaErrors.first(error.cause, [])
    if (message === "Expected a valid JSON body") {
      return Effect.fail(new MalformedRequest({ detail: "The body is no JSON: send one JSON value in UTF-8." }))
    }
    return Effect.fail(new Refused({ detail: `${path === "" ? "The body" : path}: ${message}`, path }))
  }
)

/** The database's absence. */
export const unavailable = (error: StorageUnavailable): Unavailable =>
  new Unavailable({ detail: `${error.message} Nothing was done: try again.` })

/** What an emit's failure is over HTTP. */
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

/** The body of a problem that no endpoint declares. */
export const body = (name: string, status: number, title: string, detail: string) => ({
  type: type(name),
  status,
  title,
  detail
})
