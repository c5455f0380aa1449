/**
 * The runner that a command talks to: where it is, with which key, and what its refusals are in a sentence that says what to
 * do next.
 */
import { Config, Effect, Option, Redacted, Schema } from "effect"
import { Flag } from "effect/cli"
import type { HttpClientError } from "effect/http"
import { BlockList, isIP } from "node:net"
import * as Path from "node:path"
import type { Client, UnexpectedAnswer, Unreachable } from "../http/Client.ts"
import * as Kept from "./Kept.ts"

/**
 * A command can't do what it is asked to; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  message: Schema.String,
  /** The runner was away, or could not do it then: the same may work later. */
  mayPass: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * The flags of every command that talks to a runner.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  url: Flag.String("url").pipe(
    Flag.withDescription("Where the runner listens (HOOKLINE_URL, http://127.0.0.1:4680)"),
    Flag.optional
  ),
  key: Flag.Redacted("key").pipe(
    Flag.withDescription(
      "The key of the API (HOOKLINE_KEY or HOOKLINE_ADMIN_KEY; the kept one for a runner on this machine)"
    ),
    Flag.optional
  ),
  dataDir: Flag.String("data-dir").pipe(
    Flag.withDescription("The folder where a runner in development keeps its key (HOOKLINE_DATA_DIR, .hookline)"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Prints JSON, for scripts"), Flag.withDefault(false))
}

/** @category models @since 0.1.0 */
export interface Given {
  readonly url: Option.Option<string>
  readonly key: Option.Option<Redacted.Redacted<string>>
  readonly dataDir: Option.Option<string>
  readonly json: boolean
}

/**
 * A runner that commands ask; nothing is sent before the first question.
 *
 * @category models
 * @since 0.1.0
 */
export interface Remote {
  readonly url: string
  readonly ask: <A>(question: (client: Client) => Effect.Effect<A, ApiError>) => Effect.Effect<A, CommandFailed>
}

/** @category errors @since 0.1.0 */
export type ApiError =
  | {
    readonly _tag:
      | "NotFound"
      | "Conflict"
      | "Refused"
      | "MalformedRequest"
      | "Unavailable"
      | "Unauthorized"
      | "Forbidden"
      | "PreconditionFailed"
      | "TooManyRequests"
      | "ProviderFailed"
    readonly message: string
  }
  | UnexpectedAnswer
  | Unreachable
  | HttpClientError.HttpClientError
  | Schema.SchemaError

/**
 * Finds the runner that is meant and a key for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = Effect.fnUntraced(function*(given: Given): Effect.fn.Return<Remote, CommandFailed> {
  const text = Option.getOrElse(
    yield* Option.isSome(given.url) ? Effect.succeed(given.url) : setting("HOOKLINE_URL"),
    () => "http://127.0.0.1:4680"
  )
  const parsed = URL.parse(text)
  if (!parsed || !/^https?:$/u.test(parsed.protocol)) {
    return yield* failed("Expected a URL such as http://127.0.0.1:4680 in --url or HOOKLINE_URL.")
  }
  const url = text.replace(/\/+$/u, "")
  const key = yield* keyOf(given, parsed)
  const [{ make }, FetchHttpClient] = yield* Effect.promise(() =>
    Promise.all([import("../http/Client.ts"), import("effect/http/FetchHttpClient")])
  )
  const client = yield* Effect.provide(make({ url, key: key.value }), FetchHttpClient.layer)
  return { url, ask: (question) => Effect.mapError(question(client), (error) => explained(error, url, key.from)) }
})

// --- internal ---

const failed = (message: string) => Effect.fail(new CommandFailed({ message }))

/** An empty value is as good as none. */
const setting = (name: string) =>
  Effect.map(Effect.orDie(Config.option(Config.String(name))), Option.filter((value) => value.trim() !== ""))

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8)
loopback.addAddress("::1", "ipv6")

/** A kept key is for this machine: it is not sent elsewhere. */
const isLocal = ({ hostname }: URL): boolean => {
  const host = hostname.replace(/^\[|\]$/gu, "")
  return host === "localhost" || (isIP(host) !== 0 && loopback.check(host, isIP(host) === 6 ? "ipv6" : "ipv4"))
}

const unreadable = ({ message }: Kept.KeyUnreadable) => new CommandFailed({ message: `${message} Or pass --key.` })

/** What no header carries is refused here: the client's refusal would show the header, and so the key. */
const sendable = (key: Redacted.Redacted<string>, from: string) => {
  const value = Redacted.value(key).trim()
  return /^[!-~]+$/u.test(value)
    ? Effect.succeed({ value: Redacted.make(value), from })
    : failed(
      `The key from ${from} can't be sent: pass a key of the runner's, which is visible ASCII without spaces or line breaks.`
    )
}

const keyOf = Effect.fnUntraced(function*(given: Given, url: URL) {
  if (Option.isSome(given.key)) return yield* sendable(given.key.value, "--key")
  for (const name of ["HOOKLINE_KEY", "HOOKLINE_ADMIN_KEY"]) {
    const configured = yield* setting(name)
    if (Option.isSome(configured)) return yield* sendable(Redacted.make(configured.value), name)
  }
  const folder = Option.isSome(given.dataDir)
    ? given.dataDir.value
    : Option.getOrElse(yield* setting("HOOKLINE_DATA_DIR"), () => ".hookline")
  const kept = isLocal(url) ? yield* Effect.mapError(Kept.read(folder, "admin-key"), unreadable) : Option.none()
  if (Option.isSome(kept)) return yield* sendable(kept.value, Path.join(folder, "admin-key"))
  return yield* failed(
    isLocal(url)
      ? `No key is known: pass --key or set HOOKLINE_KEY. A runner started with --dev keeps one in ${folder}/, ` +
        "which --data-dir names."
      : `No key is known for ${url.origin}: pass --key or set HOOKLINE_KEY.`
  )
})

const explained = (error: ApiError, url: string, keyFrom: string): CommandFailed => {
  switch (error._tag) {
    case "Unreachable":
      return new CommandFailed({
        message:
          `No Hookline answers at ${url} (${error.reason}): start one with \`hookline start\`, or say where it is with ` +
          "--url or HOOKLINE_URL.",
        mayPass: true
      })
    case "Unauthorized":
      return new CommandFailed({
        message:
          `The runner at ${url} refuses the key from ${keyFrom}: pass one that is good with --key or HOOKLINE_KEY.`
      })
    case "HttpClientError":
    case "SchemaError":
      return new CommandFailed({
        message: `What answers at ${url} is no Hookline of this version: is --url or HOOKLINE_URL right?`
      })
    case "UnexpectedAnswer":
      return new CommandFailed({ message: `${url} answers ${error.message}`, mayPass: error.status >= 500 })
    default:
      return new CommandFailed({ message: error.message, mayPass: error._tag === "Unavailable" })
  }
}
