/**
 * `hookline stats`: how deliveries ended within the last hours, and what waits now.
 */
import { Console, Effect, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { defaults } from "../Limits.ts"
import * as Filters from "./Filters.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Remote from "./Remote.ts"

const hours = Flag.Int("hours").pipe(
  Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.statsHours }))),
  Flag.withDescription(`The last hours, up to ${defaults.statsHours} (${defaults.statsHoursDefault})`),
  Flag.optional
)

const providerId = Flag.String("provider").pipe(Flag.withDescription("Those through a provider"), Flag.optional)

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const stats = Command.make("stats", {
  hours,
  ...Filters.flags,
  providerId,
  ...Remote.flags
}, ({ dataDir, json, key, url, ...query }) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect({ dataDir, json, key, url })
    const found = yield* remote.ask((client) => client.stats.get({ query: Input.given(query) }))
    if (json) return yield* Output.json(found)
    const { byEvent, byProvider, bySubscription, from, to, totals } = found
    const least = totals.waitingAtLeast ? "at least " : ""
    yield* Output.fields([
      ["from", from],
      ["to", to],
      ["waiting now", `${least}${totals.pending} pending, ${least}${totals.retrying} retrying`]
    ])
    yield* Console.log("")
    yield* Output.table(
      ["", "DELIVERIES", "SUCCESS", "FAILED", "CANCELLED", "ATTEMPTS"],
      [
        row({ text: "all", tone: "strong" }, totals),
        ...byProvider.map((one) => row(one.providerId, one)),
        ...byEvent.map((one) => row(one.eventId, one)),
        ...bySubscription.map((one) => row(`${one.subscriptionId} ${one.name}`, one))
      ],
      ""
    )
  })).pipe(Command.withDescription("Shows how deliveries ended within the last hours, and how many wait"))

// --- internal ---

const row = (
  name: Output.Cell,
  { attempts, cancelled, deliveries, failed, success }: {
    readonly deliveries: number
    readonly success: number
    readonly failed: number
    readonly cancelled: number
    readonly attempts: number
  }
): ReadonlyArray<Output.Cell> => [
  name,
  String(deliveries),
  String(success),
  failed > 0 ? { text: String(failed), tone: "bad" } : "0",
  String(cancelled),
  String(attempts)
]
