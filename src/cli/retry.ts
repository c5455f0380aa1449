/**
 * `hookline retry`: attempts a delivery again, one that ended or one that waits for its next attempt.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const retry = Command.make("retry", {
  delivery: Ids.delivery,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const answer = yield* remote.ask((client) => client.deliveries.retry({ params: { id: given.delivery } }))
    if (given.json) return yield* Output.json(answer)
    yield* Console.log(`${answer.id} is due now; one that had ended begins its schedule anew.`)
  })).pipe(
    Command.withDescription("Attempts a failed or cancelled delivery again, or one that waits for its next attempt now")
  )
