/**
 * The provider contract: how to deliver to one kind of system. A provider decodes its configuration with its own schema,
 * makes one attempt, and says in a typed error whose fault a failure is and whether trying again can help.
 */
import { Effect, type Redacted, Schema } from "effect"
import type { DeliveryId, MessageId, SubscriptionId } from "./Id.ts"
import type { RetrySchedule } from "./RetrySchedule.ts"
import * as SchemaErrors from "./SchemaErrors.ts"

/**
 * What is kept of an endpoint's answer: some headers and the beginning of the body.
 *
 * @category models
 * @since 0.1.0
 */
export const ResponseExcerpt = Schema.Struct({
  headers: Schema.Record(Schema.String, Schema.String),
  body: Schema.String
}).annotate({ identifier: "ResponseExcerpt" })
/** @category models @since 0.1.0 */
export type ResponseExcerpt = typeof ResponseExcerpt.Type

const errorFields = {
  /** What went wrong, as one word: `Timeout`, `ConnectionFailed`, `HttpStatus`, `ForbiddenTarget`, … */
  code: Schema.String,
  message: Schema.String,
  statusCode: Schema.optionalKey(Schema.Int),
  response: Schema.optionalKey(ResponseExcerpt)
}

/**
 * The attempt failed in a way that may pass: the retry schedule decides.
 *
 * @category errors
 * @since 0.1.0
 */
export class RetryableError extends Schema.TaggedError<RetryableError>()("Retryable", {
  ...errorFields,
  /** How long the endpoint asked us to wait, in milliseconds. */
  retryAfterMs: Schema.optionalKey(Schema.Finite),
  /** The endpoint did not answer in time: its lane counts as slow. */
  timedOut: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * The attempt was refused for good: the delivery fails at once.
 *
 * @category errors
 * @since 0.1.0
 */
export class PermanentError extends Schema.TaggedError<PermanentError>()("Permanent", errorFields) {}

/**
 * The endpoint says that it is gone: the delivery fails and its subscription is disabled.
 *
 * @category errors
 * @since 0.1.0
 */
export class GoneError extends Schema.TaggedError<GoneError>()("Gone", errorFields) {}

/** @category errors @since 0.1.0 */
export const ProviderError = Schema.Union([RetryableError, PermanentError, GoneError])
/** @category errors @since 0.1.0 */
export type ProviderError = typeof ProviderError.Type

/**
 * A subscription's configuration was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigRefused extends Schema.TaggedError<ConfigRefused>()("ConfigRefused", {
  /** The path of the field, as in `config.url`. */
  path: Schema.String,
  message: Schema.String
}) {}

/**
 * One attempt as its provider sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  readonly deliveryId: DeliveryId
  /** 1 for the first. */
  readonly number: number
  /** The attempt's time, in milliseconds since 1970 by the database's clock. */
  readonly nowMs: number
  readonly message: {
    readonly id: MessageId
    readonly eventId: string
    readonly tenantId: string
    /** When the message was emitted, in milliseconds since 1970. */
    readonly timestampMs: number
    /** The payload after the event's transform, as JSON text: encoded once, sent as it is. */
    readonly payloadJson: string
    /** The payload as it was emitted, where the event's transform has made another of it. */
    readonly emittedJson?: string
  }
  /** What receivers know repetitions by, where it is not the message's id: a replay asked for another. */
  readonly webhookId?: string
  readonly subscription: { readonly id: SubscriptionId; readonly name: string }
  /** The subscription's signing secrets that are active now (`whsec_…`), newest first. */
  readonly signingSecrets: ReadonlyArray<Redacted.Redacted<string>>
}

/**
 * What a successful attempt tells.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Delivered = Schema.Struct({
  statusCode: Schema.optionalKey(Schema.Int),
  /** The id that the other system gave to what was delivered. */
  externalId: Schema.optionalKey(Schema.String),
  response: Schema.optionalKey(ResponseExcerpt)
})
/** @category models @since 0.1.0 */
export type Delivered = typeof Delivered.Type

/**
 * What an attempt would send, for people to look at: without secrets.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RequestPreview = Schema.Struct({
  method: Schema.String,
  url: Schema.String,
  headers: Schema.Array(Schema.Struct({ name: Schema.String, value: Schema.String })),
  body: Schema.String
}).annotate({ identifier: "RequestPreview" })
/** @category models @since 0.1.0 */
export type RequestPreview = typeof RequestPreview.Type

/**
 * A provider bound to one subscription's configuration: decoded and compiled once, used for every attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bound<R> {
  readonly deliver: (attempt: Attempt) => Effect.Effect<Delivered, ProviderError, R>
  /** The rules that apply when the configuration is used, such as which targets are allowed, checked before it is saved. */
  readonly check: Effect.Effect<void, ConfigRefused, R>
  /** The request that `deliver` would send, where the provider can tell without sending anything. */
  readonly preview?: (attempt: Attempt) => Effect.Effect<RequestPreview, ProviderError, R>
}

/**
 * A provider with its services still open as `R`; `Plugin.make` closes them when the plugin's layer is built.
 *
 * @category models
 * @since 0.1.0
 */
export interface Provider<R> {
  /** Local to the plugin; the qualified id is `pluginId.providerId`. */
  readonly id: string
  readonly displayName: string
  readonly description: string | undefined
  /** The configuration's schema; fields annotated with `secret` are sealed at rest and never shown. */
  readonly config: Schema.Constraint
  /** The events that it can deliver; all when undefined. */
  readonly supportedEvents: ReadonlyArray<string> | undefined
  /** The retry schedule where neither subscription nor event name one. */
  readonly retry: RetrySchedule | undefined
  /**
   * Decodes a configuration; `closed` refuses fields that the schema does not know, as one that is to be saved may have a
   * misspelt one. The error's path begins with `config`.
   */
  readonly bind: (config: unknown, options?: { readonly closed?: boolean }) => Effect.Effect<Bound<R>, ConfigRefused>
}

/**
 * Makes a provider from its configuration's schema and what to do with a decoded configuration.
 *
 * **Details**
 *
 * A configuration is JSON: the schema is turned into its JSON codec. A text field annotated with `secret`, or `Redacted`, is
 * sealed at rest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Config extends Schema.Codec<unknown, unknown>, R>(options: {
  readonly id: string
  readonly displayName: string
  readonly description?: string
  readonly config: Config
  readonly supportedEvents?: ReadonlyArray<string>
  readonly retry?: RetrySchedule
  /** Compiles what a configuration needs compiled, once; a refusal's path begins with `config`. */
  readonly bind: (config: Config["Type"]) => Bound<R> | Effect.Effect<Bound<R>, ConfigRefused>
}): Provider<R> => {
  const schema = Schema.toCodecJson(options.config)
  const decode = Schema.decodeUnknownEffect(schema)
  return {
    id: options.id,
    displayName: options.displayName,
    description: options.description,
    config: schema,
    supportedEvents: options.supportedEvents,
    retry: options.retry,
    bind: (config, bindOptions) =>
      decode(config, bindOptions?.closed === true ? { onExcessProperty: "error" } : undefined).pipe(
        Effect.mapError((error) => {
          const { message, path } = SchemaErrors.first(error, ["config"])
          return new ConfigRefused({ path, message })
        }),
        Effect.flatMap((decoded) => {
          const bound = options.bind(decoded)
          return Effect.isEffect(bound) ? bound : Effect.succeed(bound)
        })
      )
  }
}

declare module "effect/Schema" {
  namespace Annotations {
    interface Annotations {
      /** The field is a secret: sealed at rest, never in an answer, a log or an error. */
      readonly secret?: boolean | undefined
    }
  }
}
