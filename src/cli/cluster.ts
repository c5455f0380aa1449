/**
 * `hookline cluster`: the runners, what each holds, and how far behind the cluster is.
 */
import { Console, Effect, type Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const dispatchers = Flag.Boolean("dispatchers").pipe(
  Flag.withDescription("Lists the worker groups with their owners and epochs instead"),
  Flag.withDefault(false)
)

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const cluster = Command.make(
  "cluster",
  { dispatchers, ...Paging.flags, ...Remote.flags },
  (given) =>
    Effect.flatMap(
      Remote.connect(given),
      (remote) => given.dispatchers ? listDispatchers(remote, given) : overview(remote, given.json)
    )
).pipe(Command.withDescription("Shows the runners, what each of them holds, and how far behind they are"))

// --- internal ---

const overview = Effect.fnUntraced(function*(remote: Remote.Remote, json: boolean) {
  const found = yield* remote.ask((client) => client.cluster.get())
  if (json) return yield* Output.json(found)
  const { codeMissing, due, runners, shards } = found
  yield* Output.table(
    ["RUNNER", "STATE", "ADDRESS", "VERSION", "STARTED", "SHARDS", "DISPATCHERS"],
    runners.map((runner) => [
      runner.self ? { text: `${runner.id} (answers)`, tone: "strong" } : runner.id,
      runner.alive ? { text: "alive", tone: "good" } : { text: `gone since ${runner.leaseUntil}`, tone: "warn" },
      runner.address ?? "",
      runner.version ?? "",
      runner.startedAt ?? "",
      String(runner.shards),
      String(runner.dispatchers)
    ]),
    "There are no runners."
  )
  yield* Console.log("")
  yield* Output.fields([
    ["shards", `${shards.held} of ${shards.total} held`],
    [
      "due",
      due.oldestAgeMs === undefined
        ? "nothing waits"
        : `${due.groups} worker groups, the oldest for ${(due.oldestAgeMs / 1000).toFixed(1)} s`
    ]
  ])
  for (const { id, kind, runnerIds } of codeMissing) {
    yield* Console.log(
      `The ${kind} ${id} is needed and missing on ${runnerIds.join(", ")}: give that runner its plugin.`
    )
  }
})

const listDispatchers = Effect.fnUntraced(function*(
  remote: Remote.Remote,
  given: { readonly cursor: Option.Option<string>; readonly limit: Option.Option<number>; readonly json: boolean }
) {
  const query = Input.given({ cursor: given.cursor, limit: given.limit })
  const found = yield* remote.ask((client) => client.cluster.dispatchers({ query }))
  if (given.json) return yield* Output.json(found)
  yield* Output.table(
    ["WORKER GROUP", "EPOCH", "RUNNER"],
    found.items.map(({ epoch, runnerId, workerGroup }) => [workerGroup, String(epoch), runnerId ?? "nobody"]),
    "No message was emitted yet."
  )
  yield* Paging.more(found.nextCursor)
})
