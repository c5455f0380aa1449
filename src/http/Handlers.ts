/**
 * The API's endpoints: each reads a request, calls a service and shows the result.
 */
import { DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Dispatchers } from "../Dispatchers.ts"
import { Explanations } from "../Explanations.ts"
import { Hooks } from "../Hook.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { workerGroup } from "../Message.ts"
import * as Nearest from "../Nearest.ts"
import { type PreviewError, Previews } from "../Previews.ts"
import { Registry } from "../Registry.ts"
import { type RetryAnswer, Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { groupOf } from "../Subscription.ts"
import { type SubscriptionNotFound, type SubscriptionRefused, Subscriptions } from "../Subscriptions.ts"
import { Api } from "./Api.ts"
import { Conflict, NotFound, ofEmit, Refused, type Unavailable, unavailable } from "./Problem.ts"
import * as Views from "./Views.ts"

const notFound = (what: string, id: string) => new NotFound({ detail: `There is no ${what} "${id}".` })

/** An id of a path; one of another form belongs to nothing. */
const idOf = <A>(schema: Schema.Codec<A, string>, what: string) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (text: string) =>
    Option.match(decode(text), { onNone: () => Effect.fail(notFound(what, text)), onSome: Effect.succeed })
}

const messageIdOf = idOf(MessageId, "message")
const subscriptionIdOf = idOf(SubscriptionId, "subscription")
const deliveryIdOf = idOf(DeliveryId, "delivery")

const stored = <A, R>(effect: Effect.Effect<A, StorageUnavailable, R>): Effect.Effect<A, Unavailable, R> =>
  Effect.mapError(effect, unavailable)

const events = HttpApiBuilder.group(
  Api,
  "events",
  Effect.fnUntraced(function*(handlers) {
    const registry = yield* Registry
    const storage = yield* Storage
    const find = Effect.fnUntraced(function*(id: string) {
      const found = yield* registry.event(id)
      if (found) return found
      const known = (yield* registry.events).map((event) => event.eventId)
      return yield* new NotFound({ detail: `There is no event "${id}"${Nearest.suggestion(id, known)}` })
    })
    return handlers
      .handle("list", ({ query }) =>
        query.groupBy === "category"
          ? Effect.map(registry.eventsByCategory, (categories) => ({
            categories: [...categories].map(([category, items]) => ({ category, events: items.map(Views.event) }))
          }))
          : Effect.map(registry.events, (items) => ({ items: items.map(Views.event), nextCursor: null })))
      .handle("get", ({ params }) => Effect.map(find(params.id), Views.event))
      .handle("schema", ({ params }) => Effect.map(find(params.id), Views.schema))
      .handle("partitions", ({ params }) =>
        Effect.gen(function*() {
          const { eventId } = yield* find(params.id)
          const partitions = yield* stored(storage.partitions)
          return { partitions: partitions.get(eventId) ?? 1 }
        }))
      .handle("setPartitions", ({ params, payload }) =>
        Effect.gen(function*() {
          const { eventId } = yield* find(params.id)
          yield* stored(storage.setPartitions(eventId, payload.partitions))
          return payload
        }))
  })
)

const retried = (answer: RetryAnswer, what: string, id: string, why: string) =>
  answer === "Retried"
    ? Effect.void
    : answer === "NotFound"
    ? Effect.fail(notFound(what, id))
    : Effect.fail(new Conflict({ detail: why }))

const messages = HttpApiBuilder.group(
  Api,
  "messages",
  Effect.fnUntraced(function*(handlers) {
    const hooks = yield* Hooks
    const registry = yield* Registry
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const explanations = yield* Explanations
    return handlers
      .handle("emit", ({ payload: { deliverAt, eventId, expiresAt, payload, ...rest } }) =>
        Effect.gen(function*() {
          if (!(yield* registry.event(eventId))) {
            const known = (yield* registry.events).map((event) => event.eventId)
            return yield* new Refused({
              path: "eventId",
              detail: `eventId: There is no event "${eventId}"${Nearest.suggestion(eventId, known)}`
            })
          }
          const options = {
            ...rest,
            ...(deliverAt === undefined ? {} : { deliverAt: DateTime.makeUnsafe(deliverAt) }),
            ...(expiresAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expiresAt) })
          }
          const id = yield* Effect.mapError(hooks.emitJson(eventId, payload, options), ofEmit)
          return { id }
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(MessageId),
          read: (page) => stored(storage.listMessages(query, { ...page, bytes: defaults.pageBytes })),
          view: Views.message
        }))
      .handle("get", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* stored(storage.getMessage(yield* messageIdOf(params.id)))
          return Option.isSome(found) ? Views.message(found.value) : yield* notFound("message", params.id)
        }))
      .handle("explain", ({ params, query }) =>
        Effect.gen(function*() {
          const id = yield* messageIdOf(params.id)
          const page = yield* Views.page(query, Schema.is(SubscriptionId))
          const { items, message, more } = yield* Effect.mapError(
            explanations.explain(id, page),
            (error) => error._tag === "MessageNotFound" ? notFound("message", error.id) : unavailable(error)
          )
          return {
            message: Views.message(message),
            items: items.map(Views.explanation),
            nextCursor: more ? items.at(-1)?.subscription.id ?? null : null
          }
        }))
      .handle("retry", ({ params }) =>
        Effect.gen(function*() {
          const id = yield* messageIdOf(params.id)
          const answer = yield* stored(storage.retryMessage(id))
          yield* retried(answer, "message", id, "Only a message that was set aside can be routed again.")
          const message = yield* stored(storage.getMessage(id))
          if (Option.isSome(message)) yield* dispatchers.wake(workerGroup(message.value.eventId))
          return { id }
        }))
  })
)

const changed = (error: SubscriptionNotFound | SubscriptionRefused | StorageUnavailable) => {
  switch (error._tag) {
    case "SubscriptionNotFound":
      return notFound("subscription", error.id)
    case "SubscriptionRefused":
      return new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    case "StorageUnavailable":
      return unavailable(error)
  }
}

const tried = (error: PreviewError) => error._tag === "MessageNotFound" ? notFound("message", error.id) : changed(error)

const refused = (error: SubscriptionRefused | StorageUnavailable) =>
  error._tag === "SubscriptionRefused"
    ? new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    : unavailable(error)

const missing = (error: SubscriptionNotFound | StorageUnavailable) =>
  error._tag === "SubscriptionNotFound" ? notFound("subscription", error.id) : unavailable(error)

const subscriptions = HttpApiBuilder.group(
  Api,
  "subscriptions",
  Effect.fnUntraced(function*(handlers) {
    const service = yield* Subscriptions
    const storage = yield* Storage
    const previews = yield* Previews
    const enabled = (value: boolean) => ({ params }: { readonly params: { readonly id: string } }) =>
      Effect.flatMap(
        subscriptionIdOf(params.id),
        (id) =>
          service.update(id, { enabled: value }).pipe(
            Effect.mapBoth({ onFailure: changed, onSuccess: Views.subscription })
          )
      )
    return handlers
      .handle("create", ({ payload }) =>
        Effect.gen(function*() {
          const { signingSecret, ...input } = payload
          const created = yield* Effect.mapError(
            service.create({
              ...input,
              ...(signingSecret === undefined ? {} : { signingSecret: Redacted.make(signingSecret) })
            }),
            refused
          )
          return {
            ...Views.subscription(created.subscription),
            signingSecret: Redacted.value(created.signingSecret)
          }
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(SubscriptionId),
          read: Views.oneMore((page) =>
            stored(service.list({
              ...(query.tenantId === undefined ? {} : { tenantId: query.tenantId }),
              ...(query.enabled === undefined ? {} : { enabled: query.enabled === "true" })
            }, page))
          ),
          view: Views.subscription
        }))
      .handle(
        "get",
        ({ params }) =>
          Effect.flatMap(
            subscriptionIdOf(params.id),
            (id) => service.get(id).pipe(Effect.mapBoth({ onFailure: missing, onSuccess: Views.subscription }))
          )
      )
      .handle("update", ({ params, payload }) =>
        Effect.gen(function*() {
          const id = yield* subscriptionIdOf(params.id)
          return Views.subscription(yield* Effect.mapError(service.update(id, payload), changed))
        }))
      .handle(
        "remove",
        ({ params }) =>
          Effect.flatMap(subscriptionIdOf(params.id), (id) => Effect.mapError(service.remove(id), changed))
      )
      .handle("preview", ({ payload: { config, providerId, subscriptionId, ...sample } }) =>
        Effect.gen(function*() {
          if ((subscriptionId === undefined) === (providerId === undefined)) {
            return yield* new Refused({
              path: "subscriptionId",
              detail: "subscriptionId: Expected either a subscriptionId, or a providerId with its config"
            })
          }
          const previewed = subscriptionId === undefined
            ? { providerId: providerId ?? "", config: config ?? {} }
            : { subscriptionId }
          return yield* Effect.mapError(previews.preview(previewed, sample), tried)
        }))
      .handle(
        "testFilter",
        ({ payload: { filter, ...sample } }) =>
          previews.testFilter(filter, sample).pipe(Effect.mapBoth({
            onFailure: tried,
            onSuccess: ({ eventId, passes, reason }) => ({
              eventId,
              passes,
              ...(reason === undefined ? {} : { reason })
            })
          }))
      )
      .handle("rotateSecret", ({ params, payload: { overlapMs, signingSecret } }) =>
        Effect.gen(function*() {
          const id = yield* subscriptionIdOf(params.id)
          const rotated = yield* Effect.mapError(
            service.rotateSecret(id, {
              ...(overlapMs === undefined ? {} : { overlapMs }),
              ...(signingSecret === undefined ? {} : { signingSecret: Redacted.make(signingSecret) })
            }),
            changed
          )
          return {
            ...Views.subscription(rotated.subscription),
            signingSecret: Redacted.value(rotated.signingSecret)
          }
        }))
      .handle("blockedKeys", ({ params, query }) =>
        Effect.gen(function*() {
          const id = yield* subscriptionIdOf(params.id)
          yield* Effect.mapError(service.get(id), missing)
          const page = yield* Views.page(query, (text) => !text.includes("\0"))
          const { items, more } = yield* Views.oneMore((page) =>
            stored(storage.blockedKeys(id, { ...page, counted: defaults.blockedCounted }))
          )(page)
          return { items: items.map(Views.blockedKey), nextCursor: more ? items.at(-1)?.orderingKey ?? null : null }
        }))
      .handle("enable", enabled(true))
      .handle("disable", enabled(false))
  })
)

/** A time of a query; nothing is older than 1970. */
const timeMs = (text: string) => Math.max(0, Date.parse(text))

const deliveries = HttpApiBuilder.group(
  Api,
  "deliveries",
  Effect.fnUntraced(function*(handlers) {
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    /** Tells the dispatcher of a delivery that there may be something to do. */
    const wake = Effect.fnUntraced(function*(id: DeliveryId) {
      const found = yield* stored(storage.getDelivery(id))
      if (Option.isNone(found)) return
      const { eventId, subscriptionId } = found.value.delivery
      const subscription = yield* stored(storage.getSubscription(subscriptionId))
      if (Option.isSome(subscription)) yield* dispatchers.wake(groupOf(subscription.value, eventId))
    })
    return handlers
      .handle(
        "list",
        ({ query: { cursor, from, limit, to, ...filter } }) =>
          Views.list({ ...(cursor === undefined ? {} : { cursor }), ...(limit === undefined ? {} : { limit }) }, {
            isId: Schema.is(DeliveryId),
            read: Views.oneMore((page) =>
              stored(storage.listDeliveries({
                ...filter,
                ...(from === undefined ? {} : { fromMs: timeMs(from) }),
                ...(to === undefined ? {} : { toMs: timeMs(to) })
              }, page))
            ),
            view: Views.delivery
          })
      )
      .handle("get", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* stored(storage.getDelivery(yield* deliveryIdOf(params.id)))
          if (Option.isNone(found)) return yield* notFound("delivery", params.id)
          return { ...Views.delivery(found.value.delivery), attempts: found.value.attempts.map(Views.attempt) }
        }))
      .handle("retry", ({ params }) =>
        Effect.gen(function*() {
          const id = yield* deliveryIdOf(params.id)
          const answer = yield* stored(storage.retryDelivery(id))
          yield* retried(
            answer,
            "delivery",
            id,
            "Only a failed or cancelled delivery of a subscription that still exists can be retried, or one that waits " +
              "for its next attempt."
          )
          yield* wake(id)
          return { id }
        }))
      .handle("skip", ({ params }) =>
        Effect.gen(function*() {
          const id = yield* deliveryIdOf(params.id)
          const answer = yield* stored(storage.skipDelivery(id))
          if (answer === "NotFound") return yield* notFound("delivery", id)
          if (answer === "NotSkippable") {
            return yield* new Conflict({
              detail: "Only a delivery that waits can be skipped: this one has ended, or an attempt of it is under way."
            })
          }
          yield* wake(id)
          return { id }
        }))
  })
)

/**
 * Layer of all handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = Layer.mergeAll(events, messages, subscriptions, deliveries)
