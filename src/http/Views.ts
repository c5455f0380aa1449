/**
 * What the API shows of things: times as text, absent fields left out.
 */
import { DateTime, Effect, Schema } from "effect"
import type { Asker } from "../Access.ts"
import type { AuditEntry } from "../AuditEntry.ts"
import type { Connection } from "../Connection.ts"
import type { TestResult } from "../Connections.ts"
import type { AttemptRecord, Delivery } from "../Delivery.ts"
import type { Explanation } from "../Explanations.ts"
import { type RunnerId, timeOf } from "../Id.ts"
import type { Key } from "../Key.ts"
import { defaults } from "../Limits.ts"
import type { Member, Ownership } from "../Member.ts"
import type { Overview } from "../Members.ts"
import { allTenants, timestampMs } from "../Message.ts"
import type { Trial } from "../Previews.ts"
import type { RegisteredEvent } from "../Registry.ts"
import type { Replay } from "../Replay.ts"
import type { BlockedKey, Health, Page, StoredMessage, Walked } from "../Storage.ts"
import type * as Subscriptions from "../Subscriptions.ts"
import { Refused } from "./Problem.ts"

const iso = (ms: number) => DateTime.formatIso(DateTime.makeUnsafe(ms))

const some = <const Name extends string, A>(name: Name, value: A | undefined): { readonly [K in Name]?: A } => {
  const object: { [K in Name]?: A } = {}
  if (value !== undefined) object[name] = value
  return object
}

const decodeJson = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Json))

const toJson = Schema.decodeUnknownSync(Schema.Json)

const toObject = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Json))

/** @category conversions @since 0.1.0 */
export const event = (item: RegisteredEvent) => ({
  id: item.eventId,
  pluginId: item.pluginId,
  displayName: item.displayName,
  ...some("description", item.description),
  category: item.category,
  payloadSchema: toObject(item.payloadSchema)
})

/** @category conversions @since 0.1.0 */
export const schema = (item: RegisteredEvent, exampleJson: string | undefined) => ({
  payloadSchema: toObject(item.payloadSchema),
  availableProperties: item.availableProperties,
  ...some("example", exampleJson === undefined ? undefined : decodeJson(exampleJson))
})

const states = { Unrouted: "unrouted", Routed: "routed", SetAside: "set-aside" } as const

/** @category conversions @since 0.1.0 */
export const message = (item: StoredMessage) => ({
  id: item.id,
  eventId: item.eventId,
  tenantId: item.tenantId,
  ...some("orderingKey", item.orderingKey),
  payload: decodeJson(item.payloadJson),
  ...some("bodyExpired", item.bodyExpired),
  ...some("deliverAt", item.deliverAtMs === undefined ? undefined : iso(item.deliverAtMs)),
  ...some("expiresAt", item.expiresAtMs === undefined ? undefined : iso(item.expiresAtMs)),
  ...some("traceparent", item.traceparent),
  state: states[item.state._tag],
  ...(item.state._tag === "Routed"
    ? { matched: item.state.matched, filtered: item.state.filtered, routedAt: iso(item.state.atMs) }
    : {}),
  ...(item.state._tag === "SetAside" ? { error: item.state.error } : {}),
  createdAt: iso(timestampMs(item))
})

const health = (
  { failingSinceMs, failures, openUntilMs }: Health,
  circuit: Subscriptions.SubscriptionView["circuit"]
) => ({
  failures,
  failingSince: iso(failingSinceMs),
  circuit,
  ...some("openUntil", openUntilMs === undefined ? undefined : iso(openUntilMs))
})

/** @category conversions @since 0.1.0 */
export const subscription = (item: Subscriptions.SubscriptionView) => ({
  id: item.id,
  tenantId: item.tenantId,
  name: item.name,
  ...some("description", item.description),
  events: item.events,
  providerId: item.providerId,
  config: item.config,
  ...some("connectionId", item.connectionId),
  ...some("retry", item.retry),
  ...some("filter", item.filter && toJson(item.filter)),
  ...(item.ordered ? { ordered: true } : {}),
  ...some("maxConcurrency", item.maxConcurrency),
  ...some("rateLimit", item.rateLimit),
  ...some("health", item.health && health(item.health, item.circuit)),
  ...(item.signingPublicKeys.length === 0 ? {} : { signingPublicKeys: item.signingPublicKeys }),
  enabled: item.enabled,
  ...some("disabledReason", item.disabledReason),
  createdAt: iso(item.createdAtMs),
  updatedAt: iso(item.updatedAtMs)
})

/** @category conversions @since 0.1.0 */
export const connection = (item: Connection) => ({
  id: item.id,
  tenantId: item.tenantId,
  providerId: item.providerId,
  name: item.name,
  config: item.config,
  createdAt: iso(item.createdAtMs),
  updatedAt: iso(item.updatedAtMs)
})

/** @category conversions @since 0.1.0 */
export const connectionTest = ({ message, success }: TestResult) => ({ success, ...some("message", message) })

/** @category conversions @since 0.1.0 */
export const delivery = (item: Delivery) => ({
  id: item.id,
  messageId: item.messageId,
  eventId: item.eventId,
  subscriptionId: item.subscriptionId,
  tenantId: item.tenantId,
  status: item.status,
  ...some("reason", item.reason),
  attemptCount: item.attemptCount,
  ...some("nextAttemptAt", item.nextAttemptAtMs === undefined ? undefined : iso(item.nextAttemptAtMs)),
  ...some("externalId", item.externalId),
  ...some("lastError", item.lastError),
  createdAt: iso(item.createdAtMs),
  ...some("completedAt", item.completedAtMs === undefined ? undefined : iso(item.completedAtMs))
})

/** @category conversions @since 0.1.0 */
export const blockedKey = ({ head, orderingKey, waiting }: BlockedKey) => ({
  orderingKey,
  head: delivery(head),
  waiting
})

/** @category conversions @since 0.1.0 */
export const explanation = (item: Explanation) => ({
  subscription: item.subscription,
  verdict: item.verdict,
  reason: item.reason,
  ...some("delivery", item.delivery && delivery(item.delivery))
})

/** @category conversions @since 0.1.0 */
export const attempt = (item: AttemptRecord) => ({
  number: item.number,
  startedAt: iso(item.startedAtMs),
  durationMs: item.durationMs,
  outcome: item.outcome,
  ...some("statusCode", item.statusCode),
  ...some("error", item.error),
  ...some("request", item.request),
  ...some("response", item.response),
  ...some("phases", item.phases)
})

const runner = (self: RunnerId) => ({ alive, announced, dispatchers, id, leaseUntilMs }: Member) => ({
  id,
  self: id === self,
  alive,
  leaseUntil: iso(leaseUntilMs),
  ...some("address", announced?.address),
  ...some("version", announced?.version),
  ...some("startedAt", announced && iso(announced.startedAtMs)),
  shards: announced?.shards ?? 0,
  dispatchers,
  events: announced?.events ?? [],
  providers: announced?.providers ?? []
})

/** @category conversions @since 0.1.0 */
export const cluster = ({ codeMissing, due, members, nowMs, self, shards }: Overview) => ({
  runners: members.map(runner(self)),
  shards,
  due: {
    groups: due.groups,
    ...some("oldestAt", due.oldestAtMs === undefined ? undefined : iso(due.oldestAtMs)),
    ...some("oldestAgeMs", due.oldestAtMs === undefined ? undefined : Math.max(0, Math.round(nowMs - due.oldestAtMs)))
  },
  codeMissing
})

/** @category conversions @since 0.1.0 */
export const dispatcher = ({ runnerId, ...rest }: Ownership) => ({ ...rest, ...some("runnerId", runnerId) })

/** @category conversions @since 0.1.0 */
export const key = (item: Key) => ({
  id: item.id,
  name: item.name,
  prefix: item.prefix,
  scopes: item.scopes,
  ...some("tenantId", item.tenantId === allTenants ? undefined : item.tenantId),
  ...some("expiresAt", item.expiresAtMs === undefined ? undefined : iso(item.expiresAtMs)),
  ...some("revokedAt", item.revokedAtMs === undefined ? undefined : iso(item.revokedAtMs)),
  ...some("lastUsedAt", item.lastUsedAtMs === undefined ? undefined : iso(item.lastUsedAtMs)),
  createdAt: iso(item.createdAtMs)
})

/** @category conversions @since 0.1.0 */
export const trial = ({ error, externalId, response, statusCode, ...item }: Trial) => ({
  ...item,
  ...some("statusCode", statusCode),
  ...some("externalId", externalId),
  ...some("error", error),
  ...some("response", response)
})

/** @category conversions @since 0.1.0 */
export const asker = ({ actor, scopes, tenantId }: Asker) => ({
  actor: { kind: actor.kind, ...some("id", actor.id), ...some("name", actor.name) },
  scopes,
  ...some("tenantId", tenantId)
})

/** @category conversions @since 0.1.0 */
export const replay = (item: Replay) => {
  const { fromMs, toMs, ...filter } = item.filter
  return {
    id: item.id,
    ...some("tenantId", item.tenantId === allTenants ? undefined : item.tenantId),
    filter: {
      ...filter,
      ...some("from", fromMs === undefined ? undefined : iso(fromMs)),
      ...some("to", toMs === undefined ? undefined : iso(toMs))
    },
    freshWebhookId: item.freshWebhookId,
    state: item.state,
    counts: {
      matched: item.replayed + item.skipped,
      replayed: item.replayed,
      skipped: item.skipped,
      notKept: item.notKept
    },
    ...some("reachedAt", item.reachedMs === undefined ? undefined : iso(item.reachedMs)),
    createdAt: iso(item.createdAtMs),
    updatedAt: iso(item.updatedAtMs),
    ...some("completedAt", item.completedAtMs === undefined ? undefined : iso(item.completedAtMs))
  }
}

/** @category conversions @since 0.1.0 */
export const auditEntry = (item: AuditEntry) => ({
  id: item.id,
  at: iso(timeOf(item.id)),
  actor: { kind: item.actor.kind, ...some("id", item.actor.id), ...some("name", item.actor.name) },
  action: item.action,
  resourceId: item.resourceId,
  ...some("tenantId", item.tenantId === allTenants ? undefined : item.tenantId),
  ...some("before", item.before),
  ...some("after", item.after)
})

/**
 * Reads one item more than a page has, to know whether there is a next page.
 *
 * @category conversions
 * @since 0.1.0
 */
export const oneMore = <A, E, R>(read: (page: Page) => Effect.Effect<ReadonlyArray<A>, E, R>) => (page: Page) =>
  Effect.map(read({ ...page, limit: page.limit + 1 }), (found) => ({
    items: found.slice(0, page.limit),
    more: found.length > page.limit
  }))

/**
 * The page that a query asks for.
 *
 * @category conversions
 * @since 0.1.0
 */
export const page = (
  { cursor, limit = defaults.pageSizeDefault }: { readonly limit?: number; readonly cursor?: string },
  isId: (text: string) => boolean
): Effect.Effect<Page, Refused> =>
  cursor === undefined || isId(cursor)
    ? Effect.succeed({ cursor, limit })
    : Effect.fail(new Refused({ path: "cursor", detail: "cursor: Expected the nextCursor of an earlier answer" }))

/**
 * The page of a list that a query asks for; a cursor is the id of the last item before it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const list = <A extends { readonly id: string }, B, E, R>(
  query: { readonly limit?: number; readonly cursor?: string },
  options: {
    readonly isId: (text: string) => boolean
    readonly read: (page: Page) => Effect.Effect<
      { readonly items: ReadonlyArray<A>; readonly more: boolean; readonly next?: string | undefined },
      E,
      R
    >
    readonly view: (item: A) => B
  }
): Effect.Effect<{ readonly items: ReadonlyArray<B>; readonly nextCursor: string | null }, E | Refused, R> => {
  return Effect.map(Effect.flatMap(page(query, options.isId), options.read), ({ items, more, next }) => ({
    items: items.map((item) => options.view(item)),
    nextCursor: more ? next ?? items.at(-1)?.id ?? null : null
  }))
}

/**
 * What a walk found, as a page: it may be short, or empty, and not the last.
 *
 * @category conversions
 * @since 0.1.0
 */
export const walked = <A>({ items, next }: Walked<A>) => ({ items, more: next !== undefined, next })
