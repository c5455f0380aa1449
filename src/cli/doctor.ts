/**
 * `hookline doctor`: finds what keeps a runner from starting or delivering, and says what to do about it.
 */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { Check } from "./Checks.ts"
import * as Output from "./Output.ts"
import { CommandFailed } from "./Remote.ts"
import * as RunnerFlags from "./RunnerFlags.ts"

const flags = {
  ...RunnerFlags.flags,
  json: Flag.Boolean("json").pipe(Flag.withDescription("Prints JSON, for scripts"), Flag.withDefault(false))
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const doctor = Command.make("doctor", flags, (given) =>
  Effect.gen(function*() {
    const { examine } = yield* Effect.promise(() => import("./Examination.ts"))
    // What a collector is told is settings too, whose refusals are sentences of their own.
    const { fromEnvironment } = yield* Effect.promise(() => import("./Telemetry.ts"))
    yield* fromEnvironment
    const checks: ReadonlyArray<Check> = yield* examine(yield* RunnerFlags.resolve(given))
    const failures = checks.filter(({ status }) => status === "failure").length
    yield* given.json ? Output.json({ ok: failures === 0, checks }) : show(checks)
    if (failures > 0) {
      return yield* new CommandFailed({ message: `${failures} of ${checks.length} checks failed.` })
    }
    if (!given.json) yield* Console.log("Nothing is in the way.")
  })).pipe(
    Command.withDescription(
      "Checks what a runner is started with: database, retention, keys, plugins, clock, egress, port, versions"
    )
  )

// --- internal ---

const tones = { ok: "good", warning: "warn", failure: "bad" } as const

const show = (checks: ReadonlyArray<Check>) =>
  Output.columns(checks.flatMap(({ message, name, status, todo }) => [
    [{ text: status, tone: tones[status] }, name, message],
    ...(todo === undefined ? [] : [["", "", { text: `-> ${todo}`, tone: "strong" as const }]])
  ]))
