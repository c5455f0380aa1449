/**
 * The provider contract: how to deliver to one kind of system. A provider decodes its configuration with its own schema,
 * makes one attempt, and says in a typed error whose fault a failure is and whether trying again can help.
 */
import { type Context, Effect, type Redacted, type Result, Schema } from "effect"
import type { Egress, EgressError, EgressRequest, EgressResponse } from "./Egress.ts"
import type { DeliveryId, MessageId, SubscriptionId } from "./Id.ts"
import * as Note from "./Note.ts"
import { RequestExcerpt, RequestHeader } from "./RequestExcerpt.ts"
import type { RetrySchedule } from "./RetrySchedule.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import { told } from "./Told.ts"

/**
 * What is kept of an endpoint's answer: some headers and the beginning of the body.
 *
 * @category models
 * @since 0.1.0
 */
export const ResponseExcerpt = Schema.Struct({
  headers: Schema.Record(Schema.String, Schema.String).pipe(told("Some of them")),
  body: Schema.String.pipe(told("Its beginning"))
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
  /** To be sent along, as the header of that name: the attempt's place in the trace of its message, where it has one. */
  readonly traceparent?: string
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
  ...RequestExcerpt.fields,
  headers: Schema.Array(RequestHeader).pipe(told("In their order; secrets are covered")),
  body: Schema.String.pipe(told("The body, as it would be sent"))
}).annotate({ identifier: "RequestPreview" })
/** @category models @since 0.1.0 */
export type RequestPreview = typeof RequestPreview.Type

/**
 * Notes the request that an attempt sends, for the delivery log: without secrets, as nobody covers them afterwards. Of several the
 * last counts. Excerpts of it are kept.
 *
 * @category combinators
 * @since 0.1.0
 */
export const noteRequest = (request: RequestPreview): Effect.Effect<void> => Note.request(request, () => Effect.void)

/**
 * An attempt that is one request, with nothing before it and nothing after it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  readonly request: EgressRequest
  /** The request for the delivery log, as `noteRequest` has it. */
  readonly shown: RequestPreview
  /** What the answer means, or that there is none. */
  readonly judge: (result: Result.Result<EgressResponse, EgressError>) => Result.Result<Delivered, ProviderError>
}

/**
 * A provider bound to one subscription's configuration: decoded and compiled once, used for every attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bound<R> {
  readonly deliver: (attempt: Attempt) => Effect.Effect<Delivered, ProviderError, R>
  /**
   * What `deliver` would send and make of the answer, where that is all it does: such attempts follow one another without a fiber's
   * steps. Undefined for those that take other steps.
   */
  readonly exchange?: ((attempt: Attempt) => Exchange | undefined) | undefined
  /**
   * Where `deliver` sends its requests, such as `https://example.com`, if that is one place for all messages. No more attempts begin
   * than `Limits.connectionsPerOrigin` for all subscriptions of an origin, beside those that take long; the others wait before they
   * begin, where they take no slots. Without it they begin, and wait for a connection.
   */
  readonly origin?: string | undefined
  /** The rules that apply when the configuration is used, such as which targets are allowed, checked before it is saved. */
  readonly check: Effect.Effect<void, ConfigRefused, R>
  /** The request that `deliver` would send, where the provider can tell without sending anything. */
  readonly preview?: ((attempt: Attempt) => Effect.Effect<RequestPreview, ProviderError, R>) | undefined
}

/**
 * What is bound, with all services that it needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Provided extends Bound<never> {
  /** `add` adds what is the attempt's own to the services. */
  readonly deliver: (
    attempt: Attempt,
    add?: <R>(services: Context.Context<R>) => Context.Context<R>
  ) => Effect.Effect<Delivered, ProviderError>
  /** Sends the request of an exchange; there is none where this is undefined. */
  readonly begin?: Egress["Service"]["begin"]
}

/**
 * One of the values that a field can take, as a provider's system offers them: a channel, a project, a kind of issue.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ConnectionOption = Schema.Struct({
  value: Schema.String.pipe(told("What the field takes")),
  label: Schema.String.pipe(told("What people read")),
  description: Schema.optionalKey(Schema.String).pipe(told("More of it"))
}).annotate({ identifier: "ConnectionOption" })
/** @category models @since 0.1.0 */
export type ConnectionOption = typeof ConnectionOption.Type

/**
 * What is chosen so far, by which options depend on one another: the project whose kinds of issue are asked for.
 *
 * @category models
 * @since 0.1.0
 */
export type OptionContext = { readonly [name: string]: Schema.Json }

/**
 * What a test of credentials tells that went well, where it tells anything.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ConnectionTested = Schema.UndefinedOr(Schema.Struct({ message: Schema.optionalKey(Schema.String) }))

/**
 * A provider's connections: credentials that many subscriptions share. Each use decodes them first; its refusal's path begins
 * with `config`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionKind<R> {
  /** Fields annotated with `secret` are sealed at rest and never shown. */
  readonly schema: Schema.Constraint
  /** Only decodes; `closed` as of `bind`. */
  readonly check: (config: unknown, options?: { readonly closed?: boolean }) => Effect.Effect<void, ConfigRefused>
  /** Tries the credentials, where the provider can. */
  readonly test:
    | ((config: unknown) => Effect.Effect<{ readonly message?: string } | void, ProviderError | ConfigRefused, R>)
    | undefined
  /** By the resolvers' names. */
  readonly options: ReadonlyMap<
    string,
    (
      config: unknown,
      context: OptionContext
    ) => Effect.Effect<ReadonlyArray<ConnectionOption>, ProviderError | ConfigRefused, R>
  >
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
  /** Of what its subscriptions need beside their configuration; undefined where that is nothing. */
  readonly connection: ConnectionKind<R> | undefined
  /** The events that it can deliver; all when undefined. */
  readonly supportedEvents: ReadonlyArray<string> | undefined
  /** The retry schedule where neither subscription nor event name one. */
  readonly retry: RetrySchedule | undefined
  /**
   * Decodes a configuration, and the connection where the provider has such; `closed` refuses fields that the schema does not
   * know, as one that is to be saved may have a misspelt one. The error's path begins with `config`, or is `connectionId`.
   */
  readonly bind: (
    config: unknown,
    options?: { readonly closed?: boolean; readonly connection?: unknown }
  ) => Effect.Effect<Bound<R>, ConfigRefused>
}

/**
 * What every provider is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Config> {
  readonly id: string
  readonly displayName: string
  readonly description?: string
  readonly config: Config
  readonly supportedEvents?: ReadonlyArray<string>
  readonly retry?: RetrySchedule
}

/**
 * What a provider is made of whose subscriptions need nothing but their configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plain<Config extends Schema.Codec<unknown, unknown>, R> extends Options<Config> {
  readonly connection?: undefined
  /** Compiles what a configuration needs compiled, once; a refusal's path begins with `config`. */
  readonly bind: (config: Config["Type"]) => Bound<R> | Effect.Effect<Bound<R>, ConfigRefused>
}

/**
 * What a provider is made of whose subscriptions share credentials.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connected<
  Config extends Schema.Codec<unknown, unknown>,
  Connection extends Schema.Codec<unknown, unknown>,
  R,
  RTest,
  ROptions
> extends Options<Config> {
  /** The schema of a connection; secrets are annotated as in `config`. */
  readonly connection: Connection
  /** As without a connection; once for each version of the subscription and of its connection. */
  readonly bind: (
    config: Config["Type"],
    connection: Connection["Type"]
  ) => Bound<R> | Effect.Effect<Bound<R>, ConfigRefused>
  /** Tries a connection's credentials; its errors tell why they don't serve. */
  readonly testConnection?: (
    connection: Connection["Type"]
  ) => Effect.Effect<{ readonly message?: string } | void, ProviderError, RTest>
  /** Resolvers, by name: what fields of a subscription's configuration can be, as the system behind a connection tells. */
  readonly options?: {
    readonly [resolverName: string]: (
      connection: Connection["Type"],
      context: OptionContext
    ) => Effect.Effect<ReadonlyArray<ConnectionOption>, ProviderError, ROptions>
  }
}

/**
 * Makes a provider from its configuration's schema and what to do with a decoded configuration, and with the connection that
 * a subscription names, where there is a schema of those.
 *
 * **Details**
 *
 * A configuration is JSON: the schema is turned into its JSON codec. A text field annotated with `secret`, or `Redacted`, is
 * sealed at rest. A change of a URL, or of another field annotated with `address`, has to give the secrets again, but for those
 * annotated with `unsent`. The same goes for a connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <
    Config extends Schema.Codec<unknown, unknown>,
    Connection extends Schema.Codec<unknown, unknown>,
    R,
    RT = never,
    RO = never
  >(
    options: Connected<Config, Connection, R, RT, RO>
  ): Provider<R | RT | RO>
  <Config extends Schema.Codec<unknown, unknown>, R>(options: Plain<Config, R>): Provider<R>
} = provider

// --- internal ---

type Json = Schema.Codec<unknown, unknown>

function provider<C extends Json, N extends Json, R, RT = never, RO = never>(
  options: Connected<C, N, R, RT, RO>
): Provider<R | RT | RO>
function provider<C extends Json, R>(options: Plain<C, R>): Provider<R>
function provider<C extends Json, N extends Json, R, RT, RO>(
  options: Plain<C, R> | Connected<C, N, R, RT, RO>
): Provider<R | RT | RO> {
  const config = decoding(options.config)
  const common = {
    id: options.id,
    displayName: options.displayName,
    description: options.description,
    config: config.schema,
    supportedEvents: options.supportedEvents,
    retry: options.retry
  }
  if (isPlain(options)) {
    const { bind } = options
    return {
      ...common,
      connection: undefined,
      bind: (given, { closed } = {}) =>
        Effect.flatMap(config.decode(given, closed), (decoded) => settled(bind(decoded)))
    }
  }
  const { bind, options: resolvers = {}, testConnection } = options
  const connection = decoding(options.connection)
  return {
    ...common,
    connection: {
      schema: connection.schema,
      check: (given, { closed } = {}) => Effect.asVoid(connection.decode(given, closed)),
      test: testConnection && ((given) => Effect.flatMap(connection.decode(given), testConnection)),
      options: new Map(
        Object.entries(resolvers).map(([name, resolve]) => [
          name,
          (given, context) => Effect.flatMap(connection.decode(given), (decoded) => resolve(decoded, context))
        ])
      )
    },
    bind: (given, { closed, connection: credentials } = {}) =>
      Effect.gen(function*() {
        const decoded = yield* config.decode(given, closed)
        if (credentials === undefined) {
          return yield* new ConfigRefused({ path: "connectionId", message: "Expected a connection of this provider" })
        }
        const connected = yield* Effect.mapError(
          connection.decode(credentials),
          ({ message, path }) =>
            new ConfigRefused({
              path: "connectionId",
              message: `The connection does not serve, at ${path}: ${message}`
            })
        )
        return yield* settled(bind(decoded, connected))
      })
  }
}

const isPlain = <C extends Json, N extends Json, R, RT, RO>(
  options: Plain<C, R> | Connected<C, N, R, RT, RO>
): options is Plain<C, R> => options.connection === undefined

const decoding = <S extends Json>(of: S) => {
  const schema = Schema.toCodecJson(of)
  const decode = Schema.decodeUnknownEffect(schema)
  return {
    schema,
    decode: (given: unknown, closed = false): Effect.Effect<S["Type"], ConfigRefused> =>
      Effect.mapError(decode(given, closed ? { onExcessProperty: "error" } : undefined), (error) => {
        const { message, path } = SchemaErrors.first(error, ["config"])
        return new ConfigRefused({ path, message })
      })
  }
}

const settled = <R>(bound: Bound<R> | Effect.Effect<Bound<R>, ConfigRefused>): Effect.Effect<Bound<R>, ConfigRefused> =>
  Effect.isEffect(bound) ? bound : Effect.succeed(bound)

declare module "effect/Schema" {
  namespace Annotations {
    interface Annotations {
      /** The field is a secret: sealed at rest, never in an answer, a log or an error. */
      readonly secret?: boolean | undefined
      /** The secret itself is not sent anywhere, as it signs or decrypts: a change of the address may keep it. */
      readonly unsent?: boolean | undefined
      /** The field says where secrets are sent, as a host that is no URL; or, where false, does not though it is a URL. */
      readonly address?: boolean | undefined
    }
  }
}
