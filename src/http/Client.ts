/**
 * A typed client of the HTTP API, made from its contract. What the API answers as a problem is a typed error with its
 * `detail`; nothing here needs Node.
 */
import { Effect, type Redacted, Schema } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { Api } from "./Api.ts"

/**
 * No answer came: nobody listens there, the name is not known, the connection broke.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  url: Schema.String,
  /** The system's reason, such as `ECONNREFUSED`, where it told one. */
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.url} does not answer (${this.reason}).`
  }
}

/**
 * An answer that the contract does not know: Hookline's own failure, or something else answers there.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnexpectedAnswer extends Schema.TaggedError<UnexpectedAnswer>()("UnexpectedAnswer", {
  status: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `HTTP ${this.status}: ${this.detail}`
  }
}

/**
 * Makes a client for the API at a base URL, as the bearer of a key.
 *
 * **Details**
 *
 * A method for each endpoint: `client.messages.emit({ payload: { eventId, payload } })`. Its errors are the endpoint's
 * problems (`NotFound`, `Refused`, `Conflict`, `Unauthorized`, …), `Unreachable` and `UnexpectedAnswer`; and
 * `HttpClientError` or `SchemaError` where an answer is not in the form of the contract.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly url: string
  readonly key: Redacted.Redacted<string>
}) =>
  Effect.flatMap(HttpClient.HttpClient, (client) =>
    HttpApiClient.makeWith(Api, {
      baseUrl: options.url,
      httpClient: client.pipe(
        HttpClient.mapRequest(HttpClientRequest.bearerToken(options.key)),
        HttpClient.transform((answer) =>
          answer.pipe(
            Effect.catchTag("HttpClientError", (error) => Effect.fail(sent(options.url, error))),
            Effect.flatMap((response) =>
              response.status < 400 || declared.has(response.status)
                ? Effect.succeed(response)
                : Effect.flatMap(unexpected(response), Effect.fail)
            )
          )
        )
      )
    }))

/** @category models @since 0.1.0 */
export type Client = Effect.Success<ReturnType<typeof make>>

// --- internal ---

/** The statuses of the contract's problems. */
const declared = new Set([400, 401, 403, 404, 409, 412, 422, 429, 503])

const sent = (url: string, error: HttpClientError.HttpClientError) =>
  error.reason._tag === "TransportError" ? new Unreachable({ url, reason: reasonOf(error.reason.cause) }) : error

/** The innermost cause's code, or its words. */
const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "no answer"
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0])
  if (cause.cause instanceof Error) return reasonOf(cause.cause)
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}

const Problem = Schema.fromJsonString(
  Schema.Struct({ title: Schema.String, detail: Schema.optionalKey(Schema.String) })
)

const unexpected = (response: HttpClientResponse.HttpClientResponse) =>
  response.text.pipe(
    Effect.flatMap(Schema.decodeEffect(Problem)),
    Effect.map(({ detail, title }) => detail ?? title),
    Effect.orElseSucceed(() => "this is no answer of Hookline's"),
    Effect.map((detail) => new UnexpectedAnswer({ status: response.status, detail }))
  )
