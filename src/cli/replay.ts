/**
 * `hookline replay`: delivers again what has ended, by filter and time.
 */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { ReplayView } from "../http/ReplaysApi.ts"
import { defaults } from "../Limits.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"
import * as ReplayFlags from "./replayFlags.ts"

const flags = {
  ...ReplayFlags.filter,
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Deliveries of a tenant"), Flag.optional),
  freshWebhookId: Flag.Boolean("fresh-webhook-id").pipe(
    Flag.withDescription("Gives receivers a webhook-id of the replay's own, which they can't take for a repetition"),
    Flag.withDefault(false)
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Counts what would be delivered again, and makes nothing"),
    Flag.withDefault(false)
  ),
  wait: Flag.Boolean("wait").pipe(
    Flag.withDescription("Waits until all of it is due again; fails where it is paused or cancelled"),
    Flag.withDefault(false)
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const replay = Command.make("replay", { ...flags, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const { dataDir, dryRun, freshWebhookId, json, key, tenantId, url, wait, ...filter } = given
    const remote = yield* Remote.connect({ dataDir, json, key, url })
    const payload = { filter: Input.given(filter), ...Input.given({ tenantId }), freshWebhookId, dryRun }
    const made = yield* remote.ask((client) => client.replays.create({ payload }))
    if (!("id" in made)) {
      if (json) return yield* Output.json(made)
      const count = `${made.isAtLeast === true ? "at least " : ""}${made.matched}`
      return yield* Console.log(`A replay would deliver ${count} again; nothing was made.`)
    }
    if (wait) yield* Console.error(`Waits for ${made.id}, which goes on also without this command.`)
    const shown = wait ? yield* ended(remote, made) : made
    if (json) yield* Output.json(shown)
    else {
      yield* Console.log(shown.id)
      yield* Console.error(
        wait
          ? `${shown.counts.replayed} are due again, ${shown.counts.skipped} were skipped.`
          : `How far it is: hookline replays get ${shown.id}`
      )
    }
    if (wait && shown.state !== "completed") {
      return yield* new Remote.CommandFailed({ message: `The replay ${shown.id} is ${shown.state}.` })
    }
  })).pipe(
    Command.withDescription("Delivers again what has ended: by subscription, event, message or time"),
    Command.withExamples([
      { command: "hookline replay --subscription sub_… --from 2026-01-31T12:00:00Z --to 2026-01-31T14:00:00Z" },
      { command: "hookline replay --event incident.incident.created --from 2026-01-31 --dry-run" }
    ])
  )

// --- internal ---

/** A runner that has answered is being restarted when it does not: the replay goes on meanwhile. */
const ended = (remote: Remote.Remote, made: typeof ReplayView.Type) =>
  Effect.delay(
    remote.ask((client) => client.replays.get({ params: { id: made.id } })),
    defaults.replayIntervalMs
  ).pipe(
    Effect.retry({ while: ({ mayPass }) => mayPass === true }),
    Effect.repeat({ while: ({ state }) => state === "running" })
  )
