/**
 * `hookline events`: what can be emitted and subscribed to.
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
export const events = Command.make("events", {
  event: Ids.event.pipe(
    Argument.withDescription("Shows one event with its properties and schema"),
    Argument.optional
  ),
  ...Remote.flags
}, (given) =>
  Effect.flatMap(Remote.connect(given), (remote) =>
    Option.match(given.event, {
      onNone: () => list(remote, given.json),
      onSome: (id) => one(remote, id, given.json)
    }))).pipe(Command.withDescription("Lists the events, or shows one with its schema"))

// --- internal ---

const list = Effect.fnUntraced(function*(remote: Remote.Remote, json: boolean) {
  const found = yield* remote.ask((client) => client.events.list({ query: {} }))
  if (json) return yield* Output.json(found)
  const items = "items" in found ? found.items : []
  yield* Output.table(
    ["EVENT", "CATEGORY", "NAME", "DESCRIPTION"],
    items.map((event) => [event.id, event.category, event.displayName, event.description ?? ""]),
    "The runner's plugins expose no events."
  )
})

const one = Effect.fnUntraced(function*(remote: Remote.Remote, id: string, json: boolean) {
  const { event, schema } = yield* remote.ask((client) =>
    Effect.all({ event: client.events.get({ params: { id } }), schema: client.events.schema({ params: { id } }) })
  )
  if (json) return yield* Output.json({ ...event, availableProperties: schema.availableProperties })
  yield* Output.fields([
    ["event", { text: event.id, tone: "strong" }],
    ["name", event.displayName],
    ["category", event.category],
    ["description", event.description]
  ])
  yield* Console.log("")
  yield* Output.table(
    ["PROPERTY", "TYPE", "DESCRIPTION"],
    schema.availableProperties.map((property) => [property.path, property.type, property.description ?? ""]),
    "Its payload has no named properties."
  )
  yield* Console.log("")
  yield* Output.json(event.payloadSchema)
})
