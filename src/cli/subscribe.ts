/**
 * `hookline subscribe`: makes a subscription, of a webhook by flags, of anything from a file.
 */
import { Console, Effect, Option, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ConnectionId } from "../Id.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import * as AuthHeader from "./AuthHeader.ts"
import * as Delay from "./Delay.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import { parts } from "./Parts.ts"
import * as Remote from "./Remote.ts"

const flags = {
  target: Argument.String("target").pipe(
    Argument.withDescription("The URL that the events are sent to"),
    Argument.optional
  ),
  events: Flag.String("events").pipe(
    Flag.withDescription("Event ids or patterns such as incident.*, with commas between or the flag repeated"),
    Flag.atLeast(0)
  ),
  connectionId: Flag.String("connection").pipe(
    Flag.withSchema(ConnectionId),
    Flag.withDescription("The connection to deliver through, con_…, instead of a target; its provider takes --config"),
    Flag.optional
  ),
  config: Flag.String("config").pipe(
    Flag.withDescription("The configuration for the provider of --connection, as JSON ({})"),
    Flag.optional
  ),
  name: Flag.String("name").pipe(
    Flag.withDescription("Its name (the target's host, or the connection's name)"),
    Flag.optional
  ),
  description: Flag.String("description").pipe(Flag.withDescription("What it is for"), Flag.optional),
  signingSecret: Flag.Redacted("secret").pipe(
    Flag.withDescription("The signing secret, whsec_… (one is made)"),
    Flag.optional
  ),
  authHeader: AuthHeader.flag,
  retry: Flag.Literals("retry", ["seed", "standardWebhooks"]).pipe(
    Flag.withDescription("The retry schedule, by its name"),
    Flag.optional
  ),
  retryDelays: Flag.String("retry-delays").pipe(
    Flag.withDescription("The retry schedule as delays, as in 1s,30s,5m,2h,1d; empty for a single attempt"),
    Flag.optional
  ),
  filter: Flag.String("filter").pipe(
    Flag.withDescription(
      "Which messages it wants, as JSON, as in '{\"field\":\"payload.severity\",\"equals\":\"major\"}'"
    ),
    Flag.optional
  ),
  timeoutMs: Flag.Int("timeout-ms").pipe(
    Flag.withDescription("Milliseconds that an attempt may take (10000)"),
    Flag.optional
  ),
  ordered: Flag.Boolean("ordered").pipe(
    Flag.withDescription("One after the other for each ordering key, in the order of the messages"),
    Flag.withDefault(false)
  ),
  maxConcurrency: Flag.Int("max-concurrency").pipe(
    Flag.withDescription("Attempts that may be under way at once, in the whole cluster"),
    Flag.optional
  ),
  rateLimit: Flag.String("rate-limit").pipe(
    Flag.withDescription("Attempts that may begin in a time, in the whole cluster, as in 50/s, 100/1m or 10/1h"),
    Flag.optional
  ),
  burst: Flag.Int("burst").pipe(
    Flag.withDescription("Attempts that may begin at once after a pause (the number of --rate-limit)"),
    Flag.optional
  ),
  disabled: Flag.Boolean("disabled").pipe(
    Flag.withDescription("Collects deliveries, but attempts none until it is enabled"),
    Flag.withDefault(false)
  ),
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Whose subscription it is"), Flag.optional),
  file: Flag.String("file").pipe(
    Flag.withDescription("The whole subscription as JSON, instead of the other flags; - is standard input"),
    Flag.optional
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const subscribe = Command.make("subscribe", { ...flags, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const { connectionId, file } = given
    const input = Option.isSome(file)
      ? yield* fromFile(file.value, given)
      : { ...(Option.isSome(connectionId) ? {} : yield* webhook(given)), ...(yield* fromFlags(given)) }
    const remote = yield* Remote.connect(given)
    const target = Option.isSome(connectionId) ? yield* connected(connectionId.value, given, remote) : {}
    const { SubscriptionInput } = yield* Effect.promise(() => import("../http/SubscriptionsApi.ts"))
    // Here too, as a client sends no field that it does not know, and a misspelt one is no wish for its default.
    const payload = yield* Schema.decodeUnknownEffect(SubscriptionInput)(merged(input, target), {
      onExcessProperty: "error"
    }).pipe(
      Effect.mapError((error) => {
        const { message, path } = SchemaErrors.first(error, [])
        return new Remote.CommandFailed({ message: `${path === "" ? "The subscription" : path}: ${message}.` })
      })
    )
    const made = yield* remote.ask((client) => client.subscriptions.create({ payload }))
    if (given.json) return yield* Output.json(made)
    yield* Output.fields([
      ["subscription", { text: made.id, tone: "strong" }],
      ["name", made.name],
      ["events", made.events.join(", ")],
      ["state", made.enabled ? "enabled" : "disabled"],
      ["signing secret", { text: made.signingSecret, tone: "warn" }]
    ])
    yield* Console.error("Keep the signing secret: it is not shown again.")
  })).pipe(
    Command.withDescription(
      "Subscribes a URL, or a system behind a connection, to events; the signing secret is shown in the answer only"
    ),
    Command.withExamples([
      { command: "hookline subscribe https://example.com/hooks --events 'incident.*'" },
      { command: "hookline subscribe http://127.0.0.1:4690/ --events '*' --retry-delays 1s,5s" },
      { command: "hookline subscribe https://example.com/hooks --events 'incident.*' --ordered --rate-limit 50/s" },
      { command: "hookline subscribe --connection con_… --config '{\"project\":\"OPS\"}' --events 'incident.*'" },
      { command: "hookline subscribe --file subscription.json" }
    ])
  )

// --- internal ---

type Given = Command.Command.Config.Infer<typeof flags>

const failed = (message: string) => new Remote.CommandFailed({ message })

const fromFile = Effect.fnUntraced(function*(path: string, given: Given) {
  const { authHeader, burst, config, connectionId, description, filter, maxConcurrency, name, rateLimit } = given
  const { retry, retryDelays, signingSecret, target, tenantId, timeoutMs } = given
  const more = Input.given({
    authHeader,
    burst,
    config,
    connectionId,
    description,
    filter,
    maxConcurrency,
    name,
    rateLimit,
    retry,
    retryDelays,
    signingSecret,
    target,
    tenantId,
    timeoutMs
  })
  if (given.disabled || given.ordered || given.events.length > 0 || Object.keys(more).length > 0) {
    return yield* failed("--file holds the whole subscription: leave the other flags out, or put them into the file.")
  }
  return yield* Input.fileJson(path)
})

/** What a file holds may be no object: its schema says so. */
const merged = (input: Schema.Json | object, target: object) =>
  typeof input === "object" && input !== null && !Array.isArray(input) ? { ...input, ...target } : input

const connected = Effect.fnUntraced(function*(connectionId: ConnectionId, given: Given, remote: Remote.Remote) {
  const { authHeader, target, timeoutMs } = given
  if (Object.keys(Input.given({ authHeader, target, timeoutMs })).length > 0) {
    return yield* failed("--connection is instead of a target with its flags: what the provider takes is in --config.")
  }
  const config = Option.isSome(given.config) ? yield* Input.json(given.config.value, "--config") : {}
  const connection = yield* remote.ask((client) => client.connections.get({ params: { id: connectionId } }))
  return {
    name: Option.getOrElse(given.name, () => connection.name),
    providerId: connection.providerId,
    config,
    connectionId,
    // It has to be the same.
    tenantId: Option.getOrElse(given.tenantId, () => connection.tenantId)
  }
})

const webhook = Effect.fnUntraced(function*(given: Given) {
  if (Option.isSome(given.config)) {
    return yield* failed("--config is for the provider of a --connection: pass both, or --file.")
  }
  const url = Option.getOrUndefined(given.target)
  const parsed = url === undefined ? undefined : URL.parse(url)
  if (url === undefined || !parsed) {
    return yield* failed(
      "Expected the URL to deliver to, as in `hookline subscribe https://example.com/hooks`, --connection or --file."
    )
  }
  const auth = yield* AuthHeader.config(given.authHeader)
  return {
    name: Option.getOrElse(given.name, () => parsed.host),
    providerId: "webhook.webhook",
    config: { url, ...auth, ...Input.given({ timeoutMs: given.timeoutMs }) }
  }
})

/** All but where it delivers to. */
const fromFlags = Effect.fnUntraced(function*(given: Given) {
  const events = given.events.flatMap(parts)
  if (events.length === 0) {
    return yield* failed("Say which events with --events, such as --events 'incident.*'; `hookline events` lists them.")
  }
  if (Option.isSome(given.retry) && Option.isSome(given.retryDelays)) {
    return yield* failed("--retry and --retry-delays exclude each other: pass one of them.")
  }
  const delaysMs = Option.isSome(given.retryDelays) ? yield* Delay.list(given.retryDelays.value) : undefined
  const filter = Option.isSome(given.filter) ? { filter: yield* Input.json(given.filter.value, "--filter") } : {}
  if (Option.isSome(given.burst) && Option.isNone(given.rateLimit)) {
    return yield* failed("--burst is of a --rate-limit: pass both.")
  }
  const rateLimit = Option.isSome(given.rateLimit)
    ? { rateLimit: { ...yield* rate(given.rateLimit.value), ...Input.given({ burst: given.burst }) } }
    : {}
  return {
    events,
    enabled: !given.disabled,
    ...(given.ordered ? { ordered: true } : {}),
    ...rateLimit,
    ...Input.given({
      maxConcurrency: given.maxConcurrency,
      description: given.description,
      tenantId: given.tenantId,
      signingSecret: Option.map(given.signingSecret, Redacted.value),
      retry: Option.map(given.retry, (name) => ({ type: "preset", name }))
    }),
    ...filter,
    ...(delaysMs === undefined ? {} : { retry: { type: "delays", delaysMs } })
  }
})

/** `50/s`, `100/1m`, `10/30s`. */
const rate = Effect.fnUntraced(function*(text: string) {
  const [, messages, time = ""] = /^([0-9]+)\/([0-9]*(?:ms|s|m|h|d))$/u.exec(text) ?? []
  if (messages === undefined) {
    return yield* failed(`--rate-limit ${text}: Expected a number in a time, as in 50/s, 100/1m or 10/1h.`)
  }
  return { messages: Number(messages), intervalMs: yield* Delay.milliseconds(/^[0-9]/u.test(time) ? time : `1${time}`) }
})
