/**
 * The endpoints of messages.
 */
import { DateTime, Effect, Option, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as Audit from "../Audit.ts"
import { Dispatchers } from "../Dispatchers.ts"
import { Explanations } from "../Explanations.ts"
import { Hooks } from "../Hook.ts"
import { MessageId, SubscriptionId } from "../Id.ts"
import { defaults, Limits } from "../Limits.ts"
import { workerGroup } from "../Message.ts"
import * as Nearest from "../Nearest.ts"
import { Registry } from "../Registry.ts"
import { Storage, type StoredMessage } from "../Storage.ts"
import * as TraceContext from "../TraceContext.ts"
import { messageIdOf, notFound, retried, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import type { Emission } from "./MessagesApi.ts"
import { ofBatch, ofEmit, Refused, unavailable } from "./Problem.ts"
import { filterOf, own } from "./Tenancy.ts"
import * as Views from "./Views.ts"

/** The request's trace, where its span does not carry it on. */
const traceOf = Effect.withFiber((fiber) =>
  TraceContext.isTraced(fiber)
    ? Effect.succeed({})
    : Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers: { traceparent } }) => traceparent === undefined ? {} : { traceparent }
    )
)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "messages",
  Effect.fnUntraced(function*(handlers) {
    const hooks = yield* Hooks
    const registry = yield* Registry
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const explanations = yield* Explanations
    const audit = Audit.writer(storage)
    const { listLook } = yield* Limits
    const find = (text: string) =>
      Effect.gen(function*() {
        const found = yield* stored(storage.getMessage(yield* messageIdOf(text)))
        return yield* Option.isSome(found)
          ? own<StoredMessage>("message", text)(found.value)
          : notFound("message", text)
      })
    /** What is to be emitted, where there is such an event and the key may; its place is `at`. */
    const emissionOf = Effect.fnUntraced(function*(
      { deliverAt, eventId, expiresAt, payload, ...rest }: typeof Emission.Type,
      at: string
    ) {
      if (!(yield* registry.event(eventId))) {
        const known = (yield* registry.events).map((event) => event.eventId)
        return yield* new Refused({
          path: `${at}eventId`,
          detail: `${at}eventId: There is no event "${eventId}"${Nearest.suggestion(eventId, known)}`
        })
      }
      const options = {
        ...rest,
        ...(yield* filterOf(rest.tenantId)),
        ...(yield* traceOf),
        ...(deliverAt === undefined ? {} : { deliverAt: DateTime.makeUnsafe(deliverAt) }),
        ...(expiresAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expiresAt) })
      }
      return { eventId, payload, options }
    })
    return handlers
      .handle("emit", ({ payload }) =>
        Effect.gen(function*() {
          const emission = yield* emissionOf(payload, "")
          const id = yield* Effect.mapError(
            hooks.emitJson(emission.eventId, emission.payload, emission.options),
            ofEmit
          )
          return { id }
        }))
      .handle("emitBatch", ({ payload: { messages } }) =>
        Effect.gen(function*() {
          const emissions = yield* Effect.forEach(messages, (one, n) => emissionOf(one, `messages[${n}].`))
          return { ids: yield* Effect.mapError(hooks.emitBatch(emissions), ofBatch) }
        }))
      .handle("list", ({ query }) =>
        Views.list(query, {
          isId: Schema.is(MessageId),
          read: (page) =>
            Effect.flatMap(filterOf(query.tenantId), (tenant) =>
              stored(storage.listMessages({ ...query, ...tenant }, {
                ...page,
                bytes: defaults.pageBytes,
                look: listLook
              }))),
          view: Views.message
        }))
      .handle("get", ({ params }) =>
        Effect.gen(function*() {
          return Views.message(yield* find(params.id))
        }))
      .handle("explain", ({ params, query }) =>
        Effect.gen(function*() {
          const { id } = yield* find(params.id)
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
          const { eventId, id, state, tenantId } = yield* find(params.id)
          const answer = yield* storage.atomically(Effect.gen(function*() {
            const answer = yield* storage.retryMessage(id)
            const before = state._tag === "SetAside" ? { error: state.error } : {}
            if (answer === "Retried") {
              yield* audit({ action: "message.retry", resourceId: id, tenantId, before, after: undefined })
            }
            return answer
          })).pipe(stored)
          yield* retried(answer, "message", id, "Only a message that was set aside can be routed again.")
          yield* dispatchers.wake(workerGroup(eventId))
          return { id }
        }))
  })
)
