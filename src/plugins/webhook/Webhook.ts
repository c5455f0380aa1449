/**
 * The webhook provider: a signed HTTP request for each attempt (Standard Webhooks), and what each answer means.
 */
import { Effect, Schema } from "effect"
import { Egress, type EgressError, type EgressResponse } from "../../Egress.ts"
import { Limits } from "../../Limits.ts"
import * as Provider from "../../Provider.ts"
import * as Signature from "../../Signature.ts"
import * as RetryAfter from "./RetryAfter.ts"
import { problem, WebhookConfig } from "./WebhookConfig.ts"

/**
 * The provider `webhook`, `webhook.webhook` in its plugin.
 *
 * **Details**
 *
 * 2xx is a success. 408, 429, 5xx, timeouts and lost connections are retried, and whatever `retryOnStatus` names; 410
 * disables the subscription; every other answer is permanent, redirects included.
 *
 * **Gotchas**
 *
 * An endpoint that answers after the timeout has accepted the message and gets it again, under the same `webhook-id`.
 *
 * @category providers
 * @since 0.1.0
 */
export const provider: Provider.Provider<Egress> = Provider.make({
  id: "webhook",
  displayName: "Webhook",
  description: "Sends each message as a signed HTTP request",
  config: WebhookConfig,
  bind: (config): Provider.Bound<Egress> => {
    const headers = fixedHeaders(config)
    return {
      check: Effect.gen(function*() {
        const found = problem(config)
        if (found) return yield* new Provider.ConfigRefused(found)
        const egress = yield* Egress
        yield* egress.check(config.url).pipe(
          Effect.mapError((error) => new Provider.ConfigRefused({ path: "config.url", message: error.message }))
        )
      }),
      deliver: Effect.fnUntraced(function*(attempt) {
        const egress = yield* Egress
        const limits = yield* Limits
        const body = bodyOf(config, attempt)
        const timestampSeconds = Math.floor(attempt.nowMs / 1000)
        const keys = yield* Effect.forEach(attempt.signingSecrets, Signature.parseSecret).pipe(
          Effect.mapError((error) => new Provider.RetryableError({ code: "Misconfigured", message: error.message }))
        )
        const response = yield* egress.send({
          method: config.method ?? "POST",
          url: config.url,
          timeoutMs: config.timeoutMs ?? limits.requestTimeoutMs,
          headers: [
            ...headers,
            "webhook-id",
            attempt.message.id,
            "webhook-timestamp",
            String(timestampSeconds),
            "webhook-signature",
            Signature.sign(keys, { id: attempt.message.id, timestampSeconds, body }),
            "x-delivery-id",
            attempt.deliveryId,
            "x-event-type",
            attempt.message.eventId
          ],
          body
        }).pipe(Effect.mapError(egressFailure))
        return yield* judge(config, limits, response, attempt.nowMs)
      })
    }
  }
})

// --- internal ---

/** The package's version, held to it by a test: importing package.json would tie the provider to where it is installed. */
const userAgent = "Hookline/0.1.0"

const fixedHeaders = (config: WebhookConfig): ReadonlyArray<string> => {
  const headers = ["content-type", config.contentType ?? "application/json"]
  if (!config.customHeaders?.some(({ name }) => name.toLowerCase() === "user-agent")) {
    headers.push("user-agent", userAgent)
  }
  if (config.authType === "bearer") headers.push("authorization", `Bearer ${config.bearerToken ?? ""}`)
  if (config.authType === "basic") {
    const credentials = Buffer.from(`${config.basicUsername ?? ""}:${config.basicPassword ?? ""}`).toString("base64")
    headers.push("authorization", `Basic ${credentials}`)
  }
  if (config.authType === "header") headers.push(config.authHeaderName ?? "", config.authHeaderValue ?? "")
  for (const { name, value } of config.customHeaders ?? []) headers.push(name, value)
  return headers
}

/** The payload is JSON text already: the body is put around it, so that it is never parsed. */
const bodyOf = (config: WebhookConfig, attempt: Provider.Attempt): string => {
  const { eventId, payloadJson, timestampMs } = attempt.message
  const timestamp = new Date(timestampMs).toISOString()
  if (config.format !== "seed") {
    return `{"type":${JSON.stringify(eventId)},"timestamp":"${timestamp}","data":${payloadJson}}`
  }
  const { id, name } = attempt.subscription
  return `{"id":"${attempt.deliveryId}","eventType":${JSON.stringify(eventId)},"timestamp":"${timestamp}",` +
    `"subscription":{"id":"${id}","name":${JSON.stringify(name)}},"data":${payloadJson}}`
}

const egressFailure = (error: EgressError): Provider.ProviderError => {
  switch (error._tag) {
    case "ForbiddenTarget":
      return new Provider.PermanentError({ code: "ForbiddenTarget", message: error.message })
    case "EgressTimeout":
      return new Provider.RetryableError({ code: "Timeout", message: error.message, timedOut: true })
    case "ConnectionFailed":
      return new Provider.RetryableError({ code: error.code, message: error.message })
  }
}

const judge = (
  config: WebhookConfig,
  limits: Limits,
  answer: EgressResponse,
  nowMs: number
): Effect.Effect<Provider.Delivered, Provider.ProviderError> => {
  const { statusCode } = answer
  const response = excerpt(answer, limits)
  if (statusCode >= 200 && statusCode < 300) {
    const externalId = externalIdOf(answer)
    return Effect.succeed({ statusCode, response, ...(externalId === undefined ? {} : { externalId }) })
  }
  const failure = {
    code: "HttpStatus",
    message: clean(`HTTP ${statusCode}: ${answer.body.slice(0, 200)}`.trimEnd()),
    statusCode,
    response
  }
  const named = config.retryOnStatus?.includes(statusCode) === true
  if (named || statusCode === 408 || statusCode === 429 || statusCode >= 500) {
    const retryAfterMs = statusCode === 429 || statusCode === 503
      ? RetryAfter.parse(answer.headers["retry-after"], nowMs)
      : undefined
    return Effect.fail(
      new Provider.RetryableError({ ...failure, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
    )
  }
  return Effect.fail(
    statusCode === 410 ? new Provider.GoneError(failure) : new Provider.PermanentError(failure)
  )
}

const excerpt = (answer: EgressResponse, limits: Limits): Provider.ResponseExcerpt => ({
  headers: Object.fromEntries(
    Object.entries(answer.headers)
      .filter(([name]) => name !== "set-cookie")
      .slice(0, 32)
      .map(([name, value]) => [name, clean(value.slice(0, 200))])
  ),
  body: clean(Buffer.from(answer.body).subarray(0, limits.responseExcerptBytes).toString("utf8"))
})

/** Databases keep neither NUL characters nor half a surrogate pair, which a cut or an escape may leave. */
const clean = (text: string) => text.replaceAll("\0", "\u{fffd}").toWellFormed()

const decodeAnswer = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const externalIdOf = (answer: EgressResponse): string | undefined => {
  if (!answer.body.trimStart().startsWith("{")) return undefined
  const json = decodeAnswer(answer.body)
  if (json._tag === "None") return undefined
  const id = json.value["id"] ?? json.value["externalId"] ?? json.value["messageId"]
  return typeof id === "string" || typeof id === "number" ? clean(String(id).slice(0, 200)) : undefined
}
