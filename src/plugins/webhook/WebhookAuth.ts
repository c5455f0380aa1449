/**
 * How a webhook's request proves who sends it, beside its signature, by `authType`. Certificates are in `WebhookTls`.
 */
import { Effect, Redacted } from "effect"
import type { Egress } from "../../Egress.ts"
import * as Provider from "../../Provider.ts"
import * as AwsSignature from "./AwsSignature.ts"
import * as OAuth2 from "./OAuth2.ts"
import { required, type WebhookConfig } from "./WebhookConfig.ts"

/**
 * A request as it goes to the endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draft {
  readonly method: string
  readonly url: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

/**
 * A request with what authorizes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authorized extends Draft {
  /** Its headers for people to look at. */
  readonly shown: ReadonlyArray<string>
  /** What of it nobody may see: endpoints repeat what they got. */
  readonly secrets: ReadonlyArray<string>
  /** Authorizes the request anew, once the endpoint has answered it with 401; undefined where that would change nothing. */
  readonly renewed: Effect.Effect<Authorized, Provider.ProviderError, Egress> | undefined
}

/** @category models @since 0.1.0 */
export interface WebhookAuth {
  /** The headers that it adds, in lower case. */
  readonly names: ReadonlyArray<string>
  /** Whether `authorize` takes no steps, and an answer of 401 changes nothing. */
  readonly isKnown: boolean
  readonly authorize: (draft: Draft, nowMs: number) => Effect.Effect<Authorized, Provider.ProviderError, Egress>
  /** The request as `authorize` makes it, for people to look at: its secrets are covered, and nobody is asked for any. */
  readonly shown: (draft: Draft, nowMs: number) => Effect.Effect<Draft, Provider.ProviderError>
}

/**
 * Makes the authorization; a refusal names the field that its `authType` needs.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*(config: WebhookConfig): Effect.fn.Return<WebhookAuth, Provider.ConfigRefused> {
    switch (config.authType) {
      case "bearer": {
        const token = yield* required(config, "bearerToken")
        return withHeader("authorization", `Bearer ${token}`, `Bearer ${covered}`, [token])
      }
      case "basic": {
        const username = yield* required(config, "basicUsername")
        const password = yield* required(config, "basicPassword")
        const credentials = Buffer.from(`${username}:${password}`).toString("base64")
        return withHeader("authorization", `Basic ${credentials}`, `Basic ${covered}`, [credentials, password])
      }
      case "header": {
        const value = yield* required(config, "authHeaderValue")
        return withHeader(yield* required(config, "authHeaderName"), value, covered, [
          value,
          // Without the scheme, as in "ApiKey 12345".
          ...[value.slice(value.indexOf(" ") + 1)].filter((bare) => bare.length >= 6)
        ])
      }
      case "oauth2":
        return withToken(
          yield* OAuth2.make({
            tokenUrl: yield* required(config, "oauthTokenUrl"),
            clientId: yield* required(config, "oauthClientId"),
            clientSecret: Redacted.make(yield* required(config, "oauthClientSecret")),
            scope: config.oauthScope,
            audience: config.oauthAudience,
            clientAuth: config.oauthClientAuth ?? "basic"
          })
        )
      case "sigv4":
        return withAwsSignature({
          accessKeyId: yield* required(config, "awsAccessKeyId"),
          secretAccessKey: yield* required(config, "awsSecretAccessKey"),
          sessionToken: config.awsSessionToken,
          region: yield* required(config, "awsRegion"),
          service: yield* required(config, "awsService")
        })
      default:
        return unauthorized
    }
  }
)

// --- internal ---

const covered = "***"

const none: ReadonlyArray<string> = []

const unauthorized: WebhookAuth = {
  names: [],
  isKnown: true,
  // Written out, as every attempt has it: to spread an object costs several times as much.
  authorize: ({ body, headers, method, url }) =>
    Effect.succeed({ method, url, headers, body, shown: headers, secrets: none, renewed: undefined }),
  shown: (draft) => Effect.succeed(draft)
}

const plus = (draft: Draft, ...headers: ReadonlyArray<string>): Draft => ({
  ...draft,
  headers: [...draft.headers, ...headers]
})

const withHeader = (name: string, value: string, shown: string, secrets: ReadonlyArray<string>): WebhookAuth => ({
  names: [name.toLowerCase()],
  isKnown: true,
  authorize: (draft) =>
    Effect.succeed({
      ...plus(draft, name, value),
      shown: [...draft.headers, name, shown],
      secrets,
      renewed: undefined
    }),
  shown: (draft) => Effect.succeed(plus(draft, name, shown))
})

const withToken = ({ forget, get }: OAuth2.Tokens): WebhookAuth => {
  const authorized = (draft: Draft, token: OAuth2.Token): Authorized => {
    const text = Redacted.value(token)
    return {
      ...plus(draft, "authorization", `Bearer ${text}`),
      shown: [...draft.headers, "authorization", `Bearer ${covered}`],
      secrets: [text],
      renewed: Effect.andThen(forget(token), Effect.map(get, (next) => authorized(draft, next)))
    }
  }
  return {
    names: ["authorization"],
    isKnown: false,
    authorize: (draft) => Effect.map(get, (token) => authorized(draft, token)),
    shown: (draft) => Effect.succeed(plus(draft, "authorization", `Bearer ${covered}`))
  }
}

const withAwsSignature = (credentials: AwsSignature.AwsCredentials): WebhookAuth => {
  const { sessionToken } = credentials
  const signed = (draft: Draft, nowMs: number) =>
    Effect.try({
      try: () => AwsSignature.sign(credentials, draft, nowMs),
      catch: () =>
        new Provider.PermanentError({
          code: "MalformedUrl",
          message: "The URL can't be signed: its percent signs must encode UTF-8; write a percent sign itself as %25"
        })
    })
  const shown = (text: string) => text === sessionToken ? covered : text.replace(/(?<=Signature=).*$/u, covered)
  return {
    names: AwsSignature.names,
    isKnown: false,
    authorize: (draft, nowMs) =>
      Effect.map(signed(draft, nowMs), ({ headers, url }) => ({
        ...plus(draft, ...headers),
        shown: [...draft.headers, ...headers.map(shown)],
        url,
        secrets: sessionToken === undefined ? [] : [sessionToken],
        renewed: undefined
      })),
    shown: (draft, nowMs) =>
      Effect.map(signed(draft, nowMs), ({ headers, url }) => ({ ...plus(draft, ...headers.map(shown)), url }))
  }
}
