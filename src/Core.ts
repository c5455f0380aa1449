/**
 * Hookline's own hooks: what happens to the plugins and the runner of this process, told in this process alone, to `local`
 * handlers and `Hook.stream`; and what happens to subscriptions and deliveries, told as integration events like any other.
 */
import { DateTime, Effect, Schema } from "effect"
import * as Hook from "./Hook.ts"
import { DeliveryId, MessageId, messageId, SubscriptionId } from "./Id.ts"
import * as IntegrationEvent from "./IntegrationEvent.ts"
import type { Message } from "./Message.ts"

/**
 * The id of the plugin that brings them.
 *
 * @category constants
 * @since 0.1.0
 */
export const pluginId = "hookline"

const OfPlugin = Schema.Struct({ pluginId: Schema.String })

/**
 * A plugin is up, and so are all others: told once for each, in the order of their registration, when `Hookline.layer` is up.
 *
 * @category hooks
 * @since 0.1.0
 */
export const PluginLoaded = Hook.make("plugin.loaded", { payload: OfPlugin })

/**
 * The program stops: told once, while everything still works, before `PluginStopping`.
 *
 * **Gotchas**
 *
 * Handlers get `Limits.drainTimeoutMs` together; a process that is killed tells nothing.
 *
 * @category hooks
 * @since 0.1.0
 */
export const RunnerStopping = Hook.make("runner.stopping", { payload: Schema.Struct({}) })

/**
 * A plugin is about to stop: told once for each, in the reverse order of their registration, while everything still works.
 *
 * **Gotchas**
 *
 * As of `RunnerStopping`.
 *
 * @category hooks
 * @since 0.1.0
 */
export const PluginStopping = Hook.make("plugin.stopping", { payload: OfPlugin })

// -- operational events

const ofSubscription = { subscriptionId: SubscriptionId, name: Schema.String, providerId: Schema.String }

const keyed = { orderingKey: ({ subscriptionId }: { readonly subscriptionId: SubscriptionId }) => subscriptionId }

/**
 * Nothing of a subscription was accepted for a day (`Limits.failingWarnMs`): it is disabled at `disabledAt` if that goes on.
 * Told once until something is accepted.
 *
 * @category operational events
 * @since 0.1.0
 */
export const SubscriptionFailing = Hook.make("subscription.failing", {
  payload: Schema.Struct({
    ...ofSubscription,
    failingSince: Schema.DateTimeUtcFromString,
    disabledAt: Schema.DateTimeUtcFromString,
    lastError: Schema.optionalKey(Schema.String)
  }),
  ...keyed
})

/**
 * Hookline has disabled a subscription: its endpoint said that it is gone, or accepted nothing for `Limits.failingDisableMs`.
 *
 * @category operational events
 * @since 0.1.0
 */
export const SubscriptionDisabled = Hook.make("subscription.disabled", {
  payload: Schema.Struct({
    ...ofSubscription,
    reason: Schema.Literals(["gone", "failing"]),
    lastError: Schema.optionalKey(Schema.String)
  }),
  ...keyed
})

/**
 * Something of a subscription was accepted again, after it was told as failing.
 *
 * @category operational events
 * @since 0.1.0
 */
export const SubscriptionRecovered = Hook.make("subscription.recovered", {
  payload: Schema.Struct({ ...ofSubscription, failingSince: Schema.DateTimeUtcFromString }),
  ...keyed
})

/**
 * A delivery failed for good because its retry schedule is exhausted, a work queue's too: that is told to the message's
 * tenant.
 *
 * @category operational events
 * @since 0.1.0
 */
export const DeliveryExhausted = Hook.make("delivery.exhausted", {
  payload: Schema.Struct({
    deliveryId: DeliveryId,
    messageId: MessageId,
    eventId: Schema.String,
    subscriptionId: SubscriptionId,
    attemptCount: Schema.Int,
    lastError: Schema.optionalKey(Schema.String)
  }),
  ...keyed
})

const category = "Hookline"

const example = {
  subscriptionId: SubscriptionId.make("sub_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6"),
  name: "on call",
  providerId: "webhook.webhook"
}
const lastError = "The endpoint answered with status 503"
const failingSince = DateTime.makeUnsafe("2026-01-31T12:00:00Z")

/**
 * The operational events: subscribed to by their names or `hookline.*`, as `*` does not match them.
 *
 * **Gotchas**
 *
 * A delivery of an operational event causes none.
 *
 * @category operational events
 * @since 0.1.0
 */
export const events: ReadonlyArray<IntegrationEvent.IntegrationEvent> = [
  IntegrationEvent.make(SubscriptionFailing, {
    displayName: "Subscription Failing",
    description: "Nothing of a subscription was accepted for a day",
    category,
    example: { ...example, failingSince, disabledAt: DateTime.add(failingSince, { days: 5 }), lastError }
  }),
  IntegrationEvent.make(SubscriptionDisabled, {
    displayName: "Subscription Disabled",
    description: "Hookline disabled a subscription whose endpoint is gone or accepts nothing",
    category,
    example: { ...example, reason: "failing", lastError }
  }),
  IntegrationEvent.make(SubscriptionRecovered, {
    displayName: "Subscription Recovered",
    description: "A failing subscription's endpoint accepts messages again",
    category,
    example: { ...example, failingSince }
  }),
  IntegrationEvent.make(DeliveryExhausted, {
    displayName: "Delivery Exhausted",
    description: "A delivery failed for good after its last attempt",
    category,
    example: {
      deliveryId: DeliveryId.make("dlv_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6"),
      messageId: MessageId.make("msg_018f3c1a2b3c7d4e8f90a1b2c3d4e5f6"),
      eventId: "incident.incident.created",
      subscriptionId: example.subscriptionId,
      attemptCount: 10,
      lastError
    }
  })
]

/**
 * Tells whether an event is Hookline's own.
 *
 * @category guards
 * @since 0.1.0
 */
export const isOwn = (eventId: string): boolean => eventId.startsWith(`${pluginId}.`)

/**
 * The message of an operational event.
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = <A>(
  hook: Hook.Hook<A>,
  payload: A,
  { nowMs, tenantId }: { readonly nowMs: number; readonly tenantId: string }
): Effect.Effect<Message> =>
  Effect.gen(function*() {
    const json = yield* Effect.orDie(Schema.encodeEffect(hook.payload)(payload))
    return {
      id: yield* messageId(nowMs),
      eventId: `${pluginId}.${hook.id}`,
      tenantId,
      orderingKey: hook.orderingKey?.(payload),
      payloadJson: JSON.stringify(json)
    }
  })

/**
 * Those that are told in this process alone.
 *
 * @category hooks
 * @since 0.1.0
 */
export const hooks: ReadonlyArray<Hook.AnyHook> = [PluginLoaded, RunnerStopping, PluginStopping]
