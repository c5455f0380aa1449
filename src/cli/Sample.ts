/**
 * Which message something is tried with: an event's example, a payload or a past one.
 */
import { Effect, Option } from "effect"
import { type Command, Flag } from "effect/cli"
import { MessageId } from "../Id.ts"
import * as Input from "./Input.ts"
import * as Remote from "./Remote.ts"

/**
 * The flags of every command that tries something with a message.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  eventId: Flag.String("event").pipe(
    Flag.withDescription("Of which event the example is (the first that is subscribed to)"),
    Flag.optional
  ),
  payload: Flag.String("payload").pipe(
    Flag.withDescription("The payload, as JSON, instead of the event's example"),
    Flag.optional
  ),
  orderingKey: Flag.String("ordering-key").pipe(
    Flag.withDescription("What the message is ordered by, instead of what its hook says"),
    Flag.optional
  ),
  messageId: Flag.String("message").pipe(
    Flag.withSchema(MessageId),
    Flag.withDescription("A past message, msg_…, instead of an event's example"),
    Flag.optional
  )
}

/** @category models @since 0.1.0 */
export type Given = Command.Command.Config.Infer<typeof flags>

/**
 * The sample as the API takes it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const of = Effect.fnUntraced(function*({ eventId, messageId, orderingKey, payload }: Given) {
  if (Option.isSome(messageId) && [eventId, orderingKey, payload].some(Option.isSome)) {
    return yield* failed("--message is a whole message: leave --event, --payload and --ordering-key out.")
  }
  return {
    ...Input.given({ eventId, messageId, orderingKey }),
    ...(Option.isSome(payload) ? { payload: yield* Input.json(payload.value, "--payload") } : {})
  }
})

// --- internal ---

const failed = (message: string) => new Remote.CommandFailed({ message })
