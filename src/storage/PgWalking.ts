/**
 * The lists that may be long, in SQL: deliveries, messages and the audit log. Each filter has one index that it is walked by; the walks
 * of a list are bounded, see `PgWalk`.
 */
import type { PgClient } from "@effect/sql-pg"
import type { DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import * as Id from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { AuditFilter, DeliveryFilter, MessageFilter, Page, Walking, WalkPage } from "../Storage.ts"
import { array } from "./PgArray.ts"
import { type AuditRow, entryOf } from "./PgAuditing.ts"
import * as PgEnding from "./PgEnding.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgRows from "./PgRows.ts"
import * as PgTenants from "./PgTenants.ts"
import { unfinished } from "./PgUnfinished.ts"
import * as PgWalk from "./PgWalk.ts"

/** Makes the verbs of walking. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Walking => ({
  walkDeliveries: (filter, page) =>
    engine(PgWalk.page<PgRows.DeliveryRow & PgWalk.Step, ReturnType<typeof PgRows.delivery>>(
      sql,
      deliveries(sql, filter, page),
      page,
      { item: PgRows.delivery, id: PgRows.deliveryId }
    )),
  walkAudit: (filter, page) =>
    engine(PgWalk.page<AuditRow & PgWalk.Step, ReturnType<typeof entryOf>>(
      sql,
      [audit(sql, filter, page)],
      page,
      { item: entryOf, id: (uuid) => `aud_${uuid}` }
    ))
})

/** The walks of a list of deliveries: of those that are finished, and of those that are not. */
export const deliveries = (
  sql: PgClient.PgClient,
  filter: DeliveryFilter,
  page: WalkPage
): ReadonlyArray<PgWalk.Fragment> => {
  const { look } = page
  const span = PgWalk.span(page, filter)
  const narrow = narrowest(sql, filter)
  const fits = matching(sql, filter)
  const limit = PgWalk.count(sql, page.limit + 2)
  const finished = (status: "failed" | "cancelled" | undefined, by: Narrow) => {
    const { of, prefix } = by
    const meant = status === undefined ? fits : sql`(${fits} and d.status = ${status})`
    return sql`select ${finishedColumns(sql)}, d.id::text as key_text, d.n::float8 as n, ${meant} as fits from (${
      PgWalk.rows(
        sql,
        {
          table: "deliveries",
          // A message has few: they need no index of their own.
          prefix: status === undefined || of === "message" ? prefix : [...prefix, ["status", sql`${status}`]],
          ...(status === undefined || of === "message" ? {} : { where: "t.status <> 'success'" })
        },
        span,
        look
      )
    }) d where ${by.when} and (${meant} or ${by.ends("d", look)}) limit ${limit}`
  }
  const open = (by: Narrow) => PgWalk.rows(sql, { table: "work", ...openBy(filter, by) }, span, look)
  const waiting = (by: Narrow) =>
    sql`select d.*, ${fits} as fits from (${unfinished(sql, first(sql, filter, page, by, open(by)), openColumns)}) d
      where ${fits} or d.n = ${PgWalk.count(sql, look)} order by d.n limit ${limit}`
  /** Those that count as ended, where they are few; else they are found among all that is unfinished. */
  const ending = ({ few, isFew }: PgEnding.Ending) => {
    const walks = narrow.map((by) =>
      sql`select t.* from (${open(by)}) t
        where not ${isFew} and ${by.when} and (${owned(sql, filter, "t")} or ${by.ends("t", look)})`
    )
    const all = sql`select t.* from few t where ${isFew} and ${PgWalk.within(sql, "t.id", span)}`
    const from = sql.join(" union all ", false)([all, ...walks].map((part) => sql`(${part})`))
    return sql`with ${few} select d.*, ${fits} as fits from (${unfinished(sql, from, openColumns)}) d
      where ${fits} or d.n = ${PgWalk.count(sql, look)} order by d.key desc limit ${limit}`
  }

  const { reason, status } = filter
  const isOpen = (status === undefined || status === "pending" || status === "retrying") &&
    (reason === undefined || waits.has(reason))
  const ends = statuses.filter((one) =>
    (status === undefined ? reason !== undefined : status === one) && (reason === undefined || !waits.has(reason))
  )
  if (narrow.length === 0) return []
  return [
    ...(status === "pending" || status === "retrying" || (reason !== undefined && waits.has(reason))
      ? []
      : ends.length > 0
      ? ends.flatMap((one) => narrow.map((by) => finished(one, by)))
      : narrow.map((by) => finished(undefined, by))),
    ...(isOpen ? narrow.map(waiting) : []),
    ...(ends.includes("failed") && (reason === undefined || reason === "expired")
      ? [ending(PgEnding.expired(sql, filter, look))]
      : []),
    ...(ends.includes("cancelled") && (reason === undefined || reason === "deleted")
      ? [ending(PgEnding.deleted(sql, filter, span, look))]
      : [])
  ]
}

/** Finds a page of messages: their ids and the sizes of their payloads, which are read afterwards. */
export const messages = (
  sql: PgClient.PgClient,
  filter: MessageFilter,
  { cursor, limit, look = defaults.listLook }: Page & { readonly look?: number }
) => {
  const page = { cursor, limit, look }
  return PgWalk.page<PgWalk.Step & { readonly size: number }, { readonly id: string; readonly size: number }>(
    sql,
    [messageWalk(sql, filter, page)],
    page,
    { item: ({ key_text: id, size }) => ({ id, size }), id: PgRows.messageId }
  )
}

/** The walk of a list of messages; those that were set aside are in the inbox. */
export const messageWalk = (
  sql: PgClient.PgClient,
  { eventId, state, tenantId }: MessageFilter,
  page: WalkPage
): PgWalk.Fragment => {
  const fits = sql.and([
    sql`true`,
    ...(tenantId === undefined ? [] : [sql`m.tenant_id = ${tenantId}`]),
    ...(eventId === undefined ? [] : [sql`m.event_id = ${eventId}`])
  ])
  const ofTenant: PgWalk.Walk["prefix"] = tenantId === undefined ? [] : [["tenant_id", sql`${tenantId}`]]
  const walk: PgWalk.Walk = state === "set-aside"
    ? {
      table: "inbox",
      key: "message_id",
      columns: "t.message_id as id, t.tenant_id, substr(split_part(t.worker_group, '#', 1), 13) as event_id, t.size",
      prefix: ofTenant,
      where: "t.set_aside_at is not null"
    }
    : {
      table: "messages",
      columns: "t.id, t.tenant_id, t.event_id, octet_length(t.payload)::int as size",
      prefix: tenantId === undefined && eventId !== undefined ? [["event_id", sql`${eventId}`]] : ofTenant
    }
  return sql`select m.id::text as key_text, m.size, m.n::float8 as n, ${fits} as fits from (${
    PgWalk.rows(sql, walk, PgWalk.span(page), page.look)
  }) m where ${fits} or m.n = ${PgWalk.count(sql, page.look)} limit ${PgWalk.count(sql, page.limit + 2)}`
}

/** The walk of the audit log. */
export const audit = (
  sql: PgClient.PgClient,
  { action, actorId, resourceId, tenantId }: AuditFilter,
  page: WalkPage
): PgWalk.Fragment => {
  const by = (column: string, value: string | undefined) =>
    value === undefined ? [] : [[column, sql`${value}`] as const]
  const filters = [
    // First, so that where a walk ends tells nothing of another tenant's entries.
    ...by("tenant_id", tenantId),
    ...by("resource_id", resourceId),
    ...by("actor_id", actorId),
    ...by("action", action)
  ]
  const fits = sql.and([sql`true`, ...filters.map(([column, value]) => sql`a.${sql.literal(column)} = ${value}`)])
  return sql`select a.id::text, a.tenant_id, a.actor_kind, a.actor_id, a.actor_name, a.action, a.resource_id, a.before,
      a.after, a.id::text as key_text, a.n::float8 as n, ${fits} as fits from (${
    PgWalk.rows(sql, { table: "audit", prefix: filters.slice(0, 1) }, PgWalk.span(page), page.look)
  }) a where ${fits} or a.n = ${PgWalk.count(sql, page.look)} limit ${PgWalk.count(sql, page.limit + 2)}`
}

// --- internal ---

/** What narrows a walk, and by which columns. */
interface Narrow {
  readonly of: "message" | "subscription" | "tenant" | "event" | "nothing"
  readonly prefix: PgWalk.Walk["prefix"]
  /** Whether it is walked at all. */
  readonly when: PgWalk.Fragment
  /** Whether a row is where the walk ended, which the page tells. */
  readonly ends: (row: string, look: number) => PgWalk.Fragment
}

/**
 * Where several fields are given, the one that leaves least: of each there is a walk. Where a tenant is, no walk tells where it
 * ended among others' rows, nor how many they have: a message's deliveries are all of its tenant, and so are those of a
 * tenant's own subscriptions; of a work queue, which has everybody's, and of what is not its own, its own rows are walked.
 */
const narrowest = (sql: PgClient.PgClient, filter: DeliveryFilter): ReadonlyArray<Narrow> => {
  const { eventId, messageId, subscriptionId, subscriptionIds, tenantId } = filter
  const isLast = (row: string, look: number) => sql`${sql.literal(`${row}.n`)} = ${PgWalk.count(sql, look)}`
  const always = { when: sql`true`, ends: isLast }
  const byTenant = (tenantId: string): Narrow => ({
    ...always,
    of: "tenant",
    prefix: [["tenant_id", sql`${tenantId}`]]
  })
  if (messageId !== undefined) {
    return [{
      ...always,
      of: "message",
      prefix: [["message_id", sql`${Id.toUuid(messageId)}::uuid`]],
      ends: (row, look) =>
        tenantId === undefined
          ? isLast(row, look)
          : sql`(${isLast(row, look)} and ${sql.literal(`${row}.tenant_id`)} = ${tenantId})`
    }]
  }
  const given = subscriptionId === undefined ? subscriptionIds : [subscriptionId]
  if (given !== undefined) {
    const ids = [...new Set(given)].map(Id.toUuid)
    const areOwn = tenantId === undefined ? sql`true` : PgTenants.areOwn(sql, ids, tenantId)
    return [
      ...ids.map((id): Narrow => ({
        ...always,
        of: "subscription",
        prefix: [["subscription_id", sql`${id}::uuid`]],
        when: areOwn
      })),
      ...(tenantId === undefined || ids.length === 0 ? [] : [{ ...byTenant(tenantId), when: sql`not ${areOwn}` }])
    ]
  }
  if (tenantId !== undefined) return [byTenant(tenantId)]
  if (eventId !== undefined) return [{ ...always, of: "event", prefix: [["event_id", sql`${eventId}`]] }]
  return [{ ...always, of: "nothing", prefix: [] }]
}

const statuses = ["failed", "cancelled"] as const satisfies ReadonlyArray<DeliveryStatus>

/** Reasons of deliveries that are not finished. */
const waits: ReadonlySet<DeliveryReason> = new Set(["held", "code-missing", "blocked", "circuit-open"])

/**
 * How unfinished deliveries are walked: there is no index by event, as it would cost each of them with every step it takes, and
 * one of those that are retried.
 */
const openBy = ({ status }: DeliveryFilter, { of, prefix }: Narrow) =>
  of !== "event" && of !== "nothing"
    ? { prefix }
    : { prefix: [], ...(status === "retrying" ? { where: "t.retried" } : {}) }

/** The rows of a walk of unfinished deliveries that are looked at closely: all, where what is asked for is derived. */
const first = (
  sql: PgClient.PgClient,
  filter: DeliveryFilter,
  { limit, look }: WalkPage,
  by: Narrow,
  rows: PgWalk.Fragment
) => {
  const { reason, status } = filter
  const fits = status === undefined
    ? owned(sql, filter, "t")
    : sql`(${owned(sql, filter, "t")} and t.retried = ${status === "retrying"})`
  const most = status === undefined && reason === undefined ? limit + 2 : look
  return sql`select t.* from (${rows}) t where ${by.when} and (${fits} or ${by.ends("t", look)})
    limit ${PgWalk.count(sql, most)}`
}

/** Whether a row of `work` has the columns that are asked for. */
const owned = (
  sql: PgClient.PgClient,
  { eventId, subscriptionId, subscriptionIds, tenantId }: DeliveryFilter,
  row: string
) => {
  const column = (name: string) => sql.literal(`${row}.${name}`)
  return sql.and([
    sql`true`,
    ...(tenantId === undefined ? [] : [sql`${column("tenant_id")} = ${tenantId}`]),
    ...(eventId === undefined ? [] : [sql`${column("event_id")} = ${eventId}`]),
    ...(subscriptionId === undefined ? [] : [sql`${column("subscription_id")} = ${Id.toUuid(subscriptionId)}::uuid`]),
    ...(subscriptionIds === undefined
      ? []
      : [sql`${column("subscription_id")} = any(${array(subscriptionIds.map(Id.toUuid))}::uuid[])`])
  ])
}

const openColumns = "w.id::text as key_text, w.n::float8 as n"

const finishedColumns = (sql: PgClient.PgClient) =>
  sql.literal(`d.id as key, d.id::text as id, d.message_id as message_key, d.message_id::text, d.event_id,
    d.subscription_id as subscription_key, d.subscription_id::text, d.tenant_id, d.status, d.reason,
    d.attempts::int as attempts, null::float8 as due_at, d.external_id, d.last_error,
    ${PgRows.ms("d.completed_at")} as completed_at`)

const matching = (sql: PgClient.PgClient, filter: DeliveryFilter) =>
  sql.and([
    sql`true`,
    ...(filter.tenantId === undefined ? [] : [sql`d.tenant_id = ${filter.tenantId}`]),
    ...(filter.subscriptionId === undefined
      ? []
      : [sql`d.subscription_id::uuid = ${Id.toUuid(filter.subscriptionId)}::uuid`]),
    ...(filter.subscriptionIds === undefined
      ? []
      : [sql`d.subscription_id::uuid = any(${array(filter.subscriptionIds.map(Id.toUuid))}::uuid[])`]),
    ...(filter.eventId === undefined ? [] : [sql`d.event_id = ${filter.eventId}`]),
    ...(filter.messageId === undefined ? [] : [sql`d.message_id::uuid = ${Id.toUuid(filter.messageId)}::uuid`]),
    ...(filter.status === undefined ? [] : [sql`d.status = ${filter.status}`]),
    ...(filter.reason === undefined ? [] : [sql`d.reason = ${filter.reason}`])
  ])
