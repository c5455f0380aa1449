/**
 * The contract of the live stream.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { SubscriptionId } from "../Id.ts"
import { told } from "../Told.ts"
import { LiveDelivery } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import { Refused, TooManyRequests, Unavailable } from "./Problem.ts"

/**
 * An outcome that was recorded: the delivery as it is now, with the attempt.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DeliveryEvent = Schema.Struct({
  id: Schema.optional(Schema.String).pipe(told("To be sent as `Last-Event-ID`, to go on after it")),
  event: Schema.Literal("delivery").pipe(told("An outcome that was recorded")),
  data: Schema.fromJsonString(LiveDelivery).pipe(told("The delivery as it is now, with the attempt"))
})

/**
 * The reader was too slow: so many outcomes are missing before the next one.
 *
 * @category schemas
 * @since 0.1.0
 */
export const DroppedEvent = Schema.Struct({
  event: Schema.Literal("dropped").pipe(told("The reader was too slow")),
  data: Schema.fromJsonString(
    Schema.Struct({ count: Schema.Int.pipe(told("How many outcomes are missing before the next one")) })
  ).pipe(told("What is missing"))
})

/**
 * What came after the outcome in `Last-Event-ID` is not kept any more, or was another runner's: some are missing here.
 *
 * @category schemas
 * @since 0.1.0
 */
export const GapEvent = Schema.Struct({
  event: Schema.Literal("gap").pipe(
    told("Outcomes after the one in `Last-Event-ID` are not kept any more, or were another runner's")
  ),
  data: Schema.fromJsonString(Schema.Struct({})).pipe(told("Nothing more"))
})

/**
 * The outcomes of attempts as the runner that answers records them, as server-sent events, from when the answer has begun;
 * a comment follows at once, and whenever nothing happens for a while.
 *
 * **Gotchas**
 *
 * Live means live: a slow reader misses outcomes, though it is told how many. Who comes back with `Last-Event-ID` goes on after
 * that outcome while this runner keeps it (`Limits.liveKept`), and is told where it can't, whether or not some were missed: it is
 * kept for all together. `GET deliveries` is the record. An attempt is sent without the endpoint's answer, and `completedAt` is the attempt's
 * end, which the record may have some milliseconds later.
 *
 * @category groups
 * @since 0.1.0
 */
export class StreamGroup extends HttpApiGroup.make("stream").add(
  HttpApiEndpoint.get("listen", "/stream", {
    query: {
      subscriptionId: Schema.optionalKey(SubscriptionId),
      eventId: Schema.optionalKey(Schema.String),
      tenantId: Schema.optionalKey(Schema.String)
    },
    headers: { "last-event-id": Schema.optionalKey(Schema.String) },
    success: HttpApiSchema.StreamSse({ events: Schema.Union([DeliveryEvent, DroppedEvent, GapEvent]) }),
    error: [Refused, TooManyRequests, Unavailable]
  }).annotateMerge(
    described({
      summary: "Listen to outcomes",
      description: "Server-sent events: each outcome as the runner that answers records it, from when the answer has " +
        "begun. A slow reader is told how many outcomes it missed. A runner has so many listeners, of whom keys of one " +
        "tenant may have a quarter: else 503, or 429."
    })
  )
).annotateMerge(OpenApi.annotations({ description: "Outcomes as they happen." })) {}
