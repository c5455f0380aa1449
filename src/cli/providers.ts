/**
 * `hookline providers`: how messages can be delivered.
 */
import { Console, Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const providers = Command.make("providers", {
  provider: Ids.provider.pipe(
    Argument.withDescription("Shows one provider with the schema of its configuration"),
    Argument.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.flatMap(Remote.connect(given), (remote) =>
    Option.match(given.provider, {
      onNone: () => list(remote, given.json),
      onSome: (id) => one(remote, id, given.json)
    }))).pipe(Command.withDescription("Lists the providers, or shows one with the schema of its configuration"))

// --- internal ---

const list = Effect.fnUntraced(function*(remote: Remote.Remote, json: boolean) {
  const found = yield* remote.ask((client) => client.providers.list())
  if (json) return yield* Output.json(found)
  yield* Output.table(
    ["PROVIDER", "NAME", "CONNECTIONS", "DESCRIPTION"],
    found.items.map((item) => [
      item.id,
      item.displayName,
      item.connectionSchema === undefined ? "" : item.supportsTest ? "yes, tested" : "yes",
      item.description ?? ""
    ]),
    "The runner's plugins bring no providers."
  )
})

const one = Effect.fnUntraced(function*(remote: Remote.Remote, id: string, json: boolean) {
  const found = yield* remote.ask((client) => client.providers.get({ params: { id } }))
  if (json) return yield* Output.json(found)
  yield* Output.fields([
    ["provider", { text: found.id, tone: "strong" }],
    ["name", found.displayName],
    ["description", found.description],
    ["events", found.supportedEvents?.join(", ")],
    ["secrets", found.secretFields.join(", ")],
    ["of connections", found.connectionSecretFields?.join(", ")],
    ["options", found.optionResolvers.join(", ")]
  ])
  yield* Console.log("")
  yield* Output.json(found.configSchema)
  if (found.connectionSchema === undefined) return
  yield* Console.log("\nA connection:\n")
  yield* Output.json(found.connectionSchema)
})
