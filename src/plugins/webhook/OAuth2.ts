/**
 * OAuth 2.0 client credentials (RFC 6749, section 4.4): a token for all attempts of a configuration, fetched through the one
 * door, kept until it expires or an endpoint refuses it.
 */
import { Effect, Redacted, Result, Semaphore } from "effect"
import * as OAuth from "oauth4webapi"
import { Egress } from "../../Egress.ts"
import { Limits } from "../../Limits.ts"
import * as Provider from "../../Provider.ts"
import type { WebhookConfig } from "./WebhookConfig.ts"

/** @category models @since 0.1.0 */
export interface OAuth2 {
  readonly token: (nowMs: number) => Effect.Effect<Redacted.Redacted<string>, Provider.ProviderError, Egress>
  /** Forgets the token that an endpoint refused; true where there was one. */
  readonly forget: Effect.Effect<boolean>
}

/**
 * Makes the source of a configuration's tokens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (config: WebhookConfig): Effect.Effect<OAuth2> =>
  Effect.sync(() => {
    let kept: { readonly token: Redacted.Redacted<string>; readonly untilMs: number } | undefined
    // Attempts that need a token at once share one request.
    const fetching = Semaphore.makeUnsafe(1)
    return {
      token: (nowMs) =>
        fetching.withPermits(1)(Effect.suspend(() =>
          kept && kept.untilMs > nowMs ?
            Effect.succeed(kept.token) :
            Effect.map(request(config), ({ expiresMs, token }) => {
              kept = { token, untilMs: nowMs + expiresMs }
              return token
            })
        )),
      forget: Effect.sync(() => {
        const known = kept !== undefined
        kept = undefined
        return known
      })
    }
  })

// --- internal ---

const failed = (message: string) => new Provider.RetryableError({ code: "OAuthFailed", message })

const request = Effect.fnUntraced(function*(config: WebhookConfig) {
  const egress = yield* Egress
  const limits = yield* Limits
  const url = config.oauthTokenUrl ?? ""
  const server: OAuth.AuthorizationServer = { issuer: url, token_endpoint: url }
  const client: OAuth.Client = { client_id: config.oauthClientId ?? "" }
  const body = new URLSearchParams({ grant_type: "client_credentials" })
  if (config.oauthScope !== undefined) body.set("scope", config.oauthScope)
  if (config.oauthAudience !== undefined) body.set("audience", config.oauthAudience)
  const headers = new Headers({
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded;charset=UTF-8"
  })
  const authenticate = config.oauthClientAuth === "post" ? OAuth.ClientSecretPost : OAuth.ClientSecretBasic
  yield* Effect.promise(async () => authenticate(config.oauthClientSecret ?? "")(server, client, body, headers))
  const answer = yield* egress.send({
    method: "POST",
    url,
    headers: [...headers].flat(),
    body: body.toString(),
    timeoutMs: limits.requestTimeoutMs
  }).pipe(Effect.mapError((error) =>
    error._tag === "ForbiddenTarget"
      ? new Provider.PermanentError({ code: error._tag, message: `The token endpoint: ${error.message}` })
      : failed(`No token from the token endpoint: ${error.message}`)
  ))
  const parsed = yield* Effect.result(Effect.tryPromise({
    try: () =>
      OAuth.processClientCredentialsResponse(
        server,
        client,
        new Response(answer.body, { status: answer.statusCode, headers: { ...answer.headers } })
      ),
    catch: (error) =>
      // What else the endpoint says may repeat what it was sent.
      error instanceof OAuth.ResponseBodyError
        ? `it answered ${error.status} ${error.error}: check the client's id, secret and scope`
        : `it answered ${answer.statusCode} with what is no token`
  }))
  if (Result.isFailure(parsed)) return yield* failed(`No token from the token endpoint: ${parsed.failure}`)
  const { access_token, expires_in } = parsed.success
  const expiresMs = expires_in === undefined ? limits.oauthTokenMs : expires_in * 1000
  return {
    token: Redacted.make(access_token),
    // Half of a short life, so that a token does not expire on its way.
    expiresMs: Math.max(expiresMs / 2, expiresMs - limits.oauthMarginMs)
  }
})
