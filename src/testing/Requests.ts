/**
 * What went out: every request that passed the fake door, in order, with how it ended.
 */
import { Context, Effect, type Redacted, Schema } from "effect"
import type { EgressRequest } from "../Egress.ts"
import * as Signature from "../Signature.ts"

// -- models

/**
 * How a request ended, as the sender saw it.
 *
 * @category models
 * @since 0.1.0
 */
export type Result =
  | { readonly _tag: "UnderWay" }
  | { readonly _tag: "Answered"; readonly statusCode: number }
  /** `lostStatusCode` is what the endpoint answered before the connection broke. */
  | { readonly _tag: "Failed"; readonly code: string; readonly lostStatusCode?: number }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "Interrupted" }

/**
 * A request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly method: string
  readonly url: string
  /** Lower-case names; repeated headers are joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The body parsed; undefined where it is no JSON. */
  readonly json: Schema.Json | undefined
  /** By the test's clock, in milliseconds since 1970. */
  readonly atMs: number
  readonly result: Result
}

// -- service

/**
 * The requests that were recorded; the layer is that of `EgressFake`.
 *
 * @category services
 * @since 0.1.0
 */
export class Requests extends Context.Service<Requests, {
  readonly all: Effect.Effect<ReadonlyArray<Request>>
}>()("hookline/testing/Requests") {}

// -- reading

/**
 * All requests, oldest first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const all: Effect.Effect<ReadonlyArray<Request>, never, Requests> = Effect.flatMap(
  Requests,
  (requests) => requests.all
)

/**
 * The requests to one URL, oldest first.
 *
 * **Example**
 *
 * ```ts
 * const [first, second] = yield* Requests.to("https://example.com/hook")
 * assert.deepInclude(second?.json, { type: "incident.incident.created" })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const to = (url: string): Effect.Effect<ReadonlyArray<Request>, never, Requests> =>
  Effect.map(all, (requests) => requests.filter((request) => request.url === normalize(url)))

/**
 * Verifies a request's Standard Webhooks signature with a subscription's secret, as its receiver would at that time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = (
  request: Request,
  signingSecret: Redacted.Redacted<string>
): Effect.Effect<void, Signature.SignatureRefused | Signature.MalformedSecret> =>
  Signature.verify({
    headers: request.headers,
    body: request.body,
    secrets: [signingSecret],
    nowMs: request.atMs
  })

/**
 * Tells whether the endpoint accepted a request and the sender knows of it: a status of 2xx that was not lost.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAccepted = ({ result }: Request): boolean =>
  result._tag === "Answered" && result.statusCode >= 200 && result.statusCode < 300

// -- recording

/**
 * A request as the door asks for it, at a time; it is under way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (request: EgressRequest, atMs: number): Request => {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < request.headers.length; i += 2) {
    const name = request.headers[i]?.toLowerCase() ?? ""
    const value = request.headers[i + 1] ?? ""
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before}, ${value}`
  }
  const { body, method, url } = request
  const json = decodeJson(body)
  return {
    method,
    url: normalize(url),
    headers,
    body,
    json: json._tag === "Some" ? json.value : undefined,
    atMs,
    result: { _tag: "UnderWay" }
  }
}

/**
 * A URL in its one spelling, so that `https://example.com` and `https://EXAMPLE.com/` are the same endpoint.
 *
 * @category conversions
 * @since 0.1.0
 */
export const normalize = (url: string): string => URL.parse(url)?.href ?? url

// --- internal ---

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))
