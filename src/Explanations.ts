/**
 * Why a message did or did not reach a subscription: told from the message's routing, the subscription as it is now and the
 * delivery, where there is one. Pairs that were filtered are not stored; they are judged again.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import type { Delivery } from "./Delivery.ts"
import * as Filter from "./Filter.ts"
import type { MessageId, SubscriptionId } from "./Id.ts"
import { Registry } from "./Registry.ts"
import { type Page, Storage, type StoredMessage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { matchesEvent, type Subscription } from "./Subscription.ts"

// -- models

/**
 * What became of a message at a subscription.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Verdict = Schema.Literals([
  /** There is a delivery; its status says how far it is. */
  "delivery",
  /** The filter did not hold. */
  "filtered",
  /** None of its patterns matches the event. */
  "not-subscribed",
  /** Its provider does not deliver the event. */
  "unsupported",
  /** It would get the message now: it was made or changed after the message was routed. */
  "changed-since",
  "not-routed",
  "set-aside",
  /** No plugin of this runtime exposes the hook as an event. */
  "not-exposed",
  /** The history of its delivery is gone. */
  "no-record"
])
/** @category models @since 0.1.0 */
export type Verdict = typeof Verdict.Type

/** @category models @since 0.1.0 */
export interface Explanation {
  readonly subscription: Pick<Subscription, "id" | "name" | "enabled">
  readonly verdict: Verdict
  /** For people. */
  readonly reason: string
  readonly delivery: Delivery | undefined
}

/**
 * There is no such message.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageNotFound extends Schema.TaggedError<MessageNotFound>()("MessageNotFound", { id: Schema.String }) {}

// -- service

/**
 * Explaining.
 *
 * @category services
 * @since 0.1.0
 */
export class Explanations extends Context.Service<Explanations, {
  /** Explains a message to a page of its tenant's subscriptions, newest first. */
  readonly explain: (id: MessageId, page: Page) => Effect.Effect<
    { readonly message: StoredMessage; readonly items: ReadonlyArray<Explanation>; readonly more: boolean },
    MessageNotFound | StorageUnavailable
  >
}>()("hookline/Explanations") {}

// -- layers

/**
 * Layer of the explanations.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Explanations, never, Storage | Registry> = Layer.effect(
  Explanations,
  Effect.gen(function*() {
    const storage = yield* Storage
    const registry = yield* Registry
    return Explanations.of({
      explain: Effect.fn("Explanations.explain")(function*(id, page) {
        const found = yield* storage.getMessage(id)
        if (Option.isNone(found)) return yield* new MessageNotFound({ id })
        const message = found.value
        const read = yield* storage.listSubscriptions({ tenantId: message.tenantId }, {
          ...page,
          limit: page.limit + 1
        })
        const subscriptions = read.slice(0, page.limit)
        const deliveries = subscriptions.length === 0 ? [] : yield* storage.listDeliveries(
          { messageId: id, subscriptionIds: subscriptions.map((subscription) => subscription.id) },
          { cursor: undefined, limit: subscriptions.length }
        )
        const bySubscription = new Map<SubscriptionId, Delivery>(deliveries.map((one) => [one.subscriptionId, one]))
        const delivered = yield* storage.load([{ messageId: id }])
        const payload: Schema.Json = message.bodyExpired === true
          ? null
          : JSON.parse(delivered.messages[0]?.payloadJson ?? message.payloadJson)
        const exposed = (yield* registry.event(message.eventId)) !== undefined
        const items = yield* Effect.forEach(
          subscriptions,
          (subscription) =>
            // A filter may take its time: others get their turn.
            Effect.map(Effect.andThen(Effect.yieldNow, registry.provider(subscription.providerId)), (provider) =>
              judge({
                message,
                payload,
                exposed,
                subscription,
                supportedEvents: provider?.supportedEvents,
                delivery: bySubscription.get(subscription.id)
              }))
        )
        return { message, items, more: read.length > page.limit }
      })
    })
  })
)

// --- internal ---

interface Pair {
  readonly message: StoredMessage
  /** As it is delivered. */
  readonly payload: Schema.Json
  readonly exposed: boolean
  readonly subscription: Subscription
  readonly supportedEvents: ReadonlyArray<string> | undefined
  readonly delivery: Delivery | undefined
}

const judge = (pair: Pair): Explanation => {
  const { delivery, subscription } = pair
  const [verdict, reason] = delivery ? ["delivery", deliveryReason(delivery)] as const : withoutDelivery(pair)
  const { enabled, id, name } = subscription
  return { subscription: { id, name, enabled }, verdict, reason, delivery }
}

const deliveryReason = ({ attemptCount, lastError, reason, status }: Delivery): string => {
  const attempts = `${attemptCount} attempt${attemptCount === 1 ? "" : "s"}`
  if (reason === "held") return "the subscription is disabled: the delivery waits until it is enabled"
  if (reason === "code-missing") {
    return "the runner that owns the event lacks the subscription's provider: the delivery waits for one that has it"
  }
  return [`${status} after ${attempts}`, reason, lastError].filter((part) => part !== undefined).join("; ")
}

const withoutDelivery = (pair: Pair): readonly [Verdict, string] => {
  const { exposed, message, subscription } = pair
  const { state } = message
  if (!subscription.events.some((pattern) => matchesEvent(pattern, message.eventId))) {
    return ["not-subscribed", `it wants ${subscription.events.join(", ")}, not ${message.eventId}`]
  }
  if (state._tag === "SetAside") return ["set-aside", `the message's routing failed: ${state.error}`]
  if (state._tag === "Unrouted") return ["not-routed", "the message has not been routed yet"]
  if (!exposed) return ["not-exposed", `no plugin exposes ${message.eventId} as an event`]
  if (pair.supportedEvents && !pair.supportedEvents.includes(message.eventId)) {
    return ["unsupported", `the provider ${subscription.providerId} does not deliver ${message.eventId}`]
  }
  const changed = subscription.version > state.version
  if (message.bodyExpired === true && subscription.filter !== undefined) {
    return ["no-record", "there is no delivery, and the message's body has expired: its filter can't be judged again"]
  }
  const why = filterReason(pair)
  if (why !== undefined) return ["filtered", changed ? `${why} (by the filter as it is now)` : why]
  if (!changed) return ["no-record", "its delivery is no longer on record"]
  return subscription.createdAtMs > state.atMs
    ? ["changed-since", "it was made after the message was routed; it would get the message now"]
    : [
      "changed-since",
      "it was changed after the message was routed and would get it now, or its delivery is no longer on record"
    ]
}

const filterReason = ({ message, payload, subscription }: Pair): string | undefined => {
  const { eventId, orderingKey, tenantId } = message
  return subscription.filter && Filter.explain(subscription.filter, { eventId, tenantId, orderingKey, payload })
}
