/**
 * What the command line's process runs: one subcommand a file, loaded as far as it is used; an error is a sentence on stderr.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { createRequire } from "node:module"
import * as CommandLine from "./hookline.ts"
import * as Logs from "./Logs.ts"
import * as Stopping from "./Stopping.ts"

const { version } = createRequire(import.meta.url)("../../package.json")

// Who reads the output may have read enough, as in `hookline deliveries | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  process.exit(0)
})

// A terminal that is closed stops a runner as SIGTERM does: with its PostgreSQL, and after what is under way.
process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))

CommandLine.told(Effect.provide(Command.run(CommandLine.command, { version }), Logs.layer)).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown: Stopping.teardown })
)
