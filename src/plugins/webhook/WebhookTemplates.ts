/**
 * The templates of a webhook's configuration: its URL, the values of its headers, its body; compiled once, rendered together.
 */
import { Effect } from "effect"
import * as Provider from "../../Provider.ts"
import * as Template from "../../Template.ts"
import type { WebhookConfig } from "./WebhookConfig.ts"

/**
 * What the templates gave for an attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rendered {
  readonly url: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string | undefined
}

/** @category models @since 0.1.0 */
export interface WebhookTemplates {
  readonly render: (attempt: Provider.Attempt) => Effect.Effect<Rendered, Provider.ProviderError>
  /** The target as far as it is known without a message; undefined where a template decides the host. */
  readonly target: string | undefined
  readonly hasUserAgent: boolean
}

/**
 * Compiles the templates; a refusal names the field.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = Effect.fnUntraced(
  function*(config: WebhookConfig): Effect.fn.Return<WebhookTemplates, Provider.ConfigRefused> {
    const one = (path: string, source: string, mode: Template.Mode): Effect.Effect<
      Template.Template,
      Provider.ConfigRefused
    > =>
      isTemplate(source)
        ? Effect.mapError(
          Template.compile(source, mode),
          (error) => new Provider.ConfigRefused({ path, message: error.message })
        )
        : Effect.succeed({ render: () => Effect.succeed(source) })
    const { bodyTemplate, customHeaders = [] } = config
    const url = yield* one("config.url", config.url, "url")
    const headers = yield* Effect.forEach(
      customHeaders,
      ({ value }, i) => one(`config.customHeaders[${i}].value`, value, "header")
    )
    const body = bodyTemplate === undefined ? undefined : yield* one("config.bodyTemplate", bodyTemplate, "json")
    // The payload is parsed for templates alone.
    const dynamic = [config.url, bodyTemplate ?? "", ...customHeaders.map(({ value }) => value)].some(isTemplate)
    return {
      render: (attempt) =>
        Effect.gen(function*() {
          const context = dynamic ? Template.contextOf(attempt) : unread
          const values = yield* Effect.forEach(headers, (header) => header.render(context))
          return {
            url: yield* url.render(context),
            headers: customHeaders.flatMap(({ name }, i) => [name, values[i] ?? ""]),
            body: yield* body?.render(context) ?? Effect.undefined
          }
        }).pipe(Effect.mapError(({ message, timedOut }) =>
          timedOut
            ? new Provider.RetryableError({ code: "TemplateFailed", message })
            : new Provider.PermanentError({ code: "TemplateFailed", message })
        )),
      target: isTemplate(config.url) ? /^\s*(https?:\/\/[^/?#{}]+)[/?#]/iu.exec(config.url)?.[1] : config.url,
      hasUserAgent: customHeaders.some(({ name }) => name.toLowerCase() === "user-agent")
    }
  }
)

// --- internal ---

const isTemplate = (source: string) => source.includes("{{") || source.includes("{%")

/** For texts that are no templates. */
const unread: Template.Context = {
  deliveryId: "",
  eventType: "",
  eventId: "",
  timestamp: "",
  subscriptionId: "",
  subscriptionName: "",
  payload: null
}
