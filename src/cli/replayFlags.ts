/**
 * What a replay is about, as flags.
 */
import { Flag } from "effect/cli"
import { IsoTime } from "../http/Time.ts"
import { MessageId, SubscriptionId } from "../Id.ts"
import { ReplayReason, ReplayStatus } from "../Replay.ts"

/**
 * The flags that choose deliveries which have ended.
 *
 * @category flags
 * @since 0.1.0
 */
export const filter = {
  subscriptionId: Flag.String("subscription").pipe(
    Flag.withSchema(SubscriptionId),
    Flag.withDescription("Deliveries of a subscription"),
    Flag.optional
  ),
  eventId: Flag.String("event").pipe(Flag.withDescription("Deliveries of an event"), Flag.optional),
  messageId: Flag.String("message").pipe(
    Flag.withSchema(MessageId),
    Flag.withDescription("Deliveries of a message"),
    Flag.optional
  ),
  status: Flag.Literals("status", ReplayStatus.literals).pipe(
    Flag.withDescription("Deliveries that ended so (failed)"),
    Flag.optional
  ),
  reason: Flag.Literals("reason", ReplayReason.literals).pipe(
    Flag.withDescription("Deliveries that ended for a reason"),
    Flag.optional
  ),
  from: Flag.String("from").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("Deliveries made since a time in ISO 8601, or a day, which is its midnight in UTC"),
    Flag.optional
  ),
  to: Flag.String("to").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("Deliveries made until such a time"),
    Flag.optional
  )
}
