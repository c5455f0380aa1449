/**
 * The command line in this process, for the many commands that need no process of their own.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, type Console, Console as Consoles, Effect, Exit, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import { format } from "node:util"
import * as CommandLine from "../../src/cli/hookline.ts"

/** Runs a command with an environment and a standard input of its own, and tells what it printed. */
export const call = (args: ReadonlyArray<string>, env: Record<string, string>, input = "") =>
  Effect.gen(function*() {
    const printed = { stdout: "", stderr: "" }
    const captured: Console.Console = {
      ...globalThis.console,
      log: (...parts) => {
        printed.stdout += `${format(...parts)}\n`
      },
      error: (...parts) => {
        printed.stderr += `${format(...parts)}\n`
      }
    }
    const exit = yield* CommandLine.told(Command.runWith(CommandLine.command, { version: "0.0.0" })(args)).pipe(
      Effect.scoped,
      Effect.provide(Stdio.layerTest({
        stdin: Stream.succeed(new TextEncoder().encode(input)),
        stdinIsTerminal: Effect.succeed(false)
      })),
      Effect.provide(NodeServices.layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })),
      Effect.provideService(Consoles.Console, captured),
      Effect.exit
    )
    return { ...printed, code: Exit.isSuccess(exit) ? 0 : 1 }
  })
