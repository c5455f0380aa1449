/**
 * `hookline explain`: why each subscription got a message or not.
 */
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const explain = Command.make("explain", {
  message: Ids.message,
  ...Paging.flags,
  ...Remote.flags
}, ({ cursor, dataDir, json, key, limit, message, url }) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect({ dataDir, json, key, url })
    const query = Input.given({ cursor, limit })
    const found = yield* remote.ask((client) => client.messages.explain({ params: { id: message }, query }))
    if (json) return yield* Output.json(found)
    const { matched, filtered } = found.message
    yield* Output.fields([
      ["message", { text: found.message.id, tone: "strong" }],
      ["event", found.message.eventId],
      ["tenant", found.message.tenantId],
      ["state", found.message.state],
      ["matched", matched === undefined ? undefined : String(matched)],
      ["filtered", filtered === undefined ? undefined : String(filtered)],
      ["error", found.message.error]
    ])
    yield* Console.log("")
    yield* Output.table(
      ["SUBSCRIPTION", "NAME", "VERDICT", "WHY", "DELIVERY"],
      found.items.map(({ delivery, reason, subscription, verdict }) => [
        subscription.id,
        subscription.name,
        delivery ? Output.status(delivery.status) : verdict,
        reason,
        delivery?.id ?? ""
      ]),
      "Its tenant has no subscriptions."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Says of each subscription whether it got a message, and why not"))
