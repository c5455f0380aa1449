/**
 * `hookline preview`: the exact request that would be sent, without sending it.
 */
import { Effect, Option, Schema, type Stdio } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ConnectionId, SubscriptionId } from "../Id.ts"
import { matchesEvent } from "../Subscription.ts"
import * as AuthHeader from "./AuthHeader.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import * as Sample from "./Sample.ts"

const flags = {
  what: Argument.String("what").pipe(
    Argument.withDescription("A subscription's id, sub_…, or the URL of a webhook that is not subscribed yet"),
    Argument.optional
  ),
  authHeader: AuthHeader.flag,
  file: Flag.String("file").pipe(
    Flag.withDescription("A subscription as JSON, as `subscribe` takes it; - is standard input"),
    Flag.optional
  ),
  ...Sample.flags
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const preview = Command.make("preview", { ...flags, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const { events, ...what } = yield* previewed(given)
    const message = yield* sample(given)
    const remote = yield* Remote.connect(given)
    const isChosen = Option.isSome(given.eventId) || Option.isSome(given.messageId)
    const wanted = events === undefined || isChosen ? {} : { eventId: yield* firstOf(remote, events) }
    const payload = { ...what, ...wanted, ...message }
    const found = yield* remote.ask((client) => client.subscriptions.preview({ payload }))
    if (given.json) return yield* Output.json(found)
    const { body, headers, method, url } = found.request
    yield* Output.fields([
      ["event", found.eventId],
      ["request", { text: `${method} ${url}`, tone: "strong" }]
    ])
    yield* Output.text("")
    yield* Output.columns(headers.map(({ name, value }) => [{ text: name, tone: "dim" }, value]))
    yield* Output.text(`\n${body}`)
  })).pipe(
    Command.withDescription("Shows the exact request that would be sent, without its secrets; nothing is sent"),
    Command.withExamples([
      { command: "hookline preview sub_…" },
      { command: "hookline preview sub_… --message msg_…" },
      { command: "hookline preview https://example.com/hooks --event incident.incident.created" },
      { command: "hookline preview --file subscription.json" }
    ])
  )

// --- internal ---

type Given = Command.Command.Config.Infer<typeof flags>

const failed = (message: string) => new Remote.CommandFailed({ message })

/** What is previewed, and which events it would get where the runner does not know. */
interface Previewed {
  readonly subscriptionId?: SubscriptionId
  readonly providerId?: string
  readonly config?: Schema.Json
  readonly connectionId?: ConnectionId
  readonly events?: ReadonlyArray<string>
}

const previewed = Effect.fnUntraced(
  function*(given: Given): Effect.fn.Return<Previewed, Remote.CommandFailed, Stdio.Stdio> {
    const { authHeader, file, what } = given
    if (Option.isSome(file)) {
      return Option.isSome(what) || Option.isSome(authHeader)
        ? yield* failed("--file holds what is previewed: leave the id, the URL and --auth-header out.")
        : yield* fromFile(file.value)
    }
    const text = Option.getOrElse(what, () => "")
    const id = Schema.decodeOption(SubscriptionId)(text)
    if (Option.isSome(id)) {
      return Option.isSome(authHeader)
        ? yield* failed("--auth-header is for a URL: a subscription has its own.")
        : { subscriptionId: id.value }
    }
    if (!URL.canParse(text)) {
      return yield* failed(
        "Expected a subscription's id or a URL, as in `hookline preview sub_…` or `hookline preview https://example.com/hooks`, " +
          "or --file."
      )
    }
    return { providerId: "webhook.webhook", config: { url: text, ...(yield* AuthHeader.config(authHeader)) } }
  }
)

/** Of a whole subscription, what its requests depend on. */
const Definition = Schema.Struct({
  providerId: Schema.String,
  config: Schema.Json,
  connectionId: Schema.optionalKey(ConnectionId),
  events: Schema.optionalKey(Schema.Array(Schema.String))
})

const fromFile = Effect.fnUntraced(function*(path: string) {
  const json = yield* Input.fileJson(path)
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Definition)(json),
    () =>
      failed(
        `${
          Input.sourceOf(path)
        } is no subscription: expected a providerId and a config, as \`subscribe --file\` takes them.`
      )
  )
})

const sample = Effect.fnUntraced(function*(given: Given) {
  const found = yield* Sample.of(given)
  if ("payload" in found && !("eventId" in found)) {
    return yield* failed("Say with --event which event the payload is of; `hookline events` lists them.")
  }
  return found
})

const firstOf = Effect.fnUntraced(function*(remote: Remote.Remote, patterns: ReadonlyArray<string>) {
  const found = yield* remote.ask((client) => client.events.list({ query: {} }))
  const first = ("items" in found ? found.items : []).find(({ id }) =>
    patterns.some((pattern) => matchesEvent(pattern, id))
  )
  return first?.id ??
    (yield* failed(`No event of the runner matches ${patterns.join(", ")}: \`hookline events\` lists them.`))
})
