/**
 * The contract of the delivery log.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { told } from "../Told.ts"
import { DeliveryDetail, DeliveryView } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { id, Name } from "./Shapes.ts"
import { IsoTime } from "./Time.ts"

const Taken = Schema.Struct({ id: DeliveryId.pipe(told("The delivery's id")) })

/** @category groups @since 0.1.0 */
export class Deliveries extends HttpApiGroup.make("deliveries").add(
  HttpApiEndpoint.get("list", "/deliveries", {
    query: {
      ...Page.query,
      tenantId: Schema.optionalKey(Name),
      subscriptionId: Schema.optionalKey(SubscriptionId),
      eventId: Schema.optionalKey(Name),
      messageId: Schema.optionalKey(MessageId),
      status: Schema.optionalKey(DeliveryStatus),
      reason: Schema.optionalKey(DeliveryReason),
      from: Schema.optionalKey(IsoTime),
      to: Schema.optionalKey(IsoTime)
    },
    success: Page.of(DeliveryView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List deliveries",
      description: "The delivery log, newest first, page by page.",
      answer: Examples.deliveries
    })
  ),
  HttpApiEndpoint.post("skip", "/deliveries/:id/skip", {
    ...id,
    success: Taken,
    error: [NotFound, Conflict, Unavailable]
  }).annotateMerge(
    described({
      summary: "Skip a delivery",
      description: "Cancels a delivery that waits, so that what is ordered behind it goes on.",
      answer: Examples.deliveryTaken
    })
  ),
  HttpApiEndpoint.get("get", "/deliveries/:id", { ...id, success: DeliveryDetail, error: [NotFound, Unavailable] })
    .annotateMerge(
      described({
        summary: "Read a delivery",
        description: "With every attempt and an excerpt of what the endpoint answered.",
        answer: Examples.deliveryDetail
      })
    ),
  HttpApiEndpoint.post("retry", "/deliveries/:id/retry", {
    ...id,
    success: Taken.pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  }).annotateMerge(
    described({
      summary: "Deliver again",
      description: "For a delivery that failed, was cancelled, or waits for its next attempt.",
      answer: Examples.deliveryTaken
    })
  )
).annotateMerge(
  OpenApi.annotations({ description: "The delivery log: each message for each subscription, with its attempts." })
) {}
