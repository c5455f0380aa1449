/**
 * `hookline subscriptions update`: changes some of what a subscription is.
 */
import { Console, Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { ConnectionId } from "../Id.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import * as Delay from "./Delay.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import { parts } from "./Parts.ts"
import * as Remote from "./Remote.ts"

const flags = {
  name: Flag.String("name").pipe(Flag.withDescription("Another name"), Flag.optional),
  description: Flag.String("description").pipe(Flag.withDescription("What it is for"), Flag.optional),
  events: Flag.String("events").pipe(
    Flag.withDescription("All the event ids or patterns that it wants, with commas between"),
    Flag.optional
  ),
  config: Flag.String("config").pipe(
    Flag.withDescription(
      "What changes of its configuration, as JSON: a secret left blank stays as it is, unless its address changes"
    ),
    Flag.optional
  ),
  connectionId: Flag.String("connection").pipe(
    Flag.withSchema(ConnectionId),
    Flag.withDescription("Another connection to deliver through, con_…"),
    Flag.optional
  ),
  retryDelays: Flag.String("retry-delays").pipe(
    Flag.withDescription("The retry schedule as delays, as in 1s,30s,5m,2h,1d; empty for a single attempt"),
    Flag.optional
  ),
  filter: Flag.String("filter").pipe(
    Flag.withDescription("Which messages it wants, as JSON; null wants every one"),
    Flag.optional
  ),
  file: Flag.String("file").pipe(
    Flag.withDescription("The whole change as JSON, instead of the other flags; - is standard input"),
    Flag.optional
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const update = Command.make(
  "update",
  { id: Ids.subscription, ...flags, ...Remote.flags },
  (given) =>
    Effect.gen(function*() {
      const change = Option.isSome(given.file) ? yield* fromFile(given.file.value, given) : yield* fromFlags(given)
      const { SubscriptionPatch } = yield* Effect.promise(() => import("../http/SubscriptionsApi.ts"))
      // Here too, as a client sends no field that it does not know.
      const payload = yield* Schema.decodeUnknownEffect(SubscriptionPatch)(change, { onExcessProperty: "error" }).pipe(
        Effect.mapError((error) => {
          const { message, path } = SchemaErrors.first(error, [])
          return failed(`${path === "" ? "The change" : path}: ${message}.`)
        })
      )
      const remote = yield* Remote.connect(given)
      const changed = yield* remote.ask((client) => client.subscriptions.update({ params: { id: given.id }, payload }))
      if (given.json) return yield* Output.json(changed)
      yield* Console.log(`${changed.id} is changed: no attempt begins any more as it was before.`)
    })
).pipe(
  Command.withDescription("Changes a subscription"),
  Command.withExamples([
    { command: "hookline subscriptions update sub_… --events 'incident.*,maintenance.*'" },
    { command: "hookline subscriptions update sub_… --config '{\"timeoutMs\":5000}'" },
    { command: "hookline subscriptions update sub_… --file change.json" }
  ])
)

// --- internal ---

type Given = Command.Command.Config.Infer<typeof flags>

const failed = (message: string) => new Remote.CommandFailed({ message })

const fromFile = Effect.fnUntraced(function*(path: string, given: Given) {
  const { config, connectionId, description, events, filter, name, retryDelays } = given
  if ([config, connectionId, description, events, filter, name, retryDelays].some(Option.isSome)) {
    return yield* failed("--file holds the whole change: leave the other flags out, or put them into the file.")
  }
  return yield* Input.fileJson(path)
})

const fromFlags = Effect.fnUntraced(function*({ config, connectionId, description, events, filter, ...given }: Given) {
  const change = {
    ...Input.given({
      name: given.name,
      description,
      connectionId,
      events: Option.map(events, parts)
    }),
    ...(Option.isSome(config) ? { config: yield* Input.json(config.value, "--config") } : {}),
    ...(Option.isSome(filter) ? { filter: yield* Input.json(filter.value, "--filter") } : {}),
    ...(Option.isSome(given.retryDelays)
      ? { retry: { type: "delays", delaysMs: yield* Delay.list(given.retryDelays.value) } }
      : {})
  }
  return Object.keys(change).length === 0
    ? yield* failed("Say what changes, as in --name, --events or --config; or --file, for anything.")
    : change
})
