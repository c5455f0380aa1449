/**
 * `hookline deliveries`: what became of messages, and one delivery with its attempts.
 */
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { IsoTime } from "../http/Time.ts"
import { MessageId } from "../Id.ts"
import type { Phases } from "../Phases.ts"
import * as Filters from "./Filters.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

const filters = {
  ...Filters.flags,
  messageId: Flag.String("message").pipe(
    Flag.withSchema(MessageId),
    Flag.withDescription("Those of a message"),
    Flag.optional
  ),
  status: Flag.Literals("status", DeliveryStatus.literals).pipe(
    Flag.withDescription("Those in a state"),
    Flag.optional
  ),
  reason: Flag.Literals("reason", DeliveryReason.literals).pipe(
    Flag.withDescription("Those that ended or wait for a reason"),
    Flag.optional
  ),
  from: Flag.String("from").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("Those made since a time in ISO 8601, or a day, which is its midnight in UTC"),
    Flag.optional
  ),
  to: Flag.String("to").pipe(
    Flag.withSchema(IsoTime),
    Flag.withDescription("Those made until such a time"),
    Flag.optional
  )
}

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const deliveries = Command.make("deliveries", {
  delivery: Ids.delivery.pipe(
    Argument.withDescription("Shows one delivery, dlv_…, with its attempts"),
    Argument.optional
  ),
  ...filters,
  ...Paging.flags,
  ...Remote.flags
}, ({ dataDir, delivery, json, key, url, ...query }) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect({ dataDir, json, key, url })
    if (Option.isSome(delivery)) return yield* one(remote, delivery.value, json)
    const found = yield* remote.ask((client) => client.deliveries.list({ query: Input.given(query) }))
    if (json) return yield* Output.json(found)
    yield* Output.table(
      ["DELIVERY", "CREATED", "EVENT", "SUBSCRIPTION", "STATUS", "ATTEMPTS", "NEXT", "WHY"],
      found.items.map((item) => [
        item.id,
        item.createdAt,
        item.eventId,
        item.subscriptionId,
        Output.status(item.status),
        String(item.attemptCount),
        item.completedAt === undefined ? item.nextAttemptAt ?? "" : "",
        [item.reason, item.lastError].filter((text) => text !== undefined).join(": ")
      ]),
      "There are no such deliveries."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists deliveries, newest first, or shows one with its attempts"))

// --- internal ---

const one = Effect.fnUntraced(function*(remote: Remote.Remote, id: string, json: boolean) {
  const found = yield* remote.ask((client) => client.deliveries.get({ params: { id } }))
  if (json) return yield* Output.json(found)
  yield* Output.fields([
    ["delivery", { text: found.id, tone: "strong" }],
    ["event", found.eventId],
    ["message", found.messageId],
    ["subscription", found.subscriptionId],
    ["tenant", found.tenantId],
    ["status", Output.status(found.status)],
    ["reason", found.reason],
    ["created", found.createdAt],
    ["completed", found.completedAt],
    ["next attempt", found.nextAttemptAt],
    ["external id", found.externalId]
  ])
  yield* Console.log("")
  yield* Output.table(
    ["ATTEMPT", "STARTED", "OUTCOME", "STATUS", "MS", "PHASES", "ERROR", "ANSWER"],
    found.attempts.map((attempt) => [
      String(attempt.number),
      attempt.startedAt,
      Output.status(attempt.outcome),
      attempt.statusCode === undefined ? "" : String(attempt.statusCode),
      String(attempt.durationMs),
      phases(attempt.phases),
      attempt.error === undefined ? "" : `${attempt.error.tag}: ${attempt.error.message}`,
      (attempt.response?.body ?? "").slice(0, 80)
    ]),
    found.attemptCount === 0 ? "It has not been attempted yet." : "Its attempts are not kept any more."
  )
  const gone = found.attemptCount - found.attempts.length
  if (gone > 0 && found.attempts.length > 0) {
    yield* Console.log(`${gone} earlier attempt${gone === 1 ? " is" : "s are"} not kept any more.`)
  }
})

/** Where an attempt's time went, in milliseconds. */
const phases = (self: Phases | undefined): string =>
  ([["dns", self?.lookupMs], ["tcp", self?.connectMs], ["tls", self?.tlsMs], [
    "first byte",
    self?.firstByteMs
  ]] as const)
    .flatMap(([name, ms]) => ms === undefined ? [] : [`${name} ${ms.toFixed(1)}`]).join(", ")
