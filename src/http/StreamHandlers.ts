/**
 * The endpoint of the live stream: a listener's outcomes as server-sent events, pulled as fast as the client reads.
 */
import { Effect, Layer, Option, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Principal, Standing } from "../Access.ts"
import type { SubscriptionId } from "../Id.ts"
import { Limits } from "../Limits.ts"
import * as Live from "../Live.ts"
import { Storage } from "../Storage.ts"
import { crowded } from "./Answers.ts"
import { Api } from "./Api.ts"
import { filterOf, withoutWorkQueues } from "./Tenancy.ts"
import * as Views from "./Views.ts"

const group = HttpApiBuilder.group(
  Api,
  "stream",
  Effect.fnUntraced(function*(handlers) {
    const live = yield* Live.Live
    const shown = withoutWorkQueues(yield* Storage)
    const { liveHeartbeatMs } = yield* Limits
    // Raw, as the typed form knows no comments.
    return handlers.handleRaw("listen", ({ headers, query }) =>
      Effect.gen(function*() {
        const filter = { ...query, ...(yield* filterOf(query.tenantId)) }
        const { hasGap, next } = yield* Effect.catch(live.listen(filter, headers["last-event-id"]), crowded)
        const asker = yield* Principal
        /** Asked of each subscription once; one of which nobody can tell is not shown. */
        const known = new Map<SubscriptionId, boolean>()
        const visible = Effect.fnUntraced(function*({ dropped, outcomes }: Live.Batch) {
          if (asker.tenantId === undefined) return { dropped, outcomes }
          const fresh = outcomes.flatMap(({ delivery: { subscriptionId } }) =>
            known.has(subscriptionId) ? [] : [{ subscriptionId }]
          )
          const seen = yield* Effect.option(Effect.provideService(shown(fresh), Principal, asker))
          if (Option.isSome(seen)) {
            for (const { subscriptionId } of fresh) known.set(subscriptionId, false)
            for (const { subscriptionId } of seen.value) known.set(subscriptionId, true)
          }
          return { dropped, outcomes: outcomes.filter(({ delivery }) => known.get(delivery.subscriptionId) === true) }
        })
        const events = Effect.timeoutOption(next, liveHeartbeatMs).pipe(
          // Beyond the timeout, which would lose what was taken.
          Effect.flatMap(Option.match({
            onNone: () => Effect.succeed(heartbeat),
            onSome: (batch) => Effect.map(visible(batch), render)
          })),
          Stream.fromEffectRepeat,
          // Nothing is left where all of it was a work queue's.
          Stream.filter((text) => text !== "")
        )
        const { isGood } = yield* Standing
        const refused = Effect.repeat(Effect.delay(isGood, liveHeartbeatMs), { while: (good) => good })
        return HttpServerResponse.stream(
          Stream.concat(Stream.succeed(heartbeat + (hasGap ? event("gap", {}) : "")), events).pipe(
            Stream.interruptWhen(refused),
            Stream.encodeText
          ),
          // nginx would keep events until it has a page of them.
          { contentType: "text/event-stream", headers: { "x-accel-buffering": "no" } }
        )
      }))
  })
)

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = group

/**
 * Layer that lets the open streams end when it is released: to be built on the server, which waits for its answers.
 *
 * @category layers
 * @since 0.1.0
 */
export const ending: Layer.Layer<never, never, Live.Live> = Layer.effectDiscard(
  Effect.flatMap(Live.Live, (live) => Effect.addFinalizer(() => live.end))
)

// --- internal ---

const heartbeat = ": open\n\n"

const event = (event: string, data: unknown, id?: string) =>
  Sse.encoder.write({ _tag: "Event", event, id, data: JSON.stringify(data) })

const render = ({ dropped, outcomes }: Live.Batch): string =>
  (dropped > 0 ? event("dropped", { count: dropped }) : "") +
  outcomes.map(({ attempt, delivery, id }) =>
    event("delivery", { ...Views.delivery(delivery), attempt: Views.attempt(attempt) }, id)
  ).join("")
