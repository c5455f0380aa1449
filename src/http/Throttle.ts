/**
 * How many requests this runner answers of one key in a time, and how many it refuses of one address that has none: with
 * effect's rate limiter, and the headers of the IETF's draft on rate limits.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
import { Context, Duration, Effect, Hash, Layer, Option } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import { RateLimiter } from "effect/persistence"
import type { Actor } from "../AuditEntry.ts"
import { Limits } from "../Limits.ts"
import { TooManyRequests } from "./Problem.ts"

/**
 * The limits of requests.
 *
 * @category services
 * @since 0.1.0
 */
export class Throttle extends Context.Service<Throttle, {
  /** Counts a request of somebody who is known; the answer says how many more there may be. */
  readonly admit: (actor: Actor) => Effect.Effect<void, TooManyRequests, HttpServerRequest.HttpServerRequest>
  /** Counts a request of somebody who is not. */
  readonly refuse: Effect.Effect<void, TooManyRequests, HttpServerRequest.HttpServerRequest>
}>()("hookline/http/Throttle") {}

/**
 * Layer of the limits, each runner's own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Throttle> = Layer.effect(
  Throttle,
  Effect.gen(function*() {
    const limits = yield* Limits
    const limiter = yield* RateLimiter.make
    const consume = Effect.fnUntraced(function*(key: string, limit: number, windowMs: number, isTold: boolean) {
      const spent = yield* Effect.result(
        limiter.consume({ algorithm: "token-bucket", onExceeded: "fail", key, limit, window: windowMs })
      )
      if (spent._tag === "Success") {
        const { remaining, resetAfter } = spent.success
        if (isTold) yield* tell({ limit, windowMs, remaining, resetAfter, retryAfter: undefined })
        return
      }
      const { reason } = spent.failure
      const retryAfter = reason._tag === "RateLimitExceeded" ? reason.retryAfter : Duration.seconds(1)
      yield* tell({ limit, windowMs, remaining: 0, resetAfter: retryAfter, retryAfter })
      return yield* new TooManyRequests({
        detail: `More than ${limit} requests in ${windowMs} ms: wait for ${seconds(retryAfter)} s, and send fewer.`
      })
    })
    return Throttle.of({
      admit: ({ id, kind }) => consume(`${kind} ${id ?? ""}`, limits.keyRequests, limits.keyRequestsMs, true),
      refuse: Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ remoteAddress }) => {
        // Those who share a slot share its limit, so that addresses cost no memory, however many come.
        const address = Option.getOrElse(remoteAddress, () => "")
        const slot = Math.abs(Hash.string(address)) % limits.addressSlots
        return consume(`address ${slot}`, limits.addressRefusals, limits.addressRefusalsMs, false)
      })
    })
  })
).pipe(Layer.provide(RateLimiter.layerStoreMemory))

// --- internal ---

/** Rounded up: whoever waits for so long does not come too early. */
const seconds = (duration: Duration.Duration): number => Math.max(1, Math.ceil(Duration.toSeconds(duration)))

const tell = ({ limit, remaining, resetAfter, retryAfter, windowMs }: {
  readonly limit: number
  readonly windowMs: number
  readonly remaining: number
  readonly resetAfter: Duration.Duration
  readonly retryAfter: Duration.Duration | undefined
}) =>
  HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(HttpServerResponse.setHeaders(response, {
      "ratelimit-policy": `"requests";q=${limit};w=${Math.max(1, Math.round(windowMs / 1000))}`,
      "ratelimit": `"requests";r=${Math.max(0, Math.floor(remaining))};t=${Math.ceil(Duration.toSeconds(resetAfter))}`,
      ...(retryAfter === undefined ? {} : { "retry-after": String(seconds(retryAfter)) })
    }))
  )
