/**
 * Who may use the API: the bearer of the admin key and of each key that was made since, and the browser that one of them has
 * begun a session with.
 */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { BoundTenant, CurrentActor, may, Principal, Standing } from "../Access.ts"
import { Keys } from "../Keys.ts"
import type { Secrets } from "../Secrets.ts"
import type { Storage } from "../Storage.ts"
import { AdminKey } from "./AdminKey.ts"
import * as AdminKeyLive from "./AdminKey.ts"
import { Auth, needOf } from "./Bearer.ts"
import { Forbidden, Unauthorized, unavailable } from "./Problem.ts"
import { isSameOrigin, Sessions } from "./Sessions.ts"
import * as SessionsLive from "./Sessions.ts"
import { Throttle } from "./Throttle.ts"
import * as ThrottleLive from "./Throttle.ts"

export { Auth } from "./Bearer.ts"
export { Sessions } from "./Sessions.ts"
export { Throttle } from "./Throttle.ts"

/**
 * Layer with the admin key and the keys that are kept.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly adminKey: Redacted.Redacted<string>
}): Layer.Layer<Auth | Sessions | Throttle, never, Keys | Secrets | Storage> =>
  auth.pipe(
    Layer.provideMerge(SessionsLive.layer),
    Layer.provideMerge(ThrottleLive.layer),
    Layer.provide(AdminKeyLive.layer(options))
  )

// --- internal ---

const auth = Layer.effect(
  Auth,
  Effect.gen(function*() {
    const admin = yield* AdminKey
    const keys = yield* Keys
    const sessions = yield* Sessions
    const throttle = yield* Throttle

    const bearerOf = (key: Redacted.Redacted<string>) =>
      admin.is(key) ? Effect.succeed(Option.some(admin.asker)) : keys.verify(key)

    const inSession = Effect.gen(function*() {
      const asker = yield* Effect.mapError(sessions.current, unavailable)
      const request = yield* HttpServerRequest.HttpServerRequest
      if (Option.isSome(asker) && request.method !== "GET" && !isSameOrigin(request)) {
        return yield* new Forbidden({
          detail: "A session changes something only from a page of this server: elsewhere, send a key."
        })
      }
      return asker
    })

    return Auth.of({
      bearer: (handler, { credential, endpoint }) =>
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          // A request without the header has the empty credential.
          const verify = Redacted.value(credential) === ""
            ? Effect.provideService(inSession, HttpServerRequest.HttpServerRequest, request)
            : Effect.mapError(bearerOf(credential), unavailable)
          const asker = yield* verify
          if (Option.isNone(asker)) {
            yield* throttle.refuse
            return yield* new Unauthorized({
              detail: "Send the header `Authorization: Bearer <key>` with a key that is valid."
            })
          }
          const { actor, scopes, tenantId } = asker.value
          yield* throttle.admit(actor)
          const { everybody = false, scope } = needOf(endpoint) ?? {}
          if (scope !== undefined && !may(asker.value, scope)) {
            return yield* new Forbidden({
              detail: `This needs a key with the scope "${scope}"; yours has ${scopes.join(", ")}.`
            })
          }
          if (everybody && tenantId !== undefined) {
            return yield* new Forbidden({
              detail: `This needs a key for all tenants; yours is for "${tenantId}".`
            })
          }
          return yield* handler.pipe(
            Effect.provideService(Principal, asker.value),
            Effect.provideService(Standing, {
              isGood: Effect.catch(Effect.map(verify, Option.isSome), () => Effect.succeed(true))
            }),
            Effect.provideService(CurrentActor, actor),
            Effect.provideService(BoundTenant, tenantId)
          )
        })
    })
  })
)
