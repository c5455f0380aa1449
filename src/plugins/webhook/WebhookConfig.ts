/**
 * A webhook subscription's configuration, under the seed's names.
 */
import { Schema } from "effect"

const secret = Schema.String.check(Schema.isMinLength(1)).annotate({ secret: true })

// Field values as RFC 9110 has them: no control characters, so no line breaks.
const headerValue = Schema.String.check(
  Schema.isPattern(/^[\t\x20-\x7e\x80-\xff]*$/u, {
    message: "a header value without line breaks and control characters"
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

const isReserved = (name: string) => reserved.has(name) || name.startsWith("webhook-")

/**
 * The configuration.
 *
 * @category schemas
 * @since 0.1.0
 */
export const WebhookConfig = Schema.Struct({
  url: Schema.String.check(Schema.isMaxLength(2048)),
  method: Schema.optionalKey(Schema.Literals(["POST", "PUT", "PATCH"])),
  contentType: Schema.optionalKey(Schema.Literal("application/json")),
  authType: Schema.optionalKey(Schema.Literals(["none", "bearer", "basic", "header"])),
  bearerToken: Schema.optionalKey(secret),
  basicUsername: Schema.optionalKey(Schema.String),
  basicPassword: Schema.optionalKey(secret),
  authHeaderName: Schema.optionalKey(headerName),
  authHeaderValue: Schema.optionalKey(secret),
  customHeaders: Schema.optionalKey(
    Schema.Array(Schema.Struct({ name: headerName, value: headerValue })).check(Schema.isMaxLength(50))
  ),
  /** From the start to the end of the answer. */
  timeoutMs: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 60_000 }))),
  /** Status codes to retry that would be permanent otherwise. */
  retryOnStatus: Schema.optionalKey(
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 300, maximum: 599 }))).check(Schema.isMaxLength(100))
  ),
  /** The body's form: Standard Webhooks' or the seed's. */
  format: Schema.optionalKey(Schema.Literals(["standard", "seed"])),
  /** Templates come in a later version. */
  bodyTemplate: Schema.optionalKey(
    Schema.Never.annotate({ message: "templates are not supported yet: leave bodyTemplate out" })
  )
}).annotate({ identifier: "WebhookConfig" })

/** @category models @since 0.1.0 */
export type WebhookConfig = typeof WebhookConfig.Type

/**
 * What the fields say together: the first that is missing or malformed, with its path.
 *
 * @category guards
 * @since 0.1.0
 */
export const problem = (config: WebhookConfig): { readonly path: string; readonly message: string } | undefined => {
  const needs = (field: keyof WebhookConfig) =>
    config[field] === undefined
      ? { path: `config.${field}`, message: `Expected a value, as authType is "${config.authType}"` }
      : undefined
  const clean = (field: "bearerToken" | "authHeaderValue") =>
    /[^\t\x20-\x7e\x80-\xff]/u.test(config[field] ?? "")
      ? { path: `config.${field}`, message: "Expected a header value without line breaks and control characters" }
      : undefined
  // The header would be on the wire twice, and the endpoint free to take either.
  const twice = (header: string) => {
    const index = config.customHeaders?.findIndex(({ name }) => name.toLowerCase() === header.toLowerCase()) ?? -1
    return index < 0
      ? undefined
      : { path: `config.customHeaders[${index}].name`, message: `authType "${config.authType}" sends this header` }
  }
  switch (config.authType) {
    case "bearer":
      return needs("bearerToken") ?? clean("bearerToken") ?? twice("authorization")
    case "basic":
      return needs("basicUsername") ?? needs("basicPassword") ?? colon(config) ?? twice("authorization")
    case "header":
      return needs("authHeaderName") ?? needs("authHeaderValue") ?? clean("authHeaderValue") ??
        twice(config.authHeaderName ?? "")
    default:
      return undefined
  }
}

// --- internal ---

/** RFC 7617: what follows the first colon is the password. */
const colon = (config: WebhookConfig) =>
  config.basicUsername?.includes(":")
    ? { path: "config.basicUsername", message: "Expected a user name without a colon" }
    : undefined
