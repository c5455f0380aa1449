/**
 * `hookline partitions`: to how many dispatcher partitions the messages of a hot event are shared out.
 */
import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { defaults } from "../Limits.ts"
import * as Ids from "./Ids.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const partitions = Command.make("partitions", {
  event: Ids.event.pipe(Argument.withDescription("The event's id")),
  count: Argument.Int("count").pipe(
    Argument.withDescription("To how many they are shared out from now on; shows how many there are when left out"),
    Argument.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    if (Option.exists(given.count, (count) => count < 1 || count > defaults.partitions)) {
      return yield* new Remote.CommandFailed({
        message: `There are 1 to ${defaults.partitions} partitions of an event.`
      })
    }
    const remote = yield* Remote.connect(given)
    const params = { id: given.event }
    const found = yield* remote.ask((client) =>
      Option.match(given.count, {
        onNone: () => client.events.partitions({ params }),
        onSome: (count) => client.events.setPartitions({ params, payload: { partitions: count } })
      })
    )
    if (given.json) return yield* Output.json(found)
    yield* Console.log(`Messages of ${given.event} are shared out to ${found.partitions}.`)
  })).pipe(
    Command.withDescription(
      "Shares the messages of a hot event out to several dispatchers, each of which one runner owns"
    ),
    Command.withExamples([{ command: "hookline partitions incident.incident.created 4" }])
  )
