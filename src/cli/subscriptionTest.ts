/**
 * `hookline subscriptions test`: one attempt, outside of the delivery log.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import * as Sample from "./Sample.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const test = Command.make("test", {
  id: Ids.subscription,
  ...Sample.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const sample = yield* Sample.of(given)
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) =>
      client.subscriptions.test({ params: { id: given.id }, payload: sample })
    )
    if (given.json) yield* Output.json(found)
    else {
      yield* Output.fields([
        ["outcome", Output.status(found.outcome)],
        ["event", found.eventId],
        ["status", found.statusCode === undefined ? undefined : String(found.statusCode)],
        ["took", `${found.durationMs} ms`],
        ["error", found.error && `${found.error.tag}: ${found.error.message}`],
        ["external id", found.externalId]
      ])
      if (found.response) yield* Console.log(`\n${found.response.body}`)
    }
    if (found.outcome !== "success") {
      return yield* new Remote.CommandFailed({ message: "The endpoint did not accept it." })
    }
  })).pipe(Command.withDescription("Sends an example, a payload or a past message to a subscription's endpoint, once"))
