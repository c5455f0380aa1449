/**
 * `hookline retention`: how long history is kept, what it takes, and what goes.
 */
import { Console, Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import type { RetentionView } from "../http/RetentionApi.ts"
import { dayMs, maxDays } from "../Retention.ts"
import * as Expired from "./Expired.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

const tenantId = Flag.String("tenant").pipe(
  Flag.withSchema(Schema.String.check(Schema.isMinLength(1))),
  Flag.withDescription("Whose bodies are meant")
)

const apply = Command.make("apply", Remote.flags, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const applied = yield* remote.ask((client) => client.retention.apply())
    if (given.json) return yield* Output.json(applied)
    for (const { day, of } of applied.dropped) yield* Console.log(`Dropped the ${of} of ${day}.`)
    if (applied.dropped.length === 0) yield* Console.log("No day was dropped.")
    if (applied.waitingDay !== undefined) {
      yield* Console.log(
        `${applied.waitingDay} waits for a long transaction, and nobody waits for it: it goes on within a minute.`
      )
    }
    if (applied.bodiesEmptied > 0) yield* Console.log(`Emptied the bodies of ${applied.bodiesEmptied} messages.`)
    if (applied.more) yield* Console.log("There are more bodies to be emptied, which goes on by itself.")
  })).pipe(Command.withDescription("Drops now what has expired and nothing needs, and empties bodies"))

const set = Command.make("set", {
  tenantId,
  days: Flag.Int("days").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxDays }))),
    Flag.withDescription("After how many days they are emptied")
  ),
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const made = yield* remote.ask((client) =>
      client.retention.setTenant({ params: { tenantId: given.tenantId }, payload: { keptDays: given.days } })
    )
    if (given.json) return yield* Output.json(made)
    yield* Console.log(`Bodies of ${Output.plain(made.tenantId)} are emptied after ${Expired.days(made.keptDays)}.`)
  })).pipe(
    Command.withDescription("Has the bodies of a tenant's messages emptied sooner"),
    Command.withExamples([{ command: "hookline retention set --tenant acme --days 7" }])
  )

const unset = Command.make("unset", { tenantId, ...Remote.flags }, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    yield* remote.ask((client) => client.retention.unsetTenant({ params: { tenantId: given.tenantId } }))
    if (given.json) return yield* Output.json({ tenantId: given.tenantId, unset: true })
    yield* Console.log(`Bodies of ${Output.plain(given.tenantId)} are kept as long as history.`)
  })).pipe(Command.withDescription("Ends a tenant's term: its bodies are kept as long as history"))

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const retention = Command.make("retention", Remote.flags, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.retention.get())
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["history is kept for", Expired.days(found.historyKeptMs / dayMs)],
      ["attempts", Expired.days(found.attemptsKeptMs / dayMs)],
      ...found.tenants.map(({ keptDays, tenantId }) =>
        [`bodies of ${Output.plain(tenantId)}`, Expired.days(keptDays)] as const
      )
    ])
    yield* Console.log("")
    yield* Output.table(
      ["TABLE", "PARTITIONS", "OLDEST", "SIZE", "ROWS"],
      found.tables.map(({ bytes, oldestDay, partitions, rows, table }) => [
        table,
        String(partitions),
        oldestDay ?? "",
        size(bytes),
        `about ${rows}`
      ]),
      ""
    )
    if (found.expired.length === 0) return
    yield* Console.log("")
    yield* Output.table(
      ["EXPIRED", "WHAT GOES", "STATE"],
      found.expired.map((one) => [one.day, one.of, stateOf(one)]),
      ""
    )
  })).pipe(
    Command.withDescription("Shows how long history is kept, what it takes, and what holds expired days back"),
    Command.withSubcommands([apply, set, unset])
  )

// --- internal ---

const units = ["B", "KiB", "MiB", "GiB", "TiB"]

const size = (bytes: number): string => {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power] ?? ""}`
}

const stateOf = ({ heldBy, isDropping }: (typeof RetentionView.Type)["expired"][number]): Output.Cell =>
  heldBy.length > 0
    ? { text: `held by ${Expired.holders(heldBy)}`, tone: "warn" }
    : isDropping
    ? { text: "waits for a long transaction", tone: "warn" }
    : "goes within a minute"
