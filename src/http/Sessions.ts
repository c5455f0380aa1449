/**
 * Sessions of browsers: a key that was shown once is remembered by a cookie that scripts can't read. The cookie is sealed, so
 * that nothing has to be stored; it is worth what its key is, and no longer than a session lasts.
 */
import { Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Asker } from "../Access.ts"
import { KeyId } from "../Id.ts"
import { Keys } from "../Keys.ts"
import { Limits } from "../Limits.ts"
import { Secrets } from "../Secrets.ts"
import { Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { AdminKey } from "./AdminKey.ts"

/**
 * Sessions.
 *
 * @category services
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, {
  /** Begins one for whoever bears a key: its cookie goes with the answer. None where the key is no good. */
  readonly begin: (key: Redacted.Redacted<string>) => Effect.Effect<
    Option.Option<Asker>,
    StorageUnavailable,
    HttpServerRequest.HttpServerRequest
  >
  /** Whose session the request is of. */
  readonly current: Effect.Effect<Option.Option<Asker>, StorageUnavailable, HttpServerRequest.HttpServerRequest>
  /** Takes the cookie back. */
  readonly end: Effect.Effect<void, never, HttpServerRequest.HttpServerRequest>
}>()("hookline/http/Sessions") {}

/**
 * Layer of the sessions.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Sessions, never, AdminKey | Keys | Secrets | Storage> = Layer.effect(
  Sessions,
  Effect.gen(function*() {
    const admin = yield* AdminKey
    const keys = yield* Keys
    const secrets = yield* Secrets
    const storage = yield* Storage
    const { sessionMs } = yield* Limits

    const askerOf = ({ by }: typeof Session.Type) =>
      by === admin.print
        ? Effect.succeed(Option.some(admin.asker))
        : Option.match(keyIdOf(by), { onNone: () => Effect.succeed(Option.none()), onSome: keys.verifyAgain })

    return Sessions.of({
      begin: Effect.fnUntraced(function*(key) {
        const asker = admin.is(key) ? Option.some(admin.asker) : yield* keys.verify(key)
        if (Option.isNone(asker)) return asker
        const untilMs = (yield* storage.now) + sessionMs
        const session = JSON.stringify({ by: asker.value.actor.id ?? admin.print, untilMs })
        const sealed = yield* secrets.seal(Redacted.make(session), context)
        yield* setCookie(sealed, Math.round(sessionMs / 1000))
        return asker
      }),
      current: Effect.gen(function*() {
        const { cookies } = yield* HttpServerRequest.HttpServerRequest
        const sealed = cookies[cookieName]
        if (sealed === undefined) return Option.none()
        const opened = yield* Effect.option(secrets.open(sealed, context))
        const session = Option.flatMap(opened, (text) => decode(Redacted.value(text)))
        const nowMs = yield* storage.now
        return Option.isSome(session) && session.value.untilMs > nowMs
          ? yield* askerOf(session.value)
          : Option.none()
      }),
      end: setCookie("", 0)
    })
  })
)

/**
 * Whether a request comes from a page of its own origin, as browsers say: another site's page could send the cookie along.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
 * @category guards
 * @since 0.1.0
 */
export const isSameOrigin = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined) return site === "same-origin"
  const { host, origin } = headers
  return origin !== undefined && host !== undefined && URL.parse(origin)?.host === host
}

// --- internal ---

const cookieName = "hookline_session"

const context = "session"

const Session = Schema.Struct({
  /** The id of the key, or the admin key's print. */
  by: Schema.String,
  untilMs: Schema.Finite
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Session))

const keyIdOf = Schema.decodeUnknownOption(KeyId)

const setCookie = (value: string, maxAgeSeconds: number) =>
  HttpEffect.appendPreResponseHandler(({ headers }, response) => {
    // Behind proxies, the first of which ends TLS. On a plain connection a browser would not keep a secure cookie.
    const isSecure = headers["x-forwarded-proto"]?.split(",", 1)[0]?.trim() === "https"
    return Effect.succeed(HttpServerResponse.setHeader(
      response,
      "set-cookie",
      `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${isSecure ? "; Secure" : ""}`
    ))
  })
