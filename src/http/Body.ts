/**
 * What can be told of a request's body before a schema sees it.
 */
import { Effect, Result } from "effect"
import { type HttpServerError, HttpServerRequest } from "effect/http"

/**
 * Levels of arrays and objects in a body: what reads JSON recurses, and a hostile body must not exhaust the stack.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDepth = 500

/**
 * The current request's body; read once, however often it is asked for.
 *
 * @category accessors
 * @since 0.1.0
 */
export const text: Effect.Effect<
  string,
  HttpServerError.HttpServerError,
  HttpServerRequest.HttpServerRequest
> = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.text)

/**
 * Tells whether a text is JSON.
 *
 * @category guards
 * @since 0.1.0
 */
export const isJson = (body: string): boolean => Result.isSuccess(Result.try(() => JSON.parse(body)))

/**
 * Tells whether a JSON text is nested deeper than `maxDepth`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTooDeep = (body: string): boolean => {
  let depth = 0
  let quoted = false
  for (let i = 0; i < body.length; i++) {
    const character = body[i]
    if (quoted) {
      if (character === "\\") i++
      else if (character === "\"") quoted = false
    } else if (character === "\"") quoted = true
    else if (character === "[" || character === "{") {
      if (++depth > maxDepth) return true
    } else if (character === "]" || character === "}") depth--
  }
  return false
}
