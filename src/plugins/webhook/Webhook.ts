/**
 * The webhook provider: a signed HTTP request for each attempt (Standard Webhooks), and what each answer means.
 */
import { Effect, Schema } from "effect"
import { Egress, type EgressError, type EgressResponse } from "../../Egress.ts"
import { Limits } from "../../Limits.ts"
import * as Provider from "../../Provider.ts"
import * as Signature from "../../Signature.ts"
import * as RetryAfter from "./RetryAfter.ts"
import * as WebhookAuth from "./WebhookAuth.ts"
import * as WebhookBody from "./WebhookBody.ts"
import { problem, WebhookConfig } from "./WebhookConfig.ts"
import * as WebhookTemplates from "./WebhookTemplates.ts"

/**
 * The provider `webhook`, `webhook.webhook` in its plugin.
 *
 * **Details**
 *
 * 2xx is a success. 408, 429, 5xx, timeouts and lost connections are retried, and whatever `retryOnStatus` names; 410
 * disables the subscription; every other answer is permanent, redirects included. A template that fails is permanent too,
 * unless it took too long.
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
  bind: Effect.fnUntraced(function*(config: WebhookConfig): Effect.fn.Return<
    Provider.Bound<Egress>,
    Provider.ConfigRefused
  > {
    const templates = yield* WebhookTemplates.compile(config)
    const auth = yield* WebhookAuth.make(config)

    const draftOf = Effect.fnUntraced(function*(attempt: Provider.Attempt) {
      const rendered = yield* templates.render(attempt)
      const url = URL.parse(rendered.url)
      if (!url) {
        return yield* new Provider.PermanentError({
          code: "MalformedUrl",
          message: "The URL's template gave no URL: look at what it gives with the subscription's preview"
        })
      }
      const body = WebhookBody.make(config, attempt, rendered.body)
      const timestampSeconds = Math.floor(attempt.nowMs / 1000)
      const keys = yield* Effect.forEach(attempt.signingSecrets, Signature.parseSecret).pipe(
        Effect.mapError((error) => new Provider.RetryableError({ code: "Misconfigured", message: error.message }))
      )
      const draft: WebhookAuth.Draft = {
        method: config.method ?? "POST",
        url,
        headers: [
          "content-type",
          body.contentType,
          ...(templates.hasUserAgent ? [] : ["user-agent", userAgent]),
          ...body.headers,
          ...rendered.headers,
          "webhook-id",
          attempt.message.id,
          "webhook-timestamp",
          String(timestampSeconds),
          "webhook-signature",
          Signature.sign(keys, { id: attempt.message.id, timestampSeconds, body: body.text }),
          "x-delivery-id",
          attempt.deliveryId,
          "x-event-type",
          attempt.message.eventId
        ],
        body: body.text
      }
      return draft
    })

    return {
      check: Effect.gen(function*() {
        const found = problem(config)
        if (found) return yield* new Provider.ConfigRefused(found)
        const egress = yield* Egress
        const check = (field: "url" | "oauthTokenUrl", url: string) =>
          Effect.mapError(
            egress.check(url),
            (error) => new Provider.ConfigRefused({ path: `config.${field}`, message: error.message })
          )
        // Where a template decides the host, the target is judged when it is known.
        const target = templates.target
        if (target !== undefined) yield* check("url", target)
        if (config.authType === "oauth2") yield* check("oauthTokenUrl", config.oauthTokenUrl ?? "")
      }),
      preview: (attempt) =>
        Effect.map(draftOf(attempt), ({ body, headers, method, url }) => ({
          method,
          url: url.href,
          headers: pairs([...headers, ...auth.shown]),
          body
        })),
      deliver: Effect.fnUntraced(function*(attempt) {
        const egress = yield* Egress
        const limits = yield* Limits
        const draft = yield* draftOf(attempt)
        const response = yield* egress.send({
          method: draft.method,
          url: draft.url.href,
          timeoutMs: config.timeoutMs ?? limits.requestTimeoutMs,
          headers: [...draft.headers, ...(yield* auth.headers(draft, attempt.nowMs))],
          body: draft.body,
          ...(auth.tls === undefined ? {} : { tls: auth.tls })
        }).pipe(Effect.mapError(egressFailure))
        const again = response.statusCode === 401 && (yield* auth.refused)
        return yield* judge(config, limits, response, attempt.nowMs, again)
      })
    }
  })
})

// --- internal ---

/** The package's version, held to it by a test: importing package.json would tie the provider to where it is installed. */
const userAgent = "Hookline/0.1.0"

const pairs = (headers: ReadonlyArray<string>) =>
  headers.flatMap((name, i) => i % 2 === 0 ? [{ name, value: headers[i + 1] ?? "" }] : [])

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
  nowMs: number,
  /** Another try has something new to show. */
  again: boolean
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
  if (named || again || statusCode === 408 || statusCode === 429 || statusCode >= 500) {
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
