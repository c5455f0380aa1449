/**
 * The command line as a value: its subcommands, and how it tells what went wrong.
 */
import { Cause, Config, Console, Effect, Schema } from "effect"
import { CliError, CliOutput, Command } from "effect/cli"
import * as SchemaErrors from "../SchemaErrors.ts"
import { audit } from "./audit.ts"
import { cluster } from "./cluster.ts"
import { connections } from "./connections.ts"
import { deliveries } from "./deliveries.ts"
import { doctor } from "./doctor.ts"
import { emit } from "./emit.ts"
import { events } from "./events.ts"
import { explain } from "./explain.ts"
import { keys } from "./keys.ts"
import { listen } from "./listen.ts"
import { messages } from "./messages.ts"
import { migrate } from "./migrate.ts"
import { partitions } from "./partitions.ts"
import { plugins } from "./pluginList.ts"
import { preview } from "./preview.ts"
import { providers } from "./providers.ts"
import { replay } from "./replay.ts"
import { replays } from "./replays.ts"
import { retention } from "./retention.ts"
import { retry } from "./retry.ts"
import { rotateKey } from "./rotateKey.ts"
import { skip } from "./skip.ts"
import { start } from "./start.ts"
import { stats } from "./stats.ts"
import { subscribe } from "./subscribe.ts"
import { subscriptions } from "./subscriptions.ts"
import { tail } from "./tail.ts"
import * as Usage from "./Usage.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const command = Command.make("hookline").pipe(
  Command.withDescription("Durable integration events: typed hooks, delivered"),
  Command.withSubcommands([
    start,
    migrate,
    doctor,
    listen,
    events,
    plugins,
    providers,
    emit,
    messages,
    preview,
    subscribe,
    subscriptions,
    connections,
    deliveries,
    retry,
    replay,
    replays,
    skip,
    explain,
    stats,
    tail,
    partitions,
    retention,
    keys,
    audit,
    rotateKey,
    cluster
  ])
)

/**
 * A run of the command that says on stderr what went wrong, in a sentence.
 *
 * @category combinators
 * @since 0.1.0
 */
export const told = <A, E, R>(run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  run.pipe(
    Effect.tapCause((cause) => {
      const error = Cause.squash(cause)
      // Usage errors have been shown with the command's help.
      return Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)
        ? Effect.void
        : Console.error(`hookline: ${wentWrong(cause)}`)
    }),
    Effect.provideService(CliOutput.Presenter, Usage.presenter)
  )

// --- internal ---

/** What went wrong, for a person: the message of each failure, without a stack. */
const wentWrong = (cause: Cause.Cause<unknown>): string =>
  cause.reasons.map((reason) => {
    const error = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : "interrupted"
    if (error instanceof Config.ConfigError && Schema.isSchemaError(error.cause)) {
      const { message, path } = SchemaErrors.first(error.cause, [])
      return `The environment's ${path} can't be used: ${message}.`
    }
    return error instanceof Error ? error.message : String(error)
  }).join("\n")
