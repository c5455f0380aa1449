/**
 * `hookline replays`: how far replays have come, and the switch of each.
 */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { Client } from "../http/Client.ts"
import type { ReplayView } from "../http/ReplaysApi.ts"
import { ReplayState } from "../Replay.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const id = { id: Ids.replay, ...Remote.flags }

const list = Command.make("list", {
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Those of a tenant"), Flag.optional),
  state: Flag.Literals("state", ReplayState.literals).pipe(Flag.withDescription("Those in a state"), Flag.optional),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { cursor, limit, state, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ cursor, limit, state, tenantId })
    const found = yield* remote.ask((client) => client.replays.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["REPLAY", "CREATED", "STATE", "REPLAYED", "SKIPPED", "REACHED", "FILTER"],
      found.items.map((item) => [
        item.id,
        item.createdAt,
        stateOf(item),
        String(item.counts.replayed),
        String(item.counts.skipped),
        item.reachedAt ?? "",
        filter(item)
      ]),
      "There are no such replays: make one with `hookline replay`."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists replays, newest first"))

const get = Command.make("get", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.replays.get({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["replay", { text: found.id, tone: "strong" }],
      ["tenant", found.tenantId],
      ["state", stateOf(found)],
      ["filter", filter(found)],
      ["webhook-id", found.freshWebhookId ? "of its own" : "the messages'"],
      ["replayed", String(found.counts.replayed)],
      [
        "skipped",
        found.counts.notKept === 0
          ? String(found.counts.skipped)
          : `${found.counts.skipped}, of which ${found.counts.notKept} are not kept any more`
      ],
      ["reached", found.reachedAt],
      ["created", found.createdAt],
      ["updated", found.updatedAt],
      ["completed", found.completedAt]
    ])
  })).pipe(Command.withDescription("Shows a replay, and how far it has come"))

const change = (name: "pause" | "resume" | "cancel", { description, told }: {
  readonly description: string
  readonly told: string
}) =>
  Command.make(name, id, (given) =>
    Effect.gen(function*() {
      const remote = yield* Remote.connect(given)
      const ask = (client: Client) => client.replays[name]({ params: { id: given.id } })
      const changed = yield* remote.ask(ask)
      if (given.json) return yield* Output.json(changed)
      yield* Console.log(`${changed.id} ${told}`)
    })).pipe(Command.withDescription(description))

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const replays = Command.make("replays").pipe(
  Command.withDescription("Replays: how far they have come, and the switch of each"),
  Command.withSubcommands([
    list,
    get,
    change("pause", {
      description: "Pauses a running replay; what it has made due stays so",
      told: "is paused: no more becomes due."
    }),
    change("resume", { description: "Goes on with a paused replay", told: "goes on where it was." }),
    change("cancel", {
      description: "Ends a replay for good; what it has made due stays so",
      told: "is cancelled: no more becomes due."
    })
  ])
)

// --- internal ---

type View = typeof ReplayView.Type

const stateOf = ({ state }: View): Output.Cell => ({
  text: state,
  tone: state === "completed" ? "good" : state === "paused" ? "warn" : undefined
})

const filter = ({ filter }: View): string => Object.entries(filter).map(([name, value]) => `${name}=${value}`).join(" ")
