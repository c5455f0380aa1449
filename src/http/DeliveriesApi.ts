/**
 * The contract of the delivery log.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { DeliveryDetail, DeliveryView } from "./DeliveryShapes.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { id, Name } from "./Shapes.ts"
import { IsoTime } from "./Time.ts"

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
  }),
  HttpApiEndpoint.post("skip", "/deliveries/:id/skip", {
    ...id,
    success: Schema.Struct({ id: DeliveryId }),
    error: [NotFound, Conflict, Unavailable]
  }),
  HttpApiEndpoint.get("get", "/deliveries/:id", { ...id, success: DeliveryDetail, error: [NotFound, Unavailable] }),
  HttpApiEndpoint.post("retry", "/deliveries/:id/retry", {
    ...id,
    success: Schema.Struct({ id: DeliveryId }).pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  })
) {}
