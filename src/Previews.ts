/**
 * Trying without sending: the exact request that a subscription would make of a message, and whether a filter holds for it.
 * The message is a past one, an event's example, or a payload that the caller brings.
 */
import { Context, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { Bindings } from "./Bindings.ts"
import { MessageNotFound } from "./Explanations.ts"
import * as Filter from "./Filter.ts"
import type { AnyHook, Hook } from "./Hook.ts"
import * as Id from "./Id.ts"
import type { MessageId, SubscriptionId } from "./Id.ts"
import { defaultTenant } from "./Message.ts"
import * as Nearest from "./Nearest.ts"
import type { Attempt, Bound, RequestPreview } from "./Provider.ts"
import { type RegisteredEvent, Registry } from "./Registry.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import { Secrets } from "./Secrets.ts"
import * as Signature from "./Signature.ts"
import { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { matchesEvent } from "./Subscription.ts"
import * as SubscriptionConnections from "./SubscriptionConnections.ts"
import { SubscriptionNotFound, SubscriptionRefused, Subscriptions } from "./Subscriptions.ts"

// -- models

/**
 * Which message to try with: a past one; or an event's, with the caller's payload or the event's example.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sample {
  readonly messageId?: MessageId
  readonly eventId?: string
  /** In its JSON form, before the event's transform. */
  readonly payload?: Schema.Json
  readonly orderingKey?: string
}

/**
 * What to preview: a stored subscription, or a provider's configuration that is not stored.
 *
 * @category models
 * @since 0.1.0
 */
export type Previewed =
  | { readonly subscriptionId: SubscriptionId }
  | {
    readonly providerId: string
    readonly config: Schema.Json
    /** Needed where the provider has connections. */
    readonly connectionId?: Id.ConnectionId
  }

/** @category models @since 0.1.0 */
export type PreviewError = SubscriptionRefused | SubscriptionNotFound | MessageNotFound | StorageUnavailable

// -- service

/**
 * Trying.
 *
 * @category services
 * @since 0.1.0
 */
export class Previews extends Context.Service<Previews, {
  /** The request, without secrets, that would be sent; nothing is. A stored subscription's is signed as it would be. */
  readonly preview: (previewed: Previewed, sample: Sample) => Effect.Effect<
    { readonly eventId: string; readonly request: RequestPreview },
    PreviewError
  >
  /** Checks a filter and tells whether it holds, and if not, why. */
  readonly testFilter: (filter: Schema.Json, sample: Sample) => Effect.Effect<
    { readonly eventId: string; readonly passes: boolean; readonly reason: string | undefined },
    PreviewError
  >
}>()("hookline/Previews") {}

// -- layers

/**
 * Layer of the previews.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Previews, never, Needs> = Layer.effect(
  Previews,
  Effect.gen(function*() {
    const storage = yield* Storage
    const registry = yield* Registry
    const bindings = yield* Bindings
    const subscriptions = yield* Subscriptions
    const { connectionOf } = SubscriptionConnections.make(storage, yield* Secrets)

    const eventOf = Effect.fnUntraced(function*(eventId: string) {
      const event = yield* registry.event(eventId)
      if (event) return event
      const known = (yield* registry.events).map((one) => one.eventId)
      return yield* refuse("eventId", `There is no event "${eventId}"${Nearest.suggestion(eventId, known)}`)
    })

    const past = Effect.fnUntraced(function*(id: MessageId) {
      const found = yield* storage.getMessage(id)
      if (Option.isNone(found)) return yield* new MessageNotFound({ id })
      const { eventId, orderingKey, state, tenantId } = found.value
      const [loaded] = (yield* storage.load([{ messageId: id }])).messages
      const payloadJson = loaded?.payloadJson ?? found.value.payloadJson
      const event = yield* registry.event(eventId)
      return {
        id,
        eventId,
        tenantId,
        orderingKey,
        payloadJson: event && state._tag !== "Routed" ? yield* transformed(event, payloadJson) : payloadJson
      } satisfies SampleMessage
    })

    const made = Effect.fnUntraced(function*(sample: Sample, patterns: ReadonlyArray<string>) {
      const wanted = (yield* registry.events).map((one) => one.eventId).find((id) =>
        patterns.some((pattern) => matchesEvent(pattern, id))
      )
      const eventId = sample.eventId ?? wanted
      if (eventId === undefined) {
        return yield* refuse("eventId", "Expected an event id: no event matches the subscription's patterns yet")
      }
      const event = yield* eventOf(eventId)
      return {
        id: yield* Effect.flatMap(storage.now, Id.messageId),
        eventId,
        tenantId: defaultTenant,
        orderingKey: sample.orderingKey,
        payloadJson: sample.payload === undefined
          ? yield* Effect.mapError(event.example, (error) => refuse("payload", error.message))
          : yield* Effect.flatMap(encoded(event.hook, sample.payload), (json) => transformed(event, json))
      } satisfies SampleMessage
    })

    const messageOf = (sample: Sample, patterns: ReadonlyArray<string>): Effect.Effect<SampleMessage, PreviewError> =>
      sample.messageId === undefined ? made(sample, patterns) : past(sample.messageId)

    const stored = Effect.fnUntraced(function*(id: SubscriptionId) {
      const found = yield* storage.getSubscription(id)
      if (Option.isNone(found)) return yield* new SubscriptionNotFound({ id })
      const connection = found.value.connectionId && (yield* storage.getConnection(found.value.connectionId))
      const { bound, signingSecrets } = yield* Effect.mapError(
        bindings.bind(found.value, connection && Option.getOrUndefined(connection)),
        (error) => refuse("config", error.message)
      )
      const now = yield* storage.now
      return {
        bound,
        name: found.value.name,
        patterns: found.value.events,
        signingSecrets: signingSecrets
          .filter(({ expiresAtMs }) => expiresAtMs === undefined || expiresAtMs > now)
          .map(({ secret }) => secret)
      } satisfies Target
    })

    const unstored = Effect.fnUntraced(function*(
      { config, connectionId, providerId }: Exclude<Previewed, { readonly subscriptionId: SubscriptionId }>
    ) {
      const provider = yield* registry.provider(providerId)
      if (!provider) return yield* refuse("providerId", `There is no provider "${providerId}"`)
      const named = connectionId && (yield* storage.getConnection(connectionId))
      const tenantId = named && Option.isSome(named) ? named.value.tenantId : defaultTenant
      const connection = yield* connectionOf(provider, { tenantId, connectionId })
      const bound = yield* Effect.mapError(
        provider.bind(config, { closed: true, connection: connection?.config }),
        (error) => refuse(error.path, error.message)
      )
      return {
        bound,
        name: "preview",
        patterns: ["*"],
        signingSecrets: [yield* Signature.generateSecret]
      } satisfies Target
    })

    return Previews.of({
      preview: Effect.fn("Previews.preview")(function*(previewed, sample) {
        const id = "subscriptionId" in previewed
          ? previewed.subscriptionId
          : yield* Effect.flatMap(storage.now, Id.subscriptionId)
        const target: Target = "subscriptionId" in previewed
          ? yield* stored(previewed.subscriptionId)
          : yield* unstored(previewed)
        const { bound, name, patterns, signingSecrets } = target
        if (!bound.preview) {
          return yield* refuse("providerId", "This provider can't show its request without sending it")
        }
        const message = yield* messageOf(sample, patterns)
        const nowMs = yield* storage.now
        const attempt: Attempt = {
          deliveryId: yield* Id.deliveryId(nowMs),
          number: 1,
          nowMs,
          message: { ...message, timestampMs: Id.timeOf(message.id) },
          subscription: { id, name },
          signingSecrets
        }
        const request = yield* Effect.mapError(bound.preview(attempt), (error) => refuse("config", error.message))
        return { eventId: message.eventId, request }
      }),
      testFilter: Effect.fn("Previews.testFilter")(function*(json, sample) {
        const message = yield* messageOf(sample, ["*"])
        const filter = yield* subscriptions.checkFilter(json, [message.eventId])
        const reason = Filter.explain(filter, { ...message, payload: JSON.parse(message.payloadJson) })
        return { eventId: message.eventId, passes: reason === undefined, reason }
      })
    })
  })
)

// --- internal ---

type Needs = Storage | Registry | Bindings | Subscriptions | Secrets

interface SampleMessage {
  readonly id: MessageId
  readonly eventId: string
  readonly tenantId: string
  readonly orderingKey: string | undefined
  /** As it is delivered. */
  readonly payloadJson: string
}

interface Target {
  readonly bound: Bound<never>
  readonly name: string
  readonly patterns: ReadonlyArray<string>
  readonly signingSecrets: ReadonlyArray<Redacted.Redacted<string>>
}

const refuse = (path: string, message: string) => new SubscriptionRefused({ path, message })

const transformed = (event: RegisteredEvent, payloadJson: string) =>
  event.transform
    ? Effect.mapError(event.transform(payloadJson), (error) => refuse("payload", error.message))
    : Effect.succeed(payloadJson)

/** A payload as an emit would store it. */
const encoded = (hook: AnyHook, payload: Schema.Json) =>
  hook.use(<A>(typed: Hook<A>) =>
    Schema.decodeUnknownEffect(typed.payload)(payload).pipe(
      Effect.flatMap(Schema.encodeEffect(Schema.fromJsonString(typed.payload))),
      Effect.mapError((error) => {
        const { message, path } = SchemaErrors.first(error, ["payload"])
        return refuse(path, message)
      })
    )
  )
