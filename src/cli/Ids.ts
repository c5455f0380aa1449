/**
 * The ids that commands are given. They are checked before anything is asked: in a path, an empty one or `..` would lead to
 * another resource, and so to an answer to another question.
 */
import { Schema } from "effect"
import { Argument } from "effect/cli"
import { ConnectionId, DeliveryId, KeyId, MessageId, ReplayId, SubscriptionId } from "../Id.ts"

/**
 * A message's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const message = Argument.String("message").pipe(
  Argument.withSchema(MessageId),
  Argument.withDescription("The message's id, msg_…")
)

/**
 * A subscription's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const subscription = Argument.String("subscription").pipe(
  Argument.withSchema(SubscriptionId),
  Argument.withDescription("The subscription's id, sub_…")
)

/**
 * A connection's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const connection = Argument.String("connection").pipe(
  Argument.withSchema(ConnectionId),
  Argument.withDescription("The connection's id, con_…")
)

/**
 * A delivery's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const delivery = Argument.String("delivery").pipe(
  Argument.withSchema(DeliveryId),
  Argument.withDescription("The delivery's id, dlv_…")
)

/**
 * A key's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const key = Argument.String("key").pipe(
  Argument.withSchema(KeyId),
  Argument.withDescription("The key's id, key_…")
)

/**
 * A replay's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const replay = Argument.String("replay").pipe(
  Argument.withSchema(ReplayId),
  Argument.withDescription("The replay's id, rpl_…")
)

/**
 * A provider's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const provider = Argument.String("provider").pipe(
  Argument.withSchema(
    Schema.String.check(
      Schema.isPattern(/^[\w-]+(\.[\w-]+)+$/u, { message: "a provider's id, such as webhook.webhook" })
    )
  ),
  Argument.withDescription("The provider's id, such as webhook.webhook")
)

/**
 * An event's id.
 *
 * @category arguments
 * @since 0.1.0
 */
export const event = Argument.String("event").pipe(
  Argument.withSchema(
    Schema.String.check(
      Schema.isPattern(/^[\w-]+(\.[\w-]+)*$/u, { message: "an event's id, such as incident.incident.created" })
    )
  ),
  Argument.withDescription("The event's id, such as incident.incident.created")
)
