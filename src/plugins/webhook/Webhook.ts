/**
 * The webhook provider: a signed HTTP request for each attempt (Standard Webhooks), and what each answer means.
 */
import { Effect, type Redacted, Result } from "effect"
import { Egress, type EgressResponse, type EgressTls } from "../../Egress.ts"
import { Limits } from "../../Limits.ts"
import * as Note from "../../Note.ts"
import * as Provider from "../../Provider.ts"
import * as Signature from "../../Signature.ts"
import * as WebhookAnswer from "./WebhookAnswer.ts"
import * as WebhookAuth from "./WebhookAuth.ts"
import * as WebhookBody from "./WebhookBody.ts"
import { refused, WebhookConfig } from "./WebhookConfig.ts"
import * as WebhookTemplates from "./WebhookTemplates.ts"
import * as WebhookTls from "./WebhookTls.ts"

/**
 * The provider `webhook`, `webhook.webhook` in its plugin.
 *
 * **Details**
 *
 * 2xx is a success. 408, 429, 5xx, timeouts and lost connections are retried, and whatever `retryOnStatus` names; 410
 * disables the subscription; every other answer is permanent, redirects included. A template that fails is permanent too,
 * unless it took too long. After a 401 to an OAuth token the attempt sends the request once more, with a new token.
 *
 * **Gotchas**
 *
 * An endpoint that answers after the timeout has accepted the message and gets it again, under the same `webhook-id`. A
 * preview's signature is a real one: who may see previews can show an endpoint what was never sent.
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
    const bodyOf = yield* WebhookBody.make(config)
    const auth = yield* WebhookAuth.make(config)
    const tls = yield* WebhookTls.make(config)
    if (tls !== undefined && /^\s*http:/iu.test(config.url)) yield* refused("url", needsHttps)
    const names = yield* namesOf(config, auth.names)
    return new BoundWebhook(config, {
      templates,
      bodyOf,
      auth,
      tls,
      limits: yield* Limits,
      isNamed: !names.has("user-agent"),
      isTraced: !names.has("traceparent")
    })
  })
})

// --- internal ---

/** What a configuration comes to. */
interface Compiled {
  readonly templates: WebhookTemplates.WebhookTemplates
  readonly bodyOf: WebhookBody.BodyOf
  readonly auth: WebhookAuth.WebhookAuth
  readonly tls: EgressTls | undefined
  readonly limits: Limits
  /** Whether the request says what sends it, and where it is in a trace: a header of the configuration's own goes before. */
  readonly isNamed: boolean
  readonly isTraced: boolean
}

/** One configuration, bound. There may be very many, so each holds nothing but what differs, and no functions of its own. */
class BoundWebhook implements Provider.Bound<Egress> {
  readonly #config: WebhookConfig
  readonly #compiled: Compiled

  constructor(config: WebhookConfig, compiled: Compiled) {
    this.#config = config
    this.#compiled = compiled
  }

  get origin() {
    const { target } = this.#compiled.templates
    return target === undefined ? undefined : URL.parse(target)?.origin
  }

  get check() {
    const { authType, oauthTokenUrl } = this.#config
    const { target } = this.#compiled.templates
    return Effect.andThen(
      // Where a template decides the host, the target is judged when it is known.
      target === undefined ? Effect.void : checkUrl("url", target),
      authType === "oauth2" && oauthTokenUrl !== undefined ? checkUrl("oauthTokenUrl", oauthTokenUrl) : Effect.void
    )
  }

  preview(attempt: Provider.Attempt): Effect.Effect<Provider.RequestPreview, Provider.ProviderError> {
    return Effect.flatMap(
      this.#draftOf(attempt),
      (draft) =>
        Effect.map(this.#compiled.auth.shown(draft, attempt.nowMs), ({ body, headers, method, url }) => ({
          method,
          url,
          headers: pairs(headers),
          body
        }))
    )
  }

  deliver(attempt: Provider.Attempt): Effect.Effect<Provider.Delivered, Provider.ProviderError, Egress> {
    return Egress.use((egress) =>
      Effect.flatMapEager(
        this.#authorized(attempt),
        (authorized) =>
          this.#send(egress, this.#exchangeOf(authorized, attempt), ({ statusCode }) =>
            statusCode === 401 && authorized.renewed !== undefined
              ? Effect.flatMap(authorized.renewed, (again) =>
                this.#send(egress, this.#exchangeOf(again, attempt)))
              : undefined)
      )
    )
  }

  exchange(attempt: Provider.Attempt): Provider.Exchange | undefined {
    if (!this.#compiled.auth.isKnown) return undefined
    let authorized: WebhookAuth.Authorized | undefined
    // Run at once where there are no steps before it, else never.
    Effect.mapEager(this.#authorized(attempt), (known) => {
      authorized = known
    })
    return authorized && this.#exchangeOf(authorized, attempt)
  }

  #authorized(attempt: Provider.Attempt): Effect.Effect<WebhookAuth.Authorized, Provider.ProviderError, Egress> {
    return Effect.flatMapEager(
      this.#draftOf(attempt),
      (draft) => this.#compiled.auth.authorize(draft, attempt.nowMs)
    )
  }

  /** What is known already is not waited for: most attempts are one request and no step before it. */
  #draftOf(attempt: Provider.Attempt): Effect.Effect<WebhookAuth.Draft, Provider.ProviderError> {
    const { templates, tls } = this.#compiled
    return Effect.flatMapEager(
      templates.render(attempt),
      (rendered): Effect.Effect<WebhookAuth.Draft, Provider.ProviderError> =>
        tls !== undefined && !rendered.url.startsWith("https:")
          ? Effect.fail(new Provider.PermanentError({ code: "ForbiddenTarget", message: needsHttps }))
          : Effect.mapEager(keysOf(attempt.signingSecrets), (keys) => this.#draft(attempt, rendered, keys))
    )
  }

  #draft(
    attempt: Provider.Attempt,
    rendered: WebhookTemplates.Rendered,
    keys: ReadonlyArray<Signature.Key>
  ): WebhookAuth.Draft {
    const { bodyOf, isNamed, isTraced } = this.#compiled
    const { deliveryId, message, nowMs, traceparent, webhookId = message.id } = attempt
    const { contentType, headers, text } = bodyOf(attempt, rendered.body)
    const timestampSeconds = Math.floor(nowMs / 1000)
    const all = [
      "content-type",
      contentType,
      "webhook-id",
      webhookId,
      "webhook-timestamp",
      String(timestampSeconds),
      "webhook-signature",
      Signature.sign(keys, { id: webhookId, timestampSeconds, body: text }),
      "x-delivery-id",
      deliveryId,
      "x-event-type",
      message.eventId,
      "user-agent",
      userAgent
    ]
    if (!isNamed) all.length -= 2
    if (traceparent !== undefined && isTraced) all.push("traceparent", traceparent)
    return {
      method: this.#config.method ?? "POST",
      url: rendered.url,
      headers: headers.length === 0 && rendered.headers.length === 0 ? all : [...all, ...headers, ...rendered.headers],
      body: text
    }
  }

  #exchangeOf(
    { body, headers, method, secrets, shown, url }: WebhookAuth.Authorized,
    { nowMs }: Provider.Attempt
  ): Provider.Exchange {
    const { limits, tls } = this.#compiled
    const { retryOnStatus, timeoutMs = limits.requestTimeoutMs } = this.#config
    return {
      request: { method, url, timeoutMs, headers, body, tls },
      shown: { method, url, headers: pairs(shown), body },
      judge: (result) =>
        Result.isSuccess(result)
          ? WebhookAnswer.judge(WebhookAnswer.without(result.success, secrets), { limits, nowMs, retryOnStatus })
          : Result.fail(WebhookAnswer.failure(result.failure))
    }
  }

  /** Sends a request; `instead` is done where an answer asks for something else. */
  #send(
    egress: Egress["Service"],
    { judge, request, shown }: Provider.Exchange,
    instead: (answer: EgressResponse) => ReturnType<BoundWebhook["deliver"]> | undefined = () => undefined
  ): ReturnType<BoundWebhook["deliver"]> {
    return Note.request(shown, () =>
      Effect.flatMap(
        Effect.result(egress.send(request)),
        (result) => (Result.isSuccess(result) ? instead(result.success) : undefined) ?? Effect.fromResult(judge(result))
      ))
  }
}

const checkUrl = (field: keyof WebhookConfig, url: string) =>
  Egress.use((egress) => Effect.catch(egress.check(url), ({ message }) => refused(field, message)))

/** The package's version, held to it by a test: importing package.json would tie the provider to where it is installed. */
const userAgent = "Hookline/0.1.0"

/** The names of the headers that authorize and of the configuration's own: of two with one name an endpoint may take either. */
const namesOf = Effect.fnUntraced(function*(config: WebhookConfig, authorizing: ReadonlyArray<string>) {
  const names = new Set(authorizing)
  for (const [i, { name }] of (config.customHeaders ?? []).entries()) {
    const lower = name.toLowerCase()
    if (names.has(lower)) {
      const message = authorizing.includes(lower)
        ? `authType "${config.authType ?? "none"}" sends this header`
        : "This header is in the list already"
      return yield* refused(`customHeaders[${i}].name`, message)
    }
    names.add(lower)
  }
  return names
})

const needsHttps = "Expected an https URL, as there are certificates for it"

/** Decoded signing secrets: there is one of each for all subscriptions, as there may be very many of those. */
const known = new WeakMap<Redacted.Redacted<string>, Signature.Key>()

const keyOf = (secret: Redacted.Redacted<string>): Effect.Effect<Signature.Key, Provider.RetryableError> =>
  Signature.parseSecret(secret).pipe(
    Effect.tap((key) => Effect.sync(() => known.set(secret, key))),
    Effect.mapError(({ message }) => new Provider.RetryableError({ code: "Misconfigured", message }))
  )

/** Decodes signing secrets, each once. */
const keysOf = (secrets: ReadonlyArray<Redacted.Redacted<string>>) => {
  const keys: Array<Signature.Key> = []
  for (const secret of secrets) {
    const key = known.get(secret)
    if (key) keys.push(key)
  }
  return keys.length === secrets.length ? Effect.succeed(keys) : Effect.forEach(secrets, keyOf)
}

const pairs = (headers: ReadonlyArray<string>) => {
  const found: Array<{ readonly name: string; readonly value: string }> = []
  for (let i = 0; i < headers.length; i += 2) {
    // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
    const pair = { ...blank }
    pair.name = headers[i] ?? ""
    pair.value = headers[i + 1] ?? ""
    found.push(pair)
  }
  return found
}

const blank = { name: "", value: "" }
