/**
 * `hookline subscriptions`: who wants what, and the switch of each.
 */
import { Console, Effect } from "effect"
import { Command, Flag } from "effect/cli"
import type { SubscriptionView } from "../http/SubscriptionsApi.ts"
import { ConnectionId } from "../Id.ts"
import type { RateLimit } from "../RateLimit.ts"
import { testFilter } from "./filterTest.ts"
import * as Ids from "./Ids.ts"
import * as Input from "./Input.ts"
import * as Output from "./Output.ts"
import * as Paging from "./Paging.ts"
import * as Remote from "./Remote.ts"
import { rotateSecret } from "./rotateSecret.ts"
import { previewSchedule } from "./schedulePreview.ts"
import { test } from "./subscriptionTest.ts"
import { update } from "./subscriptionUpdate.ts"

const id = {
  id: Ids.subscription,
  ...Remote.flags
}

const list = Command.make("list", {
  tenantId: Flag.String("tenant").pipe(Flag.withDescription("Those of a tenant"), Flag.optional),
  enabled: Flag.Literals("enabled", ["true", "false"]).pipe(
    Flag.withDescription("The enabled or the disabled ones"),
    Flag.optional
  ),
  failing: Flag.Literals("failing", ["true", "false"]).pipe(
    Flag.withDescription("Those whose last attempt was not accepted, or all others"),
    Flag.optional
  ),
  connectionId: Flag.String("connection").pipe(
    Flag.withSchema(ConnectionId),
    Flag.withDescription("Those that deliver through a connection, con_…"),
    Flag.optional
  ),
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { connectionId, cursor, enabled, failing, limit, tenantId } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ connectionId, cursor, enabled, failing, limit, tenantId })
    const found = yield* remote.ask((client) => client.subscriptions.list({ query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["SUBSCRIPTION", "NAME", "STATE", "EVENTS", "PROVIDER", "TARGET"],
      found.items.map((item) => [
        item.id,
        item.name,
        state(item),
        item.events.join(", "),
        item.providerId,
        target(item.config)
      ]),
      "There are no such subscriptions: make one with `hookline subscribe`."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(Command.withDescription("Lists subscriptions, newest first"))

const get = Command.make("get", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const found = yield* remote.ask((client) => client.subscriptions.get({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(found)
    yield* Output.fields([
      ["subscription", { text: found.id, tone: "strong" }],
      ["name", found.name],
      ["description", found.description],
      ["tenant", found.tenantId],
      ["state", state(found)],
      ["events", found.events.join(", ")],
      ["provider", found.providerId],
      ["connection", found.connectionId],
      ["retry", found.retry === undefined ? undefined : JSON.stringify(found.retry)],
      ["ordered", found.ordered === true ? "by ordering key" : undefined],
      ["max concurrency", found.maxConcurrency === undefined ? undefined : String(found.maxConcurrency)],
      ["rate limit", found.rateLimit && rate(found.rateLimit)],
      ["circuit", found.health && circuit(found.health)],
      ["failing since", found.health?.failingSince],
      ["created", found.createdAt],
      ["updated", found.updatedAt]
    ])
    yield* Console.log("")
    yield* Output.json(found.config)
  })).pipe(Command.withDescription("Shows a subscription, without its secrets"))

const enable = Command.make("enable", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const changed = yield* remote.ask((client) => client.subscriptions.enable({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(changed)
    yield* Console.log(`${changed.id} is enabled.`)
  })).pipe(Command.withDescription("Enables a subscription: what it has collected is attempted"))

const disable = Command.make("disable", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    const changed = yield* remote.ask((client) => client.subscriptions.disable({ params: { id: given.id } }))
    if (given.json) return yield* Output.json(changed)
    yield* Console.log(`${changed.id} is disabled: no attempt begins, and it collects deliveries.`)
  })).pipe(Command.withDescription("Disables a subscription: no attempt begins any more"))

const remove = Command.make("delete", id, (given) =>
  Effect.gen(function*() {
    const remote = yield* Remote.connect(given)
    yield* remote.ask((client) => client.subscriptions.remove({ params: { id: given.id } }))
    if (given.json) return yield* Output.json({ id: given.id, deleted: true })
    yield* Console.log(`${given.id} is deleted: its unfinished deliveries end as cancelled.`)
  })).pipe(Command.withDescription("Deletes a subscription for good"))

const blocked = Command.make("blocked", {
  id: Ids.subscription,
  ...Paging.flags,
  ...Remote.flags
}, (given) =>
  Effect.gen(function*() {
    const { cursor, limit } = given
    const remote = yield* Remote.connect(given)
    const query = Input.given({ cursor, limit })
    const found = yield* remote.ask((client) => client.subscriptions.blockedKeys({ params: { id: given.id }, query }))
    if (given.json) return yield* Output.json(found)
    yield* Output.table(
      ["KEY", "FIRST DELIVERY", "ATTEMPTS", "NEXT", "WAITING", "ERROR"],
      found.items.map(({ head, orderingKey, waiting }) => [
        orderingKey,
        head.id,
        String(head.attemptCount),
        head.nextAttemptAt ?? "",
        String(waiting),
        head.lastError ?? ""
      ]),
      "No key is blocked."
    )
    yield* Paging.more(found.nextCursor)
  })).pipe(
    Command.withDescription(
      "Lists the ordering keys whose first delivery failed so far: `hookline retry` it now, or `hookline skip` it"
    )
  )

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const subscriptions = Command.make("subscriptions").pipe(
  Command.withDescription(
    "Lists, shows, changes, tests, enables, disables and deletes subscriptions, and rotates their secrets"
  ),
  Command.withSubcommands([
    list,
    get,
    update,
    test,
    testFilter,
    previewSchedule,
    blocked,
    enable,
    disable,
    rotateSecret,
    remove
  ])
)

// --- internal ---

const state = (
  item: Pick<typeof SubscriptionView.Type, "enabled" | "disabledReason" | "health">
): Output.Cell =>
  item.enabled
    ? item.health === undefined
      ? { text: "enabled", tone: "good" }
      : { text: `failing, circuit ${item.health.circuit}`, tone: "warn" }
    : { text: item.disabledReason === undefined ? "disabled" : `disabled: ${item.disabledReason}`, tone: "warn" }

const circuit = (health: NonNullable<(typeof SubscriptionView.Type)["health"]>): Output.Cell =>
  health.circuit === "closed"
    ? `closed, ${health.failures} failures in a row`
    : { text: `${health.circuit}, ${health.failures} failures in a row, until ${health.openUntil}`, tone: "bad" }

const rate = ({ burst, intervalMs, messages }: RateLimit): string =>
  `${messages} in ${intervalMs} ms${burst === undefined ? "" : `, ${burst} at once`}`

/** Where a webhook goes; of other providers nobody knows which field that is. */
const target = (config: unknown): string =>
  typeof config === "object" && config !== null && "url" in config && typeof config.url === "string" ? config.url : ""
