/**
 * Versions of resources as HTTP tells them (RFC 9110, section 13): an answer's `ETag`, and a change's `If-Match`, so that two
 * editors don't overwrite each other.
 */
import { Effect } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import { PreconditionFailed } from "./Problem.ts"

/**
 * Tells a resource's version with the answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const tell = (version: number): Effect.Effect<void, never, HttpServerRequest.HttpServerRequest> =>
  HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(
      response.status < 300 ? HttpServerResponse.setHeader(response, "etag", `"${version}"`) : response
    )
  )

/**
 * Refuses a change that was meant for another version, and tells the present one with the answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stale = (version: number): Effect.Effect<never, PreconditionFailed, HttpServerRequest.HttpServerRequest> =>
  refused(version, `It is of version ${version} now: read it again, and send its ETag as If-Match.`)

/**
 * The version that a change of something is meant for; any where the request does not say.
 *
 * @category accessors
 * @since 0.1.0
 */
export const asked = Effect.fnUntraced(function*(present: { readonly version: number }) {
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  const text = headers["if-match"]?.trim()
  if (text === undefined || text === "*") return undefined
  const version = /^"(\d{1,15})"$/u.exec(text)?.[1]
  return version === undefined
    ? yield* refused(present.version, "Send the ETag of the answer that you edit as If-Match.")
    : Number(version)
})

// --- internal ---

const refused = Effect.fnUntraced(function*(version: number, detail: string) {
  yield* HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(
      response.status === 412 ? HttpServerResponse.setHeader(response, "etag", `"${version}"`) : response
    )
  )
  return yield* new PreconditionFailed({ detail })
})
