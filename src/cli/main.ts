#!/usr/bin/env node
/**
 * The command line: one subcommand a file, loaded as far as it is used; an error is a sentence on stderr.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Config, Console, Effect, Logger, References, Schema } from "effect"
import { CliError, CliOutput, Command } from "effect/cli"
import { createRequire } from "node:module"
import * as SchemaErrors from "../SchemaErrors.ts"
import { deliveries } from "./deliveries.ts"
import { doctor } from "./doctor.ts"
import { emit } from "./emit.ts"
import { events } from "./events.ts"
import { explain } from "./explain.ts"
import { listen } from "./listen.ts"
import { migrate } from "./migrate.ts"
import { plugins } from "./pluginList.ts"
import { preview } from "./preview.ts"
import { retry } from "./retry.ts"
import { start } from "./start.ts"
import * as Stopping from "./Stopping.ts"
import { subscribe } from "./subscribe.ts"
import { subscriptions } from "./subscriptions.ts"
import { tail } from "./tail.ts"
import * as Usage from "./Usage.ts"

const { version } = createRequire(import.meta.url)("../../package.json")

const hookline = Command.make("hookline").pipe(
  Command.withDescription("Durable integration events: typed hooks, delivered"),
  Command.withSubcommands([
    start,
    migrate,
    doctor,
    listen,
    events,
    plugins,
    emit,
    preview,
    subscribe,
    subscriptions,
    deliveries,
    retry,
    explain,
    tail
  ])
)

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

// Who reads the output may have read enough, as in `hookline deliveries | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  process.exit(0)
})

// A terminal that is closed stops a runner as SIGTERM does: with its PostgreSQL, and after what is under way.
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))

Command.run(hookline, { version }).pipe(
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    // Usage errors have been shown with the command's help.
    return Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)
      ? Effect.void
      : Console.error(`hookline: ${wentWrong(cause)}`)
  }),
  Effect.provideService(CliOutput.Presenter, Usage.presenter),
  Effect.provide(NodeServices.layer),
  Effect.provide(Logger.layer([process.stderr.isTTY ? Logger.consolePretty() : Logger.consoleLogFmt])),
  Effect.provideService(Logger.LogToStderr, true),
  Effect.provideService(References.MinimumLogLevel, "Info"),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: Stopping.teardown })
)
