/**
 * The endpoints of the delivery log.
 */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audit from "../Audit.ts"
import type { AttemptRecord, Delivery } from "../Delivery.ts"
import { Dispatchers } from "../Dispatchers.ts"
import { DeliveryId } from "../Id.ts"
import { Limits } from "../Limits.ts"
import { Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { groupOf } from "../Subscription.ts"
import { deliveryIdOf, notFound, retried, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import * as Page from "./Page.ts"
import { Conflict } from "./Problem.ts"
import { filterOf, own, withoutWorkQueues } from "./Tenancy.ts"
import * as Views from "./Views.ts"

interface Found {
  readonly delivery: Delivery
  readonly attempts: ReadonlyArray<AttemptRecord>
}

/** A time of a query; nothing is older than 1970. */
const timeMs = (text: string) => Math.max(0, Date.parse(text))

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "deliveries",
  Effect.fnUntraced(function*(handlers) {
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const audit = Audit.writer(storage)
    const shown = withoutWorkQueues(storage)
    const { listLook } = yield* Limits
    const find = (text: string) =>
      Effect.gen(function*() {
        const found = yield* stored(storage.getDelivery(yield* deliveryIdOf(text)))
        if (Option.isNone(found)) return yield* notFound("delivery", text)
        const delivery = yield* own<Delivery>("delivery", text)(found.value.delivery)
        if ((yield* stored(shown([delivery]))).length === 0) return yield* notFound("delivery", text)
        return found.value
      })
    /** Does something to a delivery, with an entry in the audit log where it was done. */
    const intervene = <A>(
      action: string,
      { delivery }: Found,
      intervening: Effect.Effect<A, StorageUnavailable>,
      done: A
    ) =>
      storage.atomically(Effect.gen(function*() {
        const answer = yield* intervening
        const { id, reason, status, tenantId } = delivery
        const before = { status, ...(reason === undefined ? {} : { reason }) }
        if (answer === done) yield* audit({ action, resourceId: id, tenantId, before, after: undefined })
        return answer
      })).pipe(stored)
    /** Tells the dispatcher of a delivery that there may be something to do. */
    const wake = Effect.fnUntraced(function*({ delivery: { eventId, subscriptionId } }: Found) {
      // It is done by now: if the hint can't be given, the sweep finds what there is to do.
      const found = yield* Effect.option(storage.getSubscription(subscriptionId))
      const subscription = Option.flatten(found)
      if (Option.isSome(subscription)) yield* dispatchers.wake(groupOf(subscription.value, eventId))
    })
    return handlers
      .handle(
        "list",
        ({ query: { cursor, from, limit, tenantId, to, ...filter } }) =>
          Views.list(Page.asked(cursor, limit), {
            isId: Schema.is(DeliveryId),
            read: (page) =>
              Effect.flatMap(filterOf(tenantId), (tenant) =>
                Effect.gen(function*() {
                  const { items, next } = yield* storage.walkDeliveries({
                    ...filter,
                    ...tenant,
                    ...(from === undefined ? {} : { fromMs: timeMs(from) }),
                    ...(to === undefined ? {} : { toMs: timeMs(to) })
                  }, { ...page, look: listLook })
                  return Views.walked({ items: yield* shown(items), next })
                }).pipe(stored)),
            view: Views.delivery
          })
      )
      .handle("get", ({ params }) =>
        Effect.gen(function*() {
          const { attempts, delivery } = yield* find(params.id)
          return { ...Views.delivery(delivery), attempts: attempts.map(Views.attempt) }
        }))
      .handle("retry", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found.delivery
          const answer = yield* intervene("delivery.retry", found, storage.retryDelivery(id), "Retried")
          yield* retried(
            answer,
            "delivery",
            id,
            "Only a failed or cancelled delivery of a subscription that still exists can be retried, or one that waits " +
              "for its next attempt."
          )
          yield* wake(found)
          return { id }
        }))
      .handle("skip", ({ params }) =>
        Effect.gen(function*() {
          const found = yield* find(params.id)
          const { id } = found.delivery
          const answer = yield* intervene("delivery.skip", found, storage.skipDelivery(id), "Skipped")
          if (answer === "NotFound") return yield* notFound("delivery", id)
          if (answer === "NotSkippable") {
            return yield* new Conflict({
              detail: "Only a delivery that waits can be skipped: this one has ended, or an attempt of it is under way."
            })
          }
          yield* wake(found)
          return { id }
        }))
  })
)
