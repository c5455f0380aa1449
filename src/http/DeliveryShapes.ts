/**
 * A delivery and its attempts as the API shows them.
 */
import { Schema } from "effect"
import { AttemptOutcome, DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { Phases } from "../Phases.ts"
import { ResponseExcerpt } from "../Provider.ts"
import { RequestExcerpt } from "../RequestExcerpt.ts"
import { told } from "../Told.ts"
import { Time } from "./Time.ts"

const deliveryFields = {
  id: DeliveryId.pipe(told("The delivery's id")),
  messageId: MessageId.pipe(told("The message that is delivered")),
  eventId: Schema.String.pipe(told("The message's event")),
  subscriptionId: SubscriptionId.pipe(told("For whom it is delivered")),
  tenantId: Schema.String.pipe(told("Whose it is")),
  status: DeliveryStatus.pipe(told("Whether it waits for its first attempt or a further one, or how it ended")),
  reason: Schema.optionalKey(DeliveryReason).pipe(told("Why it failed or was cancelled")),
  attemptCount: Schema.Int.pipe(told("Attempts that were made")),
  nextAttemptAt: Schema.optionalKey(Time).pipe(told("When the next attempt is due; left out where none is")),
  externalId: Schema.optionalKey(Schema.String).pipe(told("The id that the other system gave to what was delivered")),
  lastError: Schema.optionalKey(Schema.String).pipe(told("What went wrong with the last attempt")),
  createdAt: Time.pipe(told("When its message was emitted")),
  completedAt: Schema.optionalKey(Time).pipe(told("When it ended"))
}

/** @category schemas @since 0.1.0 */
export const DeliveryView = Schema.Struct(deliveryFields).annotate({ identifier: "Delivery" })

/** @category schemas @since 0.1.0 */
export const AttemptView = Schema.Struct({
  number: Schema.Int.pipe(told("1 for the first")),
  startedAt: Time.pipe(told("When it began")),
  durationMs: Schema.Finite.pipe(told("How long it took, in milliseconds")),
  outcome: AttemptOutcome.pipe(told("What came of it")),
  statusCode: Schema.optionalKey(Schema.Int).pipe(told("The status that the endpoint answered with")),
  error: Schema.optionalKey(
    Schema.Struct({
      tag: Schema.String.pipe(told("What it was, in a word, as `Timeout` or `HttpStatus`")),
      message: Schema.String.pipe(told("The same in a sentence"))
    })
  ).pipe(told("What went wrong")),
  request: Schema.optionalKey(RequestExcerpt).pipe(told("The beginning of what was sent, without secrets")),
  response: Schema.optionalKey(ResponseExcerpt).pipe(told("The beginning of the answer, without secrets")),
  phases: Schema.optionalKey(Phases).pipe(told("Where its time went"))
}).annotate({ identifier: "Attempt" })

/** @category schemas @since 0.1.0 */
export const LiveDelivery = Schema.Struct({
  ...deliveryFields,
  attempt: AttemptView.pipe(told("The attempt that was recorded, without what was sent and answered"))
})
  .annotate({ identifier: "LiveDelivery" })

/** @category schemas @since 0.1.0 */
export const DeliveryDetail = Schema.Struct({
  ...deliveryFields,
  attempts: Schema.Array(AttemptView).pipe(told("Every attempt, oldest first"))
})
  .annotate({ identifier: "DeliveryDetail" })
