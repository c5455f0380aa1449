/**
 * `hookline audit`: who changed what.
 */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
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
export const audit = Command.make("audit", {
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Changes of a tenant's things"), Flag.optional),
  resourceId: Flag.String("resource").pipe(Flag.withDescription("Changes of the thing with this id"), Flag.optional),
  actorId: Flag.String("by").pipe(Flag.withDescription("Changes by the key with this id"), Flag.optional),
  action: Flag.String("action").pipe(Flag.withDescription("Such as subscription.update"), Flag.optional),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { action, actorId, cursor, limit, resourceId, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ action, actorId, cursor, limit, resourceId, tenantId })
    const found = yield* remote.ask((client) => client.audit.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["AT", "WHO", "WHAT", "OF", "TENANT", "BEFORE", "AFTER"],
      found.items.map((item) => [
        item.at,
        item.actor.name ?? item.actor.kind,
        item.action,
        item.resourceId,
        item.tenantId ?? "",
        item.before === undefined ? "" : JSON.stringify(item.before),
        item.after === undefined ? "" : JSON.stringify(item.after)
      ]),
      "Nothing of the kind was changed."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Shows who changed what, newest first"))
