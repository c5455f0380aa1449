/**
 * `hookline subscriptions preview-schedule`: when the attempts of a retry schedule would come.
 */
import { Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { RetryJson } from "../RetrySchedule.ts"
import * as SchemaErrors from "../SchemaErrors.ts"
import * as Delay from "./Delay.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const previewSchedule = Command.make("preview-schedule", {
  schedule: Argument.String("schedule").pipe(
    Argument.withDescription("seed or standardWebhooks, delays as in 1s,30s,5m, or a schedule as JSON")
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const retry = yield* scheduleOf(given.schedule.trim())
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.subscriptions.previewSchedule({ payload: { retry } }))
    if (given.json) return yield* Output.json(found)
    let afterMs = 0
    const rows = found.delaysMs.map((delayMs, i) => {
      afterMs += delayMs
      return [String(i + 2), Delay.text(delayMs), Delay.text(afterMs)]
    })
    yield* Output.table(["ATTEMPT", "AFTER", "IN ALL"], [["1", "", ""], ...rows], "")
  })).pipe(
    Command.withDescription("Shows when the attempts of a retry schedule would come if each failed at once"),
    Command.withExamples([{ command: "hookline subscriptions preview-schedule 1s,30s,5m" }])
  )

// --- internal ---

const presets = ["seed", "standardWebhooks"]

const scheduleOf = Effect.fnUntraced(function*(text: string) {
  const json = presets.includes(text)
    ? { type: "preset", name: text }
    : text.startsWith("{")
    ? yield* Input.json(text, "The schedule")
    : { type: "delays", delaysMs: yield* Delay.list(text) }
  const found = yield* Effect.result(Schema.decodeUnknownEffect(RetryJson)(json))
  if (found._tag === "Success") return found.success
  const { message, path } = SchemaErrors.first(found.failure, ["schedule"])
  return yield* new Remote.CommandFailed({ message: `${path}: ${message}.` })
})
