/**
 * `hookline plugins`: what each plugin of the runner brings.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const plugins = Command.make("plugins", Remote.flags, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.plugins.list())
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["PLUGIN", "KIND", "ID"],
      found.items.flatMap((plugin) => [
        ...plugin.events.map((id) => [plugin.id, "event", id]),
        ...plugin.hooks.filter((hook) => !hook.exposed).map((hook) => [plugin.id, "hook", hook.eventId]),
        ...plugin.providers.map((id) => [plugin.id, "provider", id]),
        ...plugin.handlers.map(({ eventId, mode, workerGroup }) => [
          plugin.id,
          workerGroup === undefined ? `${mode} handler` : `work queue ${workerGroup}`,
          eventId
        ]),
        ...(plugin.hooks.length + plugin.providers.length + plugin.handlers.length === 0
          ? [[plugin.id, "nothing", ""]]
          : [])
      ]),
      "The runner has no plugins: name their file with --config when it starts."
    )
    for (const { id, missingOn = [] } of found.items) {
      if (missingOn.length > 0) {
        yield* Console.log(`The plugin ${id} is missing, in whole or in part, on ${missingOn.join(", ")}.`)
      }
    }
  })).pipe(Command.withDescription("Lists the plugins of the runner, with their events, hooks, providers and handlers"))
