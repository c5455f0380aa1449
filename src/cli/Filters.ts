/**
 * What deliveries are chosen by, for those that are recorded and those that are watched.
 */
import { Flag } from "effect/cli"
import { SubscriptionId } from "../Id.ts"

/**
 * The flags of every command that shows some deliveries.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  subscriptionId: Flag.String("subscription").pipe(
    Flag.withSchema(SubscriptionId),
    Flag.withDescription("Those of a subscription"),
    Flag.optional
  ),
  eventId: Flag.String("event").pipe(Flag.withDescription("Those of an event"), Flag.optional),
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Those of a tenant"), Flag.optional)
}
