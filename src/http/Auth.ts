/**
 * Who may use the API: the bearer of the admin key.
 */
import { Effect, Layer, Redacted } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import { createHash, timingSafeEqual } from "node:crypto"
import { Unauthorized } from "./Problem.ts"

/** The middleware. */
export class Auth extends HttpApiMiddleware.Service<Auth>()("hookline/http/Auth", {
  security: { bearer: HttpApiSecurity.bearer },
  error: Unauthorized
}) {}

const digest = (text: string) => createHash("sha256").update(text).digest()

/** Layer with the one admin key; compared in constant time, whatever the lengths. */
export const layer = (options: { readonly adminKey: Redacted.Redacted<string> }): Layer.Layer<Auth> => {
  const expected = digest(Redacted.value(options.adminKey))
  return Layer.succeed(Auth, {
    bearer: (handler, { credential }) =>
      timingSafeEqual(digest(Redacted.value(credential)), expected)
        ? handler
        : Effect.fail(new Unauthorized({ detail: "Send the header `Authorization: Bearer <key>` with a valid key." }))
  })
}
