/**
 * `hookline subscriptions test-filter`: whether a filter that is not saved holds.
 */
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import * as Sample from "./Sample.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const testFilter = Command.make("test-filter", {
  filter: Argument.String("filter").pipe(
    Argument.withDescription("As JSON, as in '{\"field\":\"payload.severity\",\"equals\":\"major\"}'")
  ),
  ...Sample.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const filter = yield* Input.json(given.filter, "The filter")
    const sample = yield* Sample.of(given)
    if (Option.isNone(given.eventId) && Option.isNone(given.messageId)) {
      return yield* new Remote.CommandFailed({
        message: "Say with --event or --message what it is tried on; `hookline events` lists them."
      })
    }
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.subscriptions.testFilter({ payload: { filter, ...sample } }))
    if (given.json) yield* Output.json(found)
    else if (found.passes) yield* Output.text(`It holds for ${found.eventId}.`)
    if (!found.passes) {
      return yield* new Remote.CommandFailed({ message: `It does not hold: ${Output.plain(found.reason ?? "")}` })
    }
  })).pipe(
    Command.withDescription(
      "Tells whether a filter holds for an event's example, a payload or a past message; exit code 1 where not"
    )
  )
