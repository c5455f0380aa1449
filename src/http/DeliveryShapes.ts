/**
 * A delivery and its attempts as the API shows them.
 */
import { Schema } from "effect"
import { AttemptOutcome, DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { Phases } from "../Phases.ts"
import { ResponseExcerpt } from "../Provider.ts"

const deliveryFields = {
  id: DeliveryId,
  messageId: MessageId,
  eventId: Schema.String,
  subscriptionId: SubscriptionId,
  tenantId: Schema.String,
  status: DeliveryStatus,
  reason: Schema.optionalKey(DeliveryReason),
  attemptCount: Schema.Int,
  nextAttemptAt: Schema.optionalKey(Schema.String),
  externalId: Schema.optionalKey(Schema.String),
  lastError: Schema.optionalKey(Schema.String),
  createdAt: Schema.String,
  completedAt: Schema.optionalKey(Schema.String)
}

/** @category schemas @since 0.1.0 */
export const DeliveryView = Schema.Struct(deliveryFields).annotate({ identifier: "Delivery" })

/** @category schemas @since 0.1.0 */
export const AttemptView = Schema.Struct({
  number: Schema.Int,
  startedAt: Schema.String,
  durationMs: Schema.Finite,
  outcome: AttemptOutcome,
  statusCode: Schema.optionalKey(Schema.Int),
  error: Schema.optionalKey(Schema.Struct({ tag: Schema.String, message: Schema.String })),
  response: Schema.optionalKey(ResponseExcerpt),
  phases: Schema.optionalKey(Phases)
}).annotate({ identifier: "Attempt" })

/** @category schemas @since 0.1.0 */
export const LiveDelivery = Schema.Struct({ ...deliveryFields, attempt: AttemptView })
  .annotate({ identifier: "LiveDelivery" })

/** @category schemas @since 0.1.0 */
export const DeliveryDetail = Schema.Struct({ ...deliveryFields, attempts: Schema.Array(AttemptView) })
  .annotate({ identifier: "DeliveryDetail" })
