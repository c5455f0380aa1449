/**
 * A webhook subscription's configuration, under the seed's names.
 */
import { Schema } from "effect"

const secret = Schema.String.check(Schema.isMinLength(1)).annotate({ secret: true })

const text = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1024))

// Field values as RFC 9110 has them: no control characters, so no line breaks.
const headerValue = Schema.String.check(
  Schema.isPattern(/^[\t\x20-\x7e\x80-\xff]*$/u, {
    message: "a header value without line breaks and control characters"
  })
)

const pem = (what: string) =>
  Schema.String.check(
    Schema.isPattern(/^\s*-----BEGIN [A-Z0-9 ]+-----[\s\S]*-----END [A-Z0-9 ]+-----\s*$/u, {
      message: `${what} in PEM, beginning with -----BEGIN`
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
  Schema.isPattern(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/u, { message: "a header name" }),
  Schema.makeFilter((name: string) => isReserved(name.toLowerCase()) ? "this header is Hookline's own" : undefined)
)

const isReserved = (name: string) => reserved.has(name) || name.startsWith("webhook-") || name.startsWith("ce-")

/**
 * The configuration. `url`, the values of `customHeaders` and `bodyTemplate` are templates (see `Template`).
 *
 * @category schemas
 * @since 0.1.0
 */
export const WebhookConfig = Schema.Struct({
  url: Schema.String.check(Schema.isMaxLength(2048)),
  method: Schema.optionalKey(Schema.Literals(["POST", "PUT", "PATCH"])),
  /** The form has one field, `payload`, that holds the JSON. */
  contentType: Schema.optionalKey(Schema.Literals(["application/json", "application/x-www-form-urlencoded"])),
  authType: Schema.optionalKey(
    Schema.Literals(["none", "bearer", "basic", "header", "oauth2", "mtls", "sigv4"])
  ),
  bearerToken: Schema.optionalKey(secret),
  basicUsername: Schema.optionalKey(Schema.String),
  basicPassword: Schema.optionalKey(secret),
  authHeaderName: Schema.optionalKey(headerName),
  authHeaderValue: Schema.optionalKey(secret),
  /** OAuth 2.0 client credentials (RFC 6749, section 4.4). */
  oauthTokenUrl: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(2048))),
  oauthClientId: Schema.optionalKey(text),
  oauthClientSecret: Schema.optionalKey(secret),
  oauthScope: Schema.optionalKey(text),
  oauthAudience: Schema.optionalKey(text),
  /** How the client authenticates at the token endpoint; in the header unless it says otherwise. */
  oauthClientAuth: Schema.optionalKey(Schema.Literals(["basic", "post"])),
  /** The client's certificate, with its chain, and its key. */
  tlsCertificate: Schema.optionalKey(pem("a certificate")),
  tlsPrivateKey: Schema.optionalKey(pem("a private key").annotate({ secret: true })),
  /** Authorities to trust instead of the system's, for whatever `authType`. */
  tlsAuthorities: Schema.optionalKey(pem("certificates")),
  awsAccessKeyId: Schema.optionalKey(text),
  awsSecretAccessKey: Schema.optionalKey(secret),
  awsSessionToken: Schema.optionalKey(secret),
  awsRegion: Schema.optionalKey(text),
  awsService: Schema.optionalKey(text),
  customHeaders: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: headerName, value: headerValue })).check(Schema.isMaxLength(50))
  ),
  /** From the start to the end of the answer. */
  timeoutMs: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 60_000 }))),
  /** Status codes to retry that would be permanent otherwise. */
  retryOnStatus: Schema.optionalKey(
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 300, maximum: 599 }))).check(Schema.isMaxLength(100))
  ),
  /** The body's form: Standard Webhooks', the seed's or CloudEvents 1.0. */
  format: Schema.optionalKey(Schema.Literals(["standard", "seed", "cloudevents-structured", "cloudevents-binary"])),
  /** The body instead of the format's, a template that gives JSON. */
  bodyTemplate: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "WebhookConfig" })

/** @category models @since 0.1.0 */
export type WebhookConfig = typeof WebhookConfig.Type

/**
 * What is wrong with a field.
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  readonly path: string
  readonly message: string
}

/**
 * What the fields say together: the first that is missing or malformed, with its path.
 *
 * @category guards
 * @since 0.1.0
 */
export const problem = (config: WebhookConfig): Problem | undefined => ofAuth(config) ?? ofBody(config)

// --- internal ---

const ofAuth = (config: WebhookConfig): Problem | undefined => {
  const needs = (...fields: ReadonlyArray<keyof WebhookConfig>) => {
    const field = fields.find((name) => config[name] === undefined)
    return field && { path: `config.${field}`, message: `Expected a value, as authType is "${config.authType}"` }
  }
  const clean = (field: "bearerToken" | "authHeaderValue") =>
    /[^\t\x20-\x7e\x80-\xff]/u.test(config[field] ?? "")
      ? { path: `config.${field}`, message: "Expected a header value without line breaks and control characters" }
      : undefined
  // The header would be on the wire twice, and the endpoint free to take either.
  const twice = (...headers: ReadonlyArray<string>) => {
    const index =
      config.customHeaders?.findIndex(({ name }) =>
        headers.some((header) => name.toLowerCase() === header.toLowerCase())
      ) ?? -1
    return index < 0
      ? undefined
      : { path: `config.customHeaders[${index}].name`, message: `authType "${config.authType}" sends this header` }
  }
  switch (config.authType) {
    case "bearer":
      return needs("bearerToken") ?? clean("bearerToken") ?? twice("authorization")
    case "basic":
      return needs("basicUsername", "basicPassword") ?? colon(config) ?? twice("authorization")
    case "header":
      return needs("authHeaderName", "authHeaderValue") ?? clean("authHeaderValue") ??
        twice(config.authHeaderName ?? "")
    case "oauth2":
      return needs("oauthTokenUrl", "oauthClientId", "oauthClientSecret") ?? twice("authorization")
    case "mtls":
      return needs("tlsCertificate", "tlsPrivateKey")
    case "sigv4":
      return needs("awsAccessKeyId", "awsSecretAccessKey", "awsRegion", "awsService") ??
        twice("authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
    default:
      return undefined
  }
}

/** RFC 7617: what follows the first colon is the password. */
const colon = (config: WebhookConfig) =>
  config.basicUsername?.includes(":")
    ? { path: "config.basicUsername", message: "Expected a user name without a colon" }
    : undefined

const ofBody = ({ bodyTemplate, contentType, format }: WebhookConfig): Problem | undefined => {
  if (bodyTemplate !== undefined && (format === "seed" || format === "cloudevents-structured")) {
    return { path: "config.bodyTemplate", message: `The format "${format}" gives the body: leave one of the two out` }
  }
  return contentType === "application/x-www-form-urlencoded" && format?.startsWith("cloudevents") === true
    ? { path: "config.contentType", message: `Expected application/json, as the format is "${format}"` }
    : undefined
}
