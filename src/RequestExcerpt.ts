/**
 * What is kept of a request beside its attempt, for people to look at.
 */
import { Schema, type Types } from "effect"
import { told } from "./Told.ts"

/**
 * A header.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RequestHeader = Schema.Struct({
  name: Schema.String.pipe(told("The header's name")),
  value: Schema.String.pipe(told("Its value"))
})

/**
 * The beginning of a request, without secrets.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RequestExcerpt = Schema.Struct({
  method: Schema.String.pipe(told("The method")),
  url: Schema.String.pipe(told("With what templates made of it")),
  headers: Schema.Array(RequestHeader).pipe(told("The first of them; secrets are covered")),
  body: Schema.optionalKey(Schema.String).pipe(
    told("Its beginning; left out where the endpoint accepted it: what was accepted is the message")
  )
}).annotate({ identifier: "RequestExcerpt" })
/** @category models @since 0.1.0 */
export type RequestExcerpt = typeof RequestExcerpt.Type

/**
 * Whether something is a whole request, as plugins note one. Written by hand: every attempt asks.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWhole = (
  request: { readonly [Key in keyof RequestExcerpt]?: unknown } | undefined
): request is Required<RequestExcerpt> =>
  typeof request === "object" && request !== null && typeof request.method === "string" &&
  typeof request.url === "string" && typeof request.body === "string" && Array.isArray(request.headers) &&
  request.headers.every((header: { readonly name?: unknown; readonly value?: unknown } | null | undefined) =>
    typeof header?.name === "string" && typeof header.value === "string"
  )

/**
 * The excerpt of a whole request: texts of at most `length` characters. Without its body it is short: every attempt has one.
 *
 * @category conversions
 * @since 0.1.0
 */
export const of = (
  { body, headers, method, url }: Required<RequestExcerpt>,
  { headerLength, headersKept, length, withBody }: {
    readonly withBody: boolean
    readonly length: number
    readonly headerLength: number
    readonly headersKept: number
  }
): RequestExcerpt => {
  // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
  const found: Types.Mutable<RequestExcerpt> = { ...blank }
  found.method = method
  found.url = url.slice(0, length).toWellFormed()
  found.headers = headers.length <= headersKept &&
      headers.every(({ value }) => value.length <= headerLength && value.isWellFormed())
    ? headers
    : headers.slice(0, headersKept).map(({ name, value }) => ({
      name,
      value: value.slice(0, headerLength).toWellFormed()
    }))
  if (withBody) found.body = body.slice(0, length).toWellFormed()
  return found
}

// --- internal ---

const blank: RequestExcerpt = { method: "", url: "", headers: [] }
