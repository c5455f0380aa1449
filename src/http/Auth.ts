/**
 * Who may use the API: the bearer of the admin key, and of each key that was made since.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { createHash, timingSafeEqual } from "node:crypto"
import { type Asker, CurrentActor, may, Principal } from "../Access.ts"
import { Keys } from "../Keys.ts"
import { Auth, needOf } from "./Bearer.ts"
import { Forbidden, Unauthorized, unavailable } from "./Problem.ts"

export { Auth } from "./Bearer.ts"

const digest = (text: string) => createHash("sha256").update(text).digest()

const admin: Asker = {
  actor: { kind: "admin-key", id: undefined, name: undefined },
  scopes: ["admin"],
  tenantId: undefined
}

/**
 * Layer with the admin key, which is compared in constant time, whatever the lengths, and the keys that are kept. An empty
 * key opens nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly adminKey: Redacted.Redacted<string>
}): Layer.Layer<Auth, never, Keys> =>
  Layer.effect(
    Auth,
    Effect.map(Keys, (keys) => {
      const expected = digest(Redacted.value(options.adminKey))
      const askerOf = (credential: Redacted.Redacted<string>) =>
        // A request without the header has the empty credential.
        Redacted.value(credential) !== "" && timingSafeEqual(digest(Redacted.value(credential)), expected)
          ? Effect.succeed(Option.some(admin))
          : Effect.mapError(keys.verify(credential), unavailable)
      return Auth.of({
        bearer: (handler, { credential, endpoint }) =>
          Effect.gen(function*() {
            const asker = yield* askerOf(credential)
            if (Option.isNone(asker)) {
              return yield* new Unauthorized({
                detail: "Send the header `Authorization: Bearer <key>` with a key that is valid."
              })
            }
            const { everybody = false, scope } = needOf(endpoint)
            if (!may(asker.value, scope)) {
              return yield* new Forbidden({
                detail: `This needs a key with the scope "${scope}"; yours has ${asker.value.scopes.join(", ")}.`
              })
            }
            if (everybody && asker.value.tenantId !== undefined) {
              return yield* new Forbidden({
                detail: `This needs a key for all tenants; yours is for "${asker.value.tenantId}".`
              })
            }
            return yield* handler.pipe(
              Effect.provideService(Principal, asker.value),
              Effect.provideService(CurrentActor, asker.value.actor)
            )
          })
      })
    })
  )
