/**
 * `hookline messages`: what was emitted.
 */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const list = Command.make("list", {
  eventId: Flag.String("event").pipe(Flag.withDescription("Those of an event"), Flag.optional),
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Those of a tenant"), Flag.optional),
  state: Flag.Literals("state", ["set-aside"]).pipe(
    Flag.withDescription("Those whose routing failed"),
    Flag.optional
  ),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { cursor, eventId, limit, state, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ cursor, eventId, limit, state, tenantId })
    const found = yield* remote.ask((client) => client.messages.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["MESSAGE", "EVENT", "TENANT", "STATE", "MATCHED", "CREATED", "ERROR"],
      found.items.map((item) => [
        item.id,
        item.eventId,
        item.tenantId,
        item.state,
        item.matched === undefined ? "" : String(item.matched),
        item.createdAt,
        item.error ?? ""
      ]),
      "There are no such messages."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists messages, newest first"))

const get = Command.make("get", { id: Ids.message, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.messages.get({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["message", { text: found.id, tone: "strong" }],
      ["event", found.eventId],
      ["tenant", found.tenantId],
      ["ordering key", found.orderingKey],
      ["state", found.state],
      ["error", found.error],
      ["matched", found.matched === undefined ? undefined : String(found.matched)],
      ["filtered", found.filtered === undefined ? undefined : String(found.filtered)],
      ["deliver at", found.deliverAt],
      ["expires", found.expiresAt],
      ["created", found.createdAt]
    ])
    yield* Console.log("")
    if (found.bodyExpired === true) {
      return yield* Console.log("Its body has expired: its tenant keeps bodies for a shorter time.")
    }
    yield* Output.json(found.payload)
  })).pipe(Command.withDescription("Shows a message with its payload"))

const retry = Command.make("retry", { id: Ids.message, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    yield* remote.ask((client) => client.messages.retry({ params: { id: given.id } }))
    if (given.json) return yield* Output.json({ id: given.id })
    yield* Console.log(`${given.id} is routed again.`)
  })).pipe(Command.withDescription("Routes a message again that was set aside"))

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const messages = Command.make("messages").pipe(
  Command.withDescription("Lists and shows messages, and routes again what was set aside"),
  Command.withSubcommands([list, get, retry])
)
