/**
 * A webhook subscription's configuration, under the seed's names.
 */
import { Effect, Schema } from "effect"
import { ConfigRefused } from "../../Provider.ts"

const secret = Schema.String.check(Schema.isMinLength(1)).annotate({ secret: true })

/** Names what a token is for, and not where it is sent, though it may be a URL. */
const text = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1024)).annotate({ address: false })

// Field values as RFC 9110 has them: no control characters, so no line breaks.
const headerValue = Schema.String.check(
  Schema.isPattern(/^[\t\x20-\x7e\x80-\xff]*$/u, {
    expected: "a header value without line breaks and control characters"
  })
)

const headerText = headerValue.annotate({ address: false })

/** Goes into a header as it is. */
const secretHeader = headerValue.check(Schema.isMinLength(1)).annotate({ secret: true })

/** A part of AWS' credential scope, which has slashes and commas between its parts. */
const awsName = Schema.String.check(
  Schema.isPattern(/^[\w.-]{1,128}$/u, { expected: "a name of letters, digits, dashes and dots" })
)

const pem = (what: string) =>
  Schema.String.check(
    Schema.isPattern(/^\s*-----BEGIN [A-Z0-9 ]+-----[\s\S]*-----END [A-Z0-9 ]+-----\s*$/u, {
      expected: `${what} in PEM, beginning with -----BEGIN`
    })
  )

const reserved = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "x-delivery-id",
  "x-event-type"
])

const headerName = Schema.String.check(
  Schema.isPattern(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/u, { expected: "a header name" }),
  Schema.makeFilter((name: string) => isReserved(name.toLowerCase()) ? "This header is Hookline's own" : undefined)
)

const isReserved = (name: string) => reserved.has(name) || name.startsWith("webhook-") || name.startsWith("ce-")

/**
 * The configuration. `url`, the values of `customHeaders` and `bodyTemplate` are templates (see `Template`).
 *
 * @category schemas
 * @since 0.1.0
 */
export const WebhookConfig = Schema.Struct({
  url: Schema.String.check(Schema.isMaxLength(2048)).annotate({ address: true }),
  method: Schema.optionalKey(Schema.Literals(["POST", "PUT", "PATCH"])),
  /** The form has one field, `payload`, that holds the JSON. */
  contentType: Schema.optionalKey(Schema.Literals(["application/json", "application/x-www-form-urlencoded"])),
  authType: Schema.optionalKey(
    Schema.Literals(["none", "bearer", "basic", "header", "oauth2", "mtls", "sigv4"])
  ),
  bearerToken: Schema.optionalKey(secretHeader),
  /** RFC 7617: what follows the first colon is the password. */
  basicUsername: Schema.optionalKey(
    Schema.String.check(Schema.isPattern(/^[^:]*$/u, { expected: "a user name without a colon" }))
  ),
  basicPassword: Schema.optionalKey(secret),
  authHeaderName: Schema.optionalKey(headerName),
  authHeaderValue: Schema.optionalKey(secretHeader),
  /** OAuth 2.0 client credentials (RFC 6749, section 4.4). */
  oauthTokenUrl: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(2048)).annotate({ address: true })),
  oauthClientId: Schema.optionalKey(text),
  oauthClientSecret: Schema.optionalKey(secret),
  oauthScope: Schema.optionalKey(text),
  oauthAudience: Schema.optionalKey(text),
  /** How the client authenticates at the token endpoint; in the header unless it says otherwise. */
  oauthClientAuth: Schema.optionalKey(Schema.Literals(["basic", "post"])),
  /** The client's certificate, with its chain, and its key. */
  tlsCertificate: Schema.optionalKey(pem("a certificate")),
  tlsPrivateKey: Schema.optionalKey(pem("a private key").annotate({ secret: true, unsent: true })),
  /** Authorities to trust instead of the system's, for whatever `authType`; not for the token endpoint. */
  tlsAuthorities: Schema.optionalKey(pem("certificates")),
  /** AWS Signature Version 4. */
  awsAccessKeyId: Schema.optionalKey(awsName),
  awsSecretAccessKey: Schema.optionalKey(secret.annotate({ unsent: true })),
  awsSessionToken: Schema.optionalKey(secretHeader),
  awsRegion: Schema.optionalKey(awsName),
  awsService: Schema.optionalKey(awsName),
  customHeaders: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: headerName, value: headerText })).check(Schema.isMaxLength(50))
  ),
  /** From the start to the end of the endpoint's answer. */
  timeoutMs: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 60_000 }))),
  /** Status codes to retry that would be permanent otherwise. */
  retryOnStatus: Schema.optionalKey(
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 300, maximum: 599 }))).check(Schema.isMaxLength(100))
  ),
  /** The body's form: Standard Webhooks', the seed's or CloudEvents 1.0. */
  format: Schema.optionalKey(Schema.Literals(["standard", "seed", "cloudevents-structured", "cloudevents-binary"])),
  /** The body instead of the format's, a template that gives JSON; not where the format is an envelope of CloudEvents. */
  bodyTemplate: Schema.optionalKey(Schema.String.annotate({ address: false }))
}).annotate({ identifier: "WebhookConfig" })

/** @category models @since 0.1.0 */
export type WebhookConfig = typeof WebhookConfig.Type

type TextField = {
  [Field in keyof WebhookConfig]-?: WebhookConfig[Field] extends string | undefined ? Field : never
}[keyof WebhookConfig]

/**
 * Refuses a field, or a place in it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const refused = (field: string, message: string): Effect.Effect<never, ConfigRefused> =>
  Effect.fail(new ConfigRefused({ path: `config.${field}`, message }))

/**
 * The value of a field that the configuration's `authType` needs.
 *
 * @category combinators
 * @since 0.1.0
 */
export const required = (config: WebhookConfig, field: TextField): Effect.Effect<string, ConfigRefused> => {
  const value = config[field]
  return value === undefined
    ? refused(field, `Expected a value, as authType is "${config.authType ?? "none"}"`)
    : Effect.succeed(value)
}
