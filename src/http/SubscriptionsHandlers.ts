/**
 * The endpoints of subscriptions.
 */
import { Effect, Option, Redacted, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Principal } from "../Access.ts"
import type { Connection } from "../Connection.ts"
import { type ConnectionId, type MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { NoPlace } from "../NoPlace.ts"
import { type PreviewError, Previews } from "../Previews.ts"
import { RetryableError } from "../Provider.ts"
import * as RetrySchedule from "../RetrySchedule.ts"
import { Storage, type StoredMessage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import {
  type SubscriptionChanged,
  type SubscriptionNotFound,
  type SubscriptionRefused,
  Subscriptions,
  type SubscriptionView
} from "../Subscriptions.ts"
import { crowded, notFound, stored, subscriptionIdOf } from "./Answers.ts"
import { Api } from "./Api.ts"
import * as ETag from "./ETag.ts"
import { Refused, unavailable } from "./Problem.ts"
import { filterOf, own } from "./Tenancy.ts"
import * as Views from "./Views.ts"

const changed = Effect.fnUntraced(
  function*(error: SubscriptionNotFound | SubscriptionRefused | SubscriptionChanged | StorageUnavailable) {
    if (error._tag === "SubscriptionChanged") return yield* ETag.stale(error.version)
    return yield* unchanged(error)
  }
)

const tried = (error: PreviewError) =>
  error._tag === "MessageNotFound" ? notFound("message", error.id) : unchanged(error)

const sent = Effect.fnUntraced(function*(error: PreviewError | NoPlace) {
  return yield* error._tag === "NoPlace" ? crowded(error) : tried(error)
})

/** As for a change that is no matter of versions. */
const unchanged = (error: SubscriptionNotFound | SubscriptionRefused | StorageUnavailable) =>
  error._tag === "SubscriptionNotFound" ? notFound("subscription", error.id) : refused(error)

const refused = (error: SubscriptionRefused | StorageUnavailable) =>
  error._tag === "SubscriptionRefused"
    ? new Refused({ path: error.path, detail: `${error.path}: ${error.message}` })
    : unavailable(error)

const missing = (error: SubscriptionNotFound | StorageUnavailable) =>
  error._tag === "SubscriptionNotFound" ? notFound("subscription", error.id) : unavailable(error)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "subscriptions",
  Effect.fnUntraced(function*(handlers) {
    const service = yield* Subscriptions
    const storage = yield* Storage
    const previews = yield* Previews
    const find = (text: string) =>
      Effect.gen(function*() {
        const id = yield* subscriptionIdOf(text)
        return yield* Effect.flatMap(Effect.mapError(service.get(id), missing), own("subscription", text))
      })
    const shown = (subscription: SubscriptionView) =>
      Effect.as(ETag.tell(subscription.version), Views.subscription(subscription))
    const enabled = (value: boolean) => ({ params }: { readonly params: { readonly id: string } }) =>
      Effect.gen(function*() {
        const found = yield* find(params.id)
        const { id } = found
        const version = yield* ETag.asked(found)
        return yield* shown(yield* Effect.catch(service.update(id, { enabled: value }, { version }), changed))
      })
    const checkConnection = Effect.fnUntraced(function*(id: ConnectionId | undefined) {
      if (id === undefined) return
      const found = yield* stored(storage.getConnection(id))
      if (Option.isNone(found)) return yield* notFound("connection", id)
      yield* own<Connection>("connection", id)(found.value)
    })
    /** What a preview looks at has to be the asker's. */
    const checkSample = Effect.fnUntraced(function*(messageId: MessageId | undefined) {
      if (messageId === undefined) return
      const found = yield* stored(storage.getMessage(messageId))
      if (Option.isNone(found)) return yield* notFound("message", messageId)
      yield* own<StoredMessage>("message", messageId)(found.value)
    })
    return handlers
      .handle("create", ({ payload }) =>
        Effect.gen(function*() {
          const { signingSecret, ...input } = payload
          const created = yield* Effect.mapError(
            service.create({
              ...input,
              ...(yield* filterOf(input.tenantId)),
              ...(signingSecret === undefined ? {} : { signingSecret: Redacted.make(signingSecret) })
            }),
            refused
          )
          return {
            ...(yield* shown(created.subscription)),
            signingSecret: Redacted.value(created.signingSecret)
          }
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(SubscriptionId),
          read: Views.oneMore((page) =>
            Effect.flatMap(filterOf(query.tenantId), (tenant) =>
              stored(service.list({
                ...tenant,
                ...(query.connectionId === undefined ? {} : { connectionId: query.connectionId }),
                ...(query.enabled === undefined ? {} : { enabled: query.enabled === "true" }),
                ...(query.failing === undefined ? {} : { failing: query.failing === "true" })
              }, page)))
          ),
          view: Views.subscription
        }))
      .handle("get", ({ params }) => Effect.flatMap(find(params.id), shown))
      .handle("update", ({ params, payload }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found
          const version = yield* ETag.asked(found)
          return yield* shown(yield* Effect.catch(service.update(id, payload, { version }), changed))
        }))
      .handle("remove", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found
          const version = yield* ETag.asked(found)
          yield* Effect.catch(service.remove(id, { version }), changed)
        }))
      .handle(
        "preview",
        ({ payload: { config, connectionId, providerId, subscriptionId, ...sample } }) =>
          Effect.gen(function*() {
            if ((subscriptionId === undefined) === (providerId === undefined)) {
              return yield* new Refused({
                path: "subscriptionId",
                detail: "subscriptionId: Expected either a subscriptionId, or a providerId with its config"
              })
            }
            if (subscriptionId !== undefined) {
              const path = config !== undefined ? "config" : connectionId !== undefined ? "connectionId" : undefined
              if (path !== undefined) {
                return yield* new Refused({
                  path,
                  detail: `${path}: A stored subscription has its own: name a providerId instead of the subscriptionId`
                })
              }
              yield* find(subscriptionId)
            }
            yield* checkConnection(connectionId)
            yield* checkSample(sample.messageId)
            const previewed = subscriptionId === undefined
              ? {
                providerId: providerId ?? "",
                config: config ?? {},
                ...(connectionId === undefined ? {} : { connectionId })
              }
              : { subscriptionId }
            return yield* Effect.mapError(previews.preview(previewed, sample), tried)
          })
      )
      .handle("testFilter", ({ payload: { filter, ...sample } }) =>
        Effect.gen(function*() {
          yield* checkSample(sample.messageId)
          const { tenantId } = yield* Principal
          const { eventId, passes, reason } = yield* Effect.mapError(
            previews.testFilter(filter, sample, tenantId),
            tried
          )
          return { eventId, passes, ...(reason === undefined ? {} : { reason }) }
        }))
      .handle("previewSchedule", ({ payload: { retry } }) =>
        Effect.gen(function*() {
          const delaysMs = yield* RetrySchedule.preview(RetrySchedule.fromJson(retry), {
            count: defaults.attemptsPerDelivery - 1,
            error: new RetryableError({ code: "HttpStatus", message: "HTTP 503", statusCode: 503 }),
            seed: "preview"
          })
          return { attempts: delaysMs.length + 1, delaysMs, totalMs: delaysMs.reduce((sum, ms) => sum + ms, 0) }
        }))
      .handle("test", ({ params, payload }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
          yield* checkSample(payload.messageId)
          return Views.trial(yield* Effect.catch(previews.send(id, payload), sent))
        }))
      .handle("rotateSecret", ({ params, payload: { overlapMs, signingSecret } }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found
          const version = yield* ETag.asked(found)
          const rotation = {
            ...(overlapMs === undefined ? {} : { overlapMs }),
            ...(signingSecret === undefined ? {} : { signingSecret: Redacted.make(signingSecret) })
          }
          const rotated = yield* Effect.catch(service.rotateSecret(id, rotation, { version }), changed)
          return {
            ...(yield* shown(rotated.subscription)),
            signingSecret: Redacted.value(rotated.signingSecret)
          }
        }))
      .handle("blockedKeys", ({ params, query }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
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
