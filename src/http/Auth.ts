/**
 * Who may use the API: the bearer of the admin key.
 */
import { Effect, Layer, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import { Auth } from "./Bearer.ts"
import { Unauthorized } from "./Problem.ts"

export { Auth } from "./Bearer.ts"

const digest = (text: string) => createHash("sha256").update(text).digest()

/**
 * Layer with the one admin key; compared in constant time, whatever the lengths. An empty key opens nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: { readonly adminKey: Redacted.Redacted<string> }): Layer.Layer<Auth> => {
  const expected = digest(Redacted.value(options.adminKey))
  return Layer.succeed(Auth, {
    bearer: (handler, { credential }) => {
      // A request without the header has the empty credential.
      const given = Redacted.value(credential)
      return given !== "" && timingSafeEqual(digest(given), expected)
        ? handler
        : Effect.fail(new Unauthorized({ detail: "Send the header `Authorization: Bearer <key>` with a valid key." }))
    }
  })
}
