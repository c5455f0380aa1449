/**
 * What the handlers of several resources answer alike.
 */
import { Effect, Option, Schema } from "effect"
import { HttpEffect, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { ConnectionId, DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import type { NoPlace } from "../NoPlace.ts"
import type { RetryAnswer } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { Conflict, NotFound, TooManyRequests, Unavailable, unavailable } from "./Problem.ts"

/** @category conversions @since 0.1.0 */
export const notFound = (what: string, id: string) => new NotFound({ detail: `There is no ${what} "${id}".` })

/**
 * An id of a path; one of another form belongs to nothing.
 *
 * @category conversions
 * @since 0.1.0
 */
export const idOf = <A>(schema: Schema.Codec<A, string>, what: string) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (text: string) =>
    Option.match(decode(text), { onNone: () => Effect.fail(notFound(what, text)), onSome: Effect.succeed })
}

/** @category conversions @since 0.1.0 */
export const messageIdOf = idOf(MessageId, "message")
/** @category conversions @since 0.1.0 */
export const subscriptionIdOf = idOf(SubscriptionId, "subscription")
/** @category conversions @since 0.1.0 */
export const deliveryIdOf = idOf(DeliveryId, "delivery")
/** @category conversions @since 0.1.0 */
export const connectionIdOf = idOf(ConnectionId, "connection")

/**
 * There is no place left: 429 where it is the tenant's share that is taken, 503 where it is the whole.
 *
 * @category conversions
 * @since 0.1.0
 */
export const crowded = Effect.fnUntraced(
  function*({ message, ofTenant }: NoPlace): Effect.fn.Return<
    never,
    TooManyRequests | Unavailable,
    HttpServerRequest.HttpServerRequest
  > {
    if (!ofTenant) return yield* new Unavailable({ detail: message })
    yield* HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", "1"))
    )
    return yield* new TooManyRequests({ detail: message })
  }
)

/** @category conversions @since 0.1.0 */
export const stored = <A, R>(effect: Effect.Effect<A, StorageUnavailable, R>): Effect.Effect<A, Unavailable, R> =>
  Effect.mapError(effect, unavailable)

/** @category conversions @since 0.1.0 */
export const retried = (answer: RetryAnswer, what: string, id: string, why: string) =>
  answer === "Retried"
    ? Effect.void
    : answer === "NotFound"
    ? Effect.fail(notFound(what, id))
    : answer === "NotKept"
    ? Effect.fail(
      new Conflict({ detail: "What it would send is not kept any more: its message is gone, or its body has expired." })
    )
    : Effect.fail(new Conflict({ detail: why }))
