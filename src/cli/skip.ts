/**
 * `hookline skip`: ends a delivery that waits, so that what follows it in order goes on.
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
export const skip = Command.make("skip", {
  delivery: Ids.delivery,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const answer = yield* remote.ask((client) => client.deliveries.skip({ params: { id: given.delivery } }))
    if (given.json) return yield* Output.json(answer)
    yield* Console.log(`${answer.id} is skipped: it is cancelled, and \`hookline retry\` brings it back.`)
  })).pipe(Command.withDescription("Ends a delivery that waits as cancelled; what follows it in order goes on"))
