/**
 * The templates of a webhook's configuration: its URL, the values of its headers, its body; compiled once, rendered together.
 */
import { Effect } from "effect"
import * as Provider from "../../Provider.ts"
import * as Template from "../../Template.ts"
import { refused, type WebhookConfig } from "./WebhookConfig.ts"

/**
 * What the templates gave for an attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rendered {
  /** As a URL is written, without a fragment. */
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
}

/**
 * Compiles the templates; a refusal names the field, and the line and column in it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = Effect.fnUntraced(
  function*(config: WebhookConfig): Effect.fn.Return<WebhookTemplates, Provider.ConfigRefused> {
    const { bodyTemplate, customHeaders = [] } = config
    if (bodyTemplate === undefined && ![config.url, ...customHeaders.map(({ value }) => value)].some(isTemplate)) {
      const headers = customHeaders.length === 0 ? none : customHeaders.flatMap(({ name, value }) => [name, value])
      return always(
        yield* Effect.exit(Effect.map(urlOf(config.url), (url) => ({ url, headers, body: undefined }))),
        config.url
      )
    }
    const url = yield* part("url", config.url, "url")
    const headers = yield* Effect.forEach(
      customHeaders,
      ({ value }, i) => part(`customHeaders[${i}].value`, value, "header")
    )
    const body = bodyTemplate === undefined ? undefined : yield* part("bodyTemplate", bodyTemplate, "json")
    const target = isTemplate(config.url) ? /^\s*(https?:\/\/[^/?#{}]+)[/?#]/iu.exec(config.url)?.[1] : config.url
    return {
      render: Effect.fnUntraced(function*(attempt) {
        let made: Template.Context | undefined
        // The payload is parsed for templates alone, and once for all.
        const context = () => made ??= Template.contextOf(attempt)
        const href = yield* url(context)
        const values = yield* Effect.forEach(headers, (header) => header(context))
        return {
          url: yield* urlOf(href),
          headers: customHeaders.flatMap(({ name }, i) => [name, values[i] ?? ""]),
          body: body && (yield* body(context))
        }
      }),
      target
    }
  }
)

// --- internal ---

/** What is no template gives the same for every attempt. */
const always = (
  rendered: Effect.Effect<Rendered, Provider.PermanentError>,
  target: string
): WebhookTemplates => ({ render: () => rendered, target })

const none: ReadonlyArray<string> = []

type Part = (context: () => Template.Context) => Effect.Effect<string, Provider.ProviderError>

const isTemplate = (source: string) => source.includes("{{") || source.includes("{%")

const part = (field: string, source: string, mode: Template.Mode): Effect.Effect<Part, Provider.ConfigRefused> =>
  isTemplate(source)
    ? Template.compile(source, mode).pipe(
      Effect.catch(({ message }) => refused(field, message)),
      Effect.map(({ render }): Part => (context) => Effect.mapError(render(context()), failed(field)))
    )
    : Effect.succeed(() => Effect.succeed(source))

const failed = (field: string) => ({ message, timedOut }: Template.TemplateFailed): Provider.ProviderError => {
  const failure = { code: "TemplateFailed", message: `config.${field}: ${message}` }
  return timedOut ? new Provider.RetryableError(failure) : new Provider.PermanentError(failure)
}

const urlOf = (href: string): Effect.Effect<string, Provider.PermanentError> => {
  const url = URL.parse(href)
  if (!url) {
    return Effect.fail(
      new Provider.PermanentError({
        code: "MalformedUrl",
        message: "config.url gave no URL: look at what it gives with the subscription's preview"
      })
    )
  }
  // It never leaves the client.
  url.hash = ""
  // One text of each: there may be very many.
  return Effect.succeed(url.href === href ? href : url.href)
}
