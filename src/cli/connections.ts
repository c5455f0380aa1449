/**
 * `hookline connections`: credentials that many subscriptions share.
 */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const id = {
  id: Ids.connection,
  ...Remote.flags
}

const credentials = {
  config: Flag.String("config").pipe(
    Flag.withDescription("Its configuration as JSON; secrets are safer in a --file"),
    Flag.optional
  ),
  file: Flag.String("file").pipe(
    Flag.withDescription("A file with its configuration as JSON; - is standard input"),
    Flag.optional
  )
}

const provider = Flag.String("provider").pipe(
  Flag.withDescription("Whose connection it is, as in jira.issue; `hookline plugins` lists them")
)

const list = Command.make("list", {
  providerId: provider.pipe(Flag.withDescription("Those of a provider"), Flag.optional),
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Those of a tenant"), Flag.optional),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { cursor, limit, providerId, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ cursor, limit, providerId, tenantId })
    const found = yield* remote.ask((client) => client.connections.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["CONNECTION", "NAME", "PROVIDER", "TENANT", "UPDATED"],
      found.items.map((item) => [item.id, item.name, item.providerId, item.tenantId, item.updatedAt]),
      "There are no such connections: make one with `hookline connections create`."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists connections, newest first"))

const get = Command.make("get", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.connections.get({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["connection", { text: found.id, tone: "strong" }],
      ["name", found.name],
      ["tenant", found.tenantId],
      ["provider", found.providerId],
      ["created", found.createdAt],
      ["updated", found.updatedAt]
    ])
    yield* Console.log("")
    yield* Output.json(found.config)
  })).pipe(Command.withDescription("Shows a connection, without its secrets"))

const create = Command.make("create", {
  providerId: provider,
  name: Flag.String("name").pipe(Flag.withDescription("Its name"), Flag.optional),
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Whose connection it is"), Flag.optional),
  ...credentials,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const config = yield* configOf(given)
    if (config === undefined) return yield* failed(missing)
    const { name, providerId, tenantId } = given
    const remote = yield* Remote.connect(given)
    const payload = { providerId, name: Option.getOrElse(name, () => providerId), config, ...Input.given({ tenantId }) }
    const made = yield* remote.ask((client) => client.connections.create({ payload }))
    if (given.json) return yield* Output.json(made)
    yield* Output.fields([
      ["connection", { text: made.id, tone: "strong" }],
      ["name", made.name],
      ["provider", made.providerId]
    ])
    yield* Console.error(`Try its credentials with \`hookline connections test ${made.id}\`.`)
  })).pipe(
    Command.withDescription("Makes a connection; its secrets are sealed and not shown again"),
    Command.withExamples([{ command: "hookline connections create --provider jira.issue --file jira.json" }])
  )

const update = Command.make("update", {
  id: Ids.connection,
  name: Flag.String("name").pipe(Flag.withDescription("Another name"), Flag.optional),
  config: credentials.config.pipe(
    Flag.withDescription(
      "What changes of its configuration, as JSON: a secret left blank stays as it is, unless its address changes"
    )
  ),
  file: credentials.file.pipe(Flag.withDescription("A file with the same; - is standard input")),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const config = yield* configOf(given)
    const payload = { ...Input.given({ name: given.name }), ...(config === undefined ? {} : { config }) }
    if (Object.keys(payload).length === 0) return yield* failed("Say what changes: --name, --config or --file.")
    const remote = yield* Remote.connect(given)
    const changed = yield* remote.ask((client) => client.connections.update({ params: { id: given.id }, payload }))
    if (given.json) return yield* Output.json(changed)
    yield* Console.log(`${changed.id} is changed: no attempt begins any more with the old credentials.`)
  })).pipe(
    Command.withDescription("Changes a connection, for all subscriptions that use it"),
    Command.withExamples([{ command: "hookline connections update con_… --file rotated.json" }])
  )

const remove = Command.make("delete", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    yield* remote.ask((client) => client.connections.remove({ params: { id: given.id } }))
    if (given.json) return yield* Output.json({ id: given.id, deleted: true })
    yield* Console.log(`${given.id} is deleted.`)
  })).pipe(Command.withDescription("Deletes a connection that no subscription uses"))

const test = Command.make("test", {
  id: Ids.connection.pipe(Argument.optional),
  providerId: provider.pipe(
    Flag.withDescription("Tries credentials that are not saved, of this provider"),
    Flag.optional
  ),
  ...credentials,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { id, providerId } = given
    const config = yield* configOf(given)
    const saved = Option.isSome(id)
    if (saved === Option.isSome(providerId) || saved === (config !== undefined)) {
      return yield* failed("Pass a connection's id; or --provider with --config or --file, to try what is not saved.")
    }
    const remote = yield* Remote.connect(given)
    const result = yield* remote.ask((client) =>
      Option.isSome(id)
        ? client.connections.test({ params: { id: id.value } })
        : client.providers.test({
          params: { id: Option.getOrElse(providerId, () => "") },
          payload: { config: config ?? null }
        })
    )
    const { message = result.success ? "The credentials serve." : "The credentials don't serve." } = result
    if (given.json) yield* Output.json(result)
    else if (result.success) yield* Output.text(message)
    if (!result.success) return yield* failed(Output.plain(message))
  })).pipe(
    Command.withDescription("Tries credentials, saved or not; exit code 1 where they don't serve"),
    Command.withExamples([
      { command: "hookline connections test con_…" },
      { command: "hookline connections test --provider jira.issue --file jira.json" }
    ])
  )

const options = Command.make("options", {
  id: Ids.connection,
  resolver: Argument.String("resolver").pipe(Argument.withDescription("Whose options, as in projects")),
  context: Flag.String("context").pipe(
    Flag.withDescription("What is chosen so far, as JSON, as in '{\"project\":\"OPS\"}'"),
    Flag.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const context = Option.isSome(given.context) ? yield* contextOf(given.context.value) : {}
    const remote = yield* Remote.connect(given)
    const payload = { resolver: given.resolver, context }
    const found = yield* remote.ask((client) => client.connections.options({ params: { id: given.id }, payload }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["VALUE", "LABEL", "DESCRIPTION"],
      found.items.map((item) => [item.value, item.label, item.description ?? ""]),
      "There are no options."
    )
  })).pipe(Command.withDescription("Lists what a field of a subscription's configuration can be"))

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const connections = Command.make("connections").pipe(
  Command.withDescription(
    "Lists, shows, makes, changes, deletes and tries connections: credentials that subscriptions share"
  ),
  Command.withSubcommands([list, get, create, update, remove, test, options])
)

// --- internal ---

const failed = (message: string) => new Remote.CommandFailed({ message })

const missing = "Pass the connection's configuration: --config with JSON, or --file, where secrets are safer."

/** The configuration that is given, in a flag or in a file. */
const configOf = Effect.fnUntraced(function*(given: {
  readonly config: Option.Option<string>
  readonly file: Option.Option<string>
}) {
  if (Option.isSome(given.config) && Option.isSome(given.file)) {
    return yield* failed("--config and --file exclude each other: pass one of them.")
  }
  if (Option.isSome(given.config)) return yield* Input.json(given.config.value, "--config")
  if (Option.isNone(given.file)) return undefined
  const path = given.file.value
  return yield* Input.fileJson(path)
})

const contextOf = Effect.fnUntraced(function*(text: string) {
  const context = yield* Input.json(text, "--context")
  return Input.isObject(context)
    ? context
    : yield* failed("--context: Expected a JSON object, such as '{\"project\":\"OPS\"}'.")
})
