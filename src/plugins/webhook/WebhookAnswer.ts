/**
 * What an endpoint's answer means for the delivery, and what is kept of it.
 */
import { Result, Schema, type Types } from "effect"
import type { EgressError, EgressResponse } from "../../Egress.ts"
import type { Limits } from "../../Limits.ts"
import * as Provider from "../../Provider.ts"
import * as Redaction from "../../Redaction.ts"
import * as RetryAfter from "./RetryAfter.ts"
import type { WebhookConfig } from "./WebhookConfig.ts"

/**
 * Judges an answer by its status.
 *
 * @category conversions
 * @since 0.1.0
 */
export const judge = (
  answer: EgressResponse,
  { limits, nowMs, retryOnStatus }: {
    readonly limits: Limits
    readonly nowMs: number
    readonly retryOnStatus: WebhookConfig["retryOnStatus"]
  }
): Result.Result<Provider.Delivered, Provider.ProviderError> => {
  const { statusCode } = answer
  const response = excerpt(answer, limits)
  if (statusCode >= 200 && statusCode < 300) {
    const externalId = externalIdOf(answer)
    return Result.succeed(externalId === undefined ? { statusCode, response } : { statusCode, response, externalId })
  }
  const failure = {
    code: "HttpStatus",
    message: clean(`HTTP ${statusCode}: ${answer.body.slice(0, 200)}`.trimEnd()),
    statusCode,
    response
  }
  const named = retryOnStatus?.includes(statusCode) === true
  if (named || statusCode === 408 || statusCode === 429 || statusCode >= 500) {
    const retryAfterMs = statusCode === 429 || statusCode === 503
      ? RetryAfter.parse(answer.headers["retry-after"], nowMs)
      : undefined
    return Result.fail(
      new Provider.RetryableError({ ...failure, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
    )
  }
  return Result.fail(
    statusCode === 410 ? new Provider.GoneError(failure) : new Provider.PermanentError(failure)
  )
}

/**
 * What it means that there is no answer.
 *
 * @category conversions
 * @since 0.1.0
 */
export const failure = (error: EgressError): Provider.ProviderError => {
  switch (error._tag) {
    case "ForbiddenTarget":
      return new Provider.PermanentError({ code: "ForbiddenTarget", message: error.message })
    case "EgressTimeout":
      return new Provider.RetryableError({ code: "Timeout", message: error.message, timedOut: true })
    case "ConnectionFailed":
      return new Provider.RetryableError({
        code: error.code,
        message: untrusted.has(error.code)
          ? `${error.message}; put the certificate of the authority that signed the endpoint's into tlsAuthorities`
          : error.message
      })
  }
}

/**
 * An answer without secrets that the endpoint repeats, as they were sent, inside JSON or a URL.
 *
 * @category combinators
 * @since 0.1.0
 */
export const without = (answer: EgressResponse, secrets: ReadonlyArray<string>): EgressResponse => {
  if (secrets.length === 0) return answer
  const cover = Redaction.cover(secrets)
  return {
    statusCode: answer.statusCode,
    headers: Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, cover(value)])),
    body: cover(answer.body)
  }
}

// --- internal ---

const untrusted = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
])

const blank: Provider.ResponseExcerpt = { headers: {}, body: "" }

const excerpt = (answer: EgressResponse, limits: Limits): Provider.ResponseExcerpt => {
  // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
  const found: Types.Mutable<Provider.ResponseExcerpt> = { ...blank }
  found.headers = headersOf(answer, limits)
  found.body = clean(
    // A character takes at most three bytes: most answers need no second look.
    answer.body.length * 3 <= limits.responseExcerptBytes
      ? answer.body
      : Buffer.from(answer.body).subarray(0, limits.responseExcerptBytes).toString("utf8")
  )
  return found
}

const headersOf = ({ headers }: EgressResponse, limits: Limits): Record<string, string> => {
  const kept: Record<string, string> = {}
  let count = 0
  for (const name in headers) {
    const value = headers[name]
    if (name === "set-cookie" || value === undefined) continue
    if (++count > limits.headersKept) break
    kept[name] = clean(value.slice(0, limits.headerExcerptLength))
  }
  return kept
}

/** Databases keep neither NUL characters nor half a surrogate pair, which a cut or an escape may leave. */
const clean = (text: string) =>
  text.includes("\0") ? text.replaceAll("\0", "\u{fffd}").toWellFormed() : text.toWellFormed()

const decodeAnswer = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const nothing = /^\s*(?:\{\s*\}\s*)?$/u

const externalIdOf = (answer: EgressResponse): string | undefined => {
  if (nothing.test(answer.body) || !answer.body.trimStart().startsWith("{")) return undefined
  const json = decodeAnswer(answer.body)
  if (json._tag === "None") return undefined
  const id = json.value["id"] ?? json.value["externalId"] ?? json.value["messageId"]
  return typeof id === "string" || typeof id === "number" ? clean(String(id).slice(0, 200)) : undefined
}
