/**
 * Trying: the exact request that a subscription would make of a message, whether a filter holds for it, and one attempt outside
 * of the delivery log. The message is a past one, an event's example, or a payload that the caller brings.
 */
import { Context, Effect, Exit, Layer, Option, type Redacted, Schema } from "effect"
import * as Audit from "./Audit.ts"
import { Bindings } from "./Bindings.ts"
import type * as Delivery from "./Delivery.ts"
import * as Answer from "./dispatcher/Answer.ts"
import { MessageNotFound } from "./Explanations.ts"
import * as Filter from "./Filter.ts"
import type { AnyHook, Hook } from "./Hook.ts"
import * as Id from "./Id.ts"
import type { MessageId, SubscriptionId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import { allTenants, defaultTenant } from "./Message.ts"
import * as Monotonic from "./Monotonic.ts"
import * as Nearest from "./Nearest.ts"
import type { NoPlace } from "./NoPlace.ts"
import type { Attempt, Bound, RequestPreview, ResponseExcerpt } from "./Provider.ts"
import { type RegisteredEvent, Registry } from "./Registry.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import { Secrets } from "./Secrets.ts"
import * as Signature from "./Signature.ts"
import { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { matchesEvent } from "./Subscription.ts"
import * as SubscriptionConnections from "./SubscriptionConnections.ts"
import { SubscriptionNotFound, SubscriptionRefused, Subscriptions } from "./Subscriptions.ts"
import { Tryouts } from "./Tryouts.ts"

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

/**
 * What came of one attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Trial {
  readonly eventId: string
  readonly messageId: MessageId
  readonly outcome: Exclude<Delivery.AttemptOutcome, "interrupted">
  readonly durationMs: number
  readonly statusCode: number | undefined
  readonly externalId: string | undefined
  readonly error: { readonly tag: string; readonly message: string } | undefined
  readonly response: ResponseExcerpt | undefined
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
  /** Sends a message to a subscription's endpoint, once, whether or not it is enabled; nothing of it is kept but that it was done. */
  readonly send: (id: SubscriptionId, sample: Sample) => Effect.Effect<Trial, PreviewError | NoPlace>
  /** Checks a filter and tells whether it holds for a message of the tenant, and if not, why. */
  readonly testFilter: (filter: Schema.Json, sample: Sample, tenantId?: string) => Effect.Effect<
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
export const layer: Layer.Layer<Previews, never, Storage | Registry | Bindings | Subscriptions | Secrets | Tryouts> =
  Layer
    .effect(
      Previews,
      Effect.gen(function*() {
        const storage = yield* Storage
        const registry = yield* Registry
        const bindings = yield* Bindings
        const subscriptions = yield* Subscriptions
        const limits = yield* Limits
        const tryouts = yield* Tryouts
        const { connectionOf } = SubscriptionConnections.make(storage, yield* Secrets)
        const audit = Audit.writer(storage)

        const eventOf = Effect.fnUntraced(function*(eventId: string) {
          const event = yield* registry.event(eventId)
          if (event) return event
          const known = (yield* registry.events).map((one) => one.eventId)
          return yield* refuse("eventId", `There is no event "${eventId}"${Nearest.suggestion(eventId, known)}`)
        })

        const past = Effect.fnUntraced(function*(id: MessageId) {
          const found = yield* storage.getMessage(id)
          if (Option.isNone(found)) return yield* new MessageNotFound({ id })
          const { bodyExpired, eventId, orderingKey, state, tenantId } = found.value
          if (bodyExpired === true) {
            return yield* refuse("messageId", "The body of this message has expired: choose a younger one")
          }
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

        const made = Effect.fnUntraced(function*(sample: Sample, { patterns, tenantId }: Wanted) {
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
            tenantId: tenantId === allTenants ? defaultTenant : tenantId,
            orderingKey: sample.orderingKey,
            payloadJson: sample.payload === undefined
              ? yield* Effect.mapError(event.example, (error) => refuse("payload", error.message))
              : yield* Effect.flatMap(encoded(event.hook, sample.payload), (json) => transformed(event, json))
          } satisfies SampleMessage
        })

        const messageOf = (sample: Sample, wanted: Wanted): Effect.Effect<SampleMessage, PreviewError> =>
          sample.messageId === undefined
            ? made(sample, wanted)
            : sample.eventId !== undefined || sample.payload !== undefined || sample.orderingKey !== undefined
            ? refuse(
              "messageId",
              "A past message has its own event, payload and key: leave those out, or the messageId"
            )
            : past(sample.messageId)

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
            tenantId: found.value.tenantId,
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
            tenantId,
            patterns: ["*"],
            signingSecrets: [yield* Signature.generateSecret]
          } satisfies Target
        })

        const attemptOf = Effect.fnUntraced(function*(
          message: SampleMessage,
          subscription: Attempt["subscription"],
          signingSecrets: Attempt["signingSecrets"]
        ) {
          const nowMs = yield* storage.now
          const attempt: Attempt = {
            deliveryId: yield* Id.deliveryId(nowMs),
            number: 1,
            nowMs,
            message: { ...message, timestampMs: Id.timeOf(message.id) },
            subscription,
            signingSecrets
          }
          return attempt
        })

        return Previews.of({
          preview: Effect.fn("Previews.preview")(function*(previewed, sample) {
            const id = "subscriptionId" in previewed
              ? previewed.subscriptionId
              : yield* Effect.flatMap(storage.now, Id.subscriptionId)
            const target: Target = "subscriptionId" in previewed
              ? yield* stored(previewed.subscriptionId)
              : yield* unstored(previewed)
            const { bound, name, signingSecrets } = target
            const preview = bound.preview?.bind(bound)
            if (!preview) {
              return yield* refuse("providerId", "This provider can't show its request without sending it")
            }
            const message = yield* messageOf(sample, target)
            const attempt = yield* attemptOf(message, { id, name }, signingSecrets)
            // Plugins may be JavaScript: they may throw, or never end.
            const request = yield* Effect.suspend(() => preview(attempt)).pipe(
              Effect.mapError(({ message }) => refuse("config", message)),
              Effect.catchDefect((defect) =>
                Effect.fail(refuse("config", `The provider failed: ${Answer.thrownMessage(defect)}`))
              ),
              Effect.timeoutOrElse({
                duration: limits.connectionTestMs,
                orElse: () =>
                  Effect.fail(refuse("config", `The provider took longer than ${limits.connectionTestMs} ms`))
              })
            )
            return { eventId: message.eventId, request }
          }),
          send: Effect.fn("Previews.send")(function*(id, sample) {
            const target = yield* stored(id)
            const { bound, name, signingSecrets, tenantId } = target
            const message = yield* messageOf(sample, target)
            if (tenantId !== allTenants && message.tenantId !== tenantId) {
              return yield* refuse("messageId", "It is another tenant's: the subscription would never get it")
            }
            const attempt = yield* attemptOf(message, { id, name }, signingSecrets)
            const { eventId, id: messageId } = message
            const begun = { atMs: yield* Monotonic.nowMs }
            const exit = yield* tryouts.run(
              // Before it is sent: what can't be noted is not done.
              audit({ action: "subscription.test", resourceId: id, tenantId, before: undefined, after: { eventId } })
                .pipe(
                  Effect.andThen(Monotonic.nowMs),
                  Effect.flatMap((nowMs) => {
                    begun.atMs = nowMs
                    // What fails from here on is the provider's, whatever it fails with.
                    return Effect.exit(Effect.suspend(() => bound.deliver(attempt)))
                  })
                ),
              limits.trialMs
            )
            const durationMs = Math.round((yield* Monotonic.nowMs) - begun.atMs)
            const outcome = Option.isNone(exit)
              ? Answer.tookTooLong(limits.trialMs)
              : yield* outcomeOf(exit.value)
            return { eventId, messageId, durationMs, ...shown(outcome, limits.errorLength) } satisfies Trial
          }),
          testFilter: Effect.fn("Previews.testFilter")(function*(json, sample, tenantId = defaultTenant) {
            const message = yield* messageOf(sample, { patterns: ["*"], tenantId })
            const filter = yield* subscriptions.checkFilter(json, [message.eventId])
            const reason = Filter.explain(filter, { ...message, payload: JSON.parse(message.payloadJson) })
            return { eventId: message.eventId, passes: reason === undefined, reason }
          })
        })
      })
    )

// --- internal ---

interface SampleMessage {
  readonly id: MessageId
  readonly eventId: string
  readonly tenantId: string
  readonly orderingKey: string | undefined
  /** As it is delivered. */
  readonly payloadJson: string
}

/** Which events a sample may be of, and whose it is. */
interface Wanted {
  readonly tenantId: string
  readonly patterns: ReadonlyArray<string>
}

interface Target extends Wanted {
  readonly bound: Bound<never>
  readonly name: string
  readonly signingSecrets: ReadonlyArray<Redacted.Redacted<string>>
}

type Outcome = Omit<Trial, "eventId" | "messageId" | "durationMs">

const none = { statusCode: undefined, externalId: undefined, error: undefined, response: undefined }

/** What came of an attempt; it fails where the attempt could not be noted, and was not made. */
const outcomeOf = (
  exit: Exit.Exit<Exit.Exit<unknown, unknown>, StorageUnavailable>
): Effect.Effect<Delivery.Outcome, StorageUnavailable> => {
  if (Exit.isSuccess(exit)) return Effect.succeed(Answer.outcomeOf(exit.value))
  const error = Exit.findErrorOption(exit)
  // JavaScript may have given what is no effect, which ends the whole fiber.
  return Option.isSome(error) ? Effect.fail(error.value) : Effect.succeed(Answer.outcomeOf(exit))
}

const shown = (outcome: Delivery.Outcome, errorLength: number): Outcome => {
  if (outcome._tag === "Delivered") {
    const { externalId, response, statusCode } = outcome.delivered
    return { ...none, outcome: "success", statusCode, externalId, response }
  }
  // Nobody ends a trial from outside but its time.
  if (outcome._tag === "Interrupted") return { ...none, outcome: "retryable" }
  const { error } = outcome
  const timedOut = error._tag === "Retryable" && error.timedOut === true
  return {
    ...none,
    outcome: timedOut ? "timeout" : outcomes[error._tag],
    statusCode: error.statusCode,
    response: error.response,
    error: { tag: error.code, message: error.message.toWellFormed().slice(0, errorLength) }
  }
}

const outcomes = { Retryable: "retryable", Permanent: "permanent", Gone: "gone" } as const

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
