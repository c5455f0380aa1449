/**
 * OAuth 2.0 client credentials (RFC 6749, section 4.4): a token for all attempts of a configuration, asked for through the one
 * door, kept until shortly before it expires or until an endpoint refuses it.
 */
import { Effect, Exit, Redacted } from "effect"
import * as OAuth from "oauth4webapi"
import { Egress, type EgressResponse } from "../../Egress.ts"
import { Limits } from "../../Limits.ts"
import * as Provider from "../../Provider.ts"

/**
 * How tokens are asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface OAuth2Client {
  readonly tokenUrl: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted<string>
  readonly scope: string | undefined
  readonly audience: string | undefined
  /** Where the client's id and secret go: into a header, or into the form. */
  readonly clientAuth: "basic" | "post"
}

/** @category models @since 0.1.0 */
export type Token = Redacted.Redacted<string>

/** @category models @since 0.1.0 */
export interface Tokens {
  /** The token that is kept, or a new one; those who need one at once share one request. */
  readonly get: Effect.Effect<Token, Provider.ProviderError, Egress>
  /** Drops a token that an endpoint refused, unless another has taken its place. */
  readonly forget: (token: Token) => Effect.Effect<void>
}

/**
 * Makes the source of a client's tokens.
 *
 * **Details**
 *
 * A token that can't be had is a failure that may pass, and is not kept: a secret may be renewed and an endpoint mended while
 * the schedule runs. A forbidden token endpoint is permanent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(client: OAuth2Client): Effect.fn.Return<Tokens> {
  /** The token that is kept; none while one is asked for. */
  let kept: Token | undefined
  const [get, invalidate] = yield* Effect.cachedInvalidateWithTTL(
    Effect.suspend(() => {
      kept = undefined
      return Effect.tap(request(client), ({ token }) => Effect.sync(() => (kept = token)))
    }),
    (exit) => Exit.isSuccess(exit) ? exit.value.forMs : 0
  )
  return {
    get: Effect.map(get, ({ token }) => token),
    forget: (token) =>
      Effect.suspend(() => {
        if (token !== kept) return Effect.void
        kept = undefined
        return invalidate
      })
  }
})

// --- internal ---

const failed = (reason: string, timedOut = false) =>
  new Provider.RetryableError({
    code: "OAuthFailed",
    message: `No token from config.oauthTokenUrl: ${reason}`,
    ...(timedOut ? { timedOut } : {})
  })

const request = Effect.fnUntraced(function*(client: OAuth2Client) {
  const egress = yield* Egress
  const limits = yield* Limits
  const answer = yield* egress.send({
    method: "POST",
    url: client.tokenUrl,
    ...(yield* formOf(client)),
    timeoutMs: limits.requestTimeoutMs
  }).pipe(Effect.mapError((error) =>
    error._tag === "ForbiddenTarget"
      ? new Provider.PermanentError({ code: error._tag, message: `config.oauthTokenUrl: ${error.message}` })
      : failed(error.message, error._tag === "EgressTimeout")
  ))
  const { access_token, expires_in, token_type } = yield* read(client, answer)
  if (token_type !== "bearer") return yield* failed("its token is of another type than Bearer")
  // Visible ASCII, as RFC 6749, appendix A.12, has it: it goes into a header.
  if (!/^[\x20-\x7e]+$/u.test(access_token) || access_token.length > limits.oauthTokenLength) {
    return yield* failed(`its token is no text of 1 to ${limits.oauthTokenLength} visible characters`)
  }
  const expiresMs = expires_in === undefined ? limits.oauthTokenMs : expires_in * 1000
  return {
    token: Redacted.make(access_token),
    // Half of a short life, so that a token does not expire on its way.
    forMs: Math.max(expiresMs / 2, expiresMs - limits.oauthMarginMs)
  }
})

const described = (client: OAuth2Client): readonly [OAuth.AuthorizationServer, OAuth.Client] => [
  { issuer: client.tokenUrl, token_endpoint: client.tokenUrl },
  { client_id: client.clientId }
]

const formOf = Effect.fnUntraced(function*(client: OAuth2Client) {
  const body = new URLSearchParams({ grant_type: "client_credentials" })
  if (client.scope !== undefined) body.set("scope", client.scope)
  if (client.audience !== undefined) body.set("audience", client.audience)
  const headers = new Headers({ accept: "application/json", "content-type": "application/x-www-form-urlencoded" })
  const secret = Redacted.value(client.clientSecret)
  const authenticate = client.clientAuth === "post" ? OAuth.ClientSecretPost(secret) : OAuth.ClientSecretBasic(secret)
  yield* Effect.promise(async () => authenticate(...described(client), body, headers))
  return { headers: [...headers].flat(), body: body.toString() }
})

/** What the library makes of an answer. A challenge, which it would raise before all else, is left out of it. */
const read = (client: OAuth2Client, { body, headers, statusCode }: EgressResponse) =>
  Effect.tryPromise({
    try: () =>
      OAuth.processClientCredentialsResponse(
        ...described(client),
        new Response(body, { status: statusCode, headers: { "content-type": headers["content-type"] ?? "" } })
      ),
    catch: (error) => {
      if (statusCode === 200) return failed("its answer holds no token")
      // What else it says may repeat what it was sent.
      const code = error instanceof OAuth.ResponseBodyError && codes.includes(error.error) ? error.error : undefined
      return failed(
        `it answered ${code === undefined ? "" : `${code}, `}HTTP ${statusCode}; ${advice(statusCode, code)}`
      )
    }
  })

/** RFC 6749, section 5.2. */
const codes = [
  "invalid_client",
  "invalid_grant",
  "invalid_request",
  "invalid_scope",
  "unauthorized_client",
  "unsupported_grant_type"
]

const advice = (statusCode: number, code: string | undefined): string => {
  if (statusCode === 429 || statusCode >= 500) return "it may pass"
  if (code === "invalid_scope") return "check oauthScope"
  if (code === "invalid_client" || statusCode === 401) {
    return "check oauthClientId, oauthClientSecret, which may have expired, and oauthClientAuth"
  }
  return "check oauthTokenUrl, oauthScope and oauthAudience, and that the client may use client credentials"
}
