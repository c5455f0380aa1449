/**
 * Counting in SQL. Whoever records how deliveries end adds to the sums in the same statement: as rows of its own in
 * `stats_fresh`, so that no two of them ever wait for each other. Housekeeping folds those into `stats`; what is read is both
 * together, in one snapshot, so it is right at any time.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { CountFilter, Counting } from "../Storage.ts"
import type { Tally } from "../Tally.ts"
import { isListed } from "./Migrations.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgPurging from "./PgPurging.ts"
import * as PgRows from "./PgRows.ts"
import * as PgTenants from "./PgTenants.ts"
import * as PgWalk from "./PgWalk.ts"

const fineMinutes = defaults.statsFineStepMs / 60_000
const minutes = defaults.statsStepMs / 60_000

// -- parts of statements

/** What of a row of `deliveries` that was stored is counted: to be returned by the insert. */
export const ending = (sql: PgClient.PgClient) =>
  sql.literal("tenant_id, event_id, subscription_id, status, completed_at")

/** Counts deliveries that have ended without an attempt's outcome: `ended` holds what `ending` returned. */
export const ended = (sql: PgClient.PgClient, ended: string) => added(sql, changed(sql, ended, { by: 1, attempts: 0 }))

/** Counts deliveries that have ended by their attempt: `ended` holds what `ending` returned. */
export const accepted = (sql: PgClient.PgClient, ended: string) =>
  added(sql, changed(sql, ended, { by: 1, attempts: 1 }))

/** Counts outcomes: of deliveries that have ended by them, and of those that are retried. */
export const recorded = (sql: PgClient.PgClient, rows: { readonly ended: string; readonly retried: string }) =>
  added(
    sql,
    sql`${changed(sql, rows.ended, { by: 1, attempts: 1 })} union all
      select tenant_id, event_id, subscription_id, null, statement_timestamp(), 0, 1 from ${sql.literal(rows.retried)}`
  )

/**
 * Takes back what was counted of rows of `deliveries` that are deleted, because they are to be delivered again; what ended
 * before there were sums was not counted.
 */
export const takenBack = (sql: PgClient.PgClient, gone: string) =>
  added(
    sql,
    sql`${changed(sql, gone, { by: -1, attempts: 0 })} where completed_at >= (select s.at from hookline.stats_since s)`
  )

/** Folds what was added into the sums, and forgets sums that are too old; returns whether there may be more. */
export const keepHouse = (sql: PgClient.PgClient, rows: number) =>
  Effect.gen(function*() {
    const [folded] = yield* sql<{ readonly n: number }>`with fresh as (
      delete from hookline.stats_fresh where ctid = any(array(
        select ctid from hookline.stats_fresh limit ${PgWalk.count(sql, rows)} for update skip locked)) returning *
    ), summed as (
      select r.minutes, ${bin(sql, "make_interval(mins => r.minutes)", "f.at")} as at, f.tenant_id, f.event_id,
        f.subscription_id, ${sql.literal(sums("f."))}
      from fresh f cross join (values (${fineMinutes}::int), (${minutes}::int)) r(minutes) group by 1, 2, 3, 4, 5
    ), folded as (
      -- In one order: two that keep house at once do not wait for one another in a circle.
      insert into hookline.stats as s (minutes, at, tenant_id, event_id, subscription_id, success, failed, cancelled, attempts)
      select * from summed order by minutes, at, tenant_id, event_id, subscription_id
      on conflict (minutes, at, tenant_id, event_id, subscription_id) do update set success = s.success + excluded.success,
        failed = s.failed + excluded.failed, cancelled = s.cancelled + excluded.cancelled,
        attempts = s.attempts + excluded.attempts
    )
    select count(*)::int as n from fresh`
    const forget = (steps: number, keptMs: number) =>
      PgPurging.purge(sql, {
        table: "stats",
        along: "minutes, at",
        until: sql`minutes = ${steps}::int and at < statement_timestamp() - make_interval(secs => ${keptMs / 1000})`,
        rows
      })
    const fine = yield* forget(fineMinutes, (defaults.statsFineHours + 1) * defaults.statsStepMs)
    const old = yield* forget(minutes, defaults.statsKeptMs)
    return (folded?.n ?? 0) >= rows || fine || old
  })

// -- reading

interface CountedRow extends Tally {
  readonly kind: "total" | "series" | "event" | "provider" | "subscription"
  readonly at: number | null
  readonly event_id: string | null
  readonly subscription_id: string | null
  readonly provider_id: string | null
  readonly name: string | null
}

/** Makes the verb of counting. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Counting => ({
  count: (filter, options) =>
    engine(Effect.gen(function*() {
      const rows = yield* counted(sql, filter, options)
      const [unfinished] = yield* sql<{ readonly pending: number; readonly retrying: number; readonly looked: number }>`
        select count(*) filter (where fits and not retried)::int as pending,
          count(*) filter (where fits and retried)::int as retrying, count(*)::int as looked
        from (${looked(sql, filter, options.counted)}) w`
      const of = (kind: CountedRow["kind"]) => rows.filter((row) => row.kind === kind)
      const [total] = of("total")
      return {
        totals: tally(total),
        byEvent: of("event").map((row) => ({ eventId: row.event_id ?? "", ...tally(row) })),
        byProvider: of("provider").map((row) => ({ providerId: row.provider_id ?? "", ...tally(row) })),
        bySubscription: of("subscription").map((row) => ({
          subscriptionId: PgRows.subscriptionId(row.subscription_id ?? ""),
          providerId: row.provider_id ?? "",
          name: row.name ?? "",
          ...tally(row)
        })),
        series: of("series").map((row) => ({ atMs: row.at ?? 0, ...tally(row) })),
        unfinished: {
          pending: unfinished?.pending ?? 0,
          retrying: unfinished?.retrying ?? 0,
          atLeast: (unfinished?.looked ?? 0) >= options.counted
        }
      }
    }))
})

// --- internal ---

const bin = (sql: PgClient.PgClient, interval: string, at: string) =>
  sql.literal(`date_bin(${interval}, ${at}, 'epoch'::timestamptz)`)

const sums = (of = "") =>
  ["success", "failed", "cancelled", "attempts"].map((name) => `sum(${of}${name}) as ${name}`).join(", ")

/** Rows of deliveries as what they change: one a row, and its attempts. */
const changed = (
  sql: PgClient.PgClient,
  rows: string,
  { attempts, by }: { readonly by: 1 | -1; readonly attempts: 0 | 1 }
) =>
  sql`select tenant_id, event_id, subscription_id, status, completed_at as at, ${sql.literal(String(by))} as n,
    ${sql.literal(String(attempts))} as attempts from ${sql.literal(rows)}`

const added = (sql: PgClient.PgClient, rows: ReturnType<PgClient.PgClient["literal"]>) =>
  sql`counted as (
    insert into hookline.stats_fresh (tenant_id, event_id, subscription_id, at, success, failed, cancelled, attempts)
    select tenant_id, event_id, subscription_id, ${bin(sql, `interval '${fineMinutes} minutes'`, "at")},
      coalesce(sum(n) filter (where status = 'success'), 0), coalesce(sum(n) filter (where status = 'failed'), 0),
      coalesce(sum(n) filter (where status = 'cancelled'), 0), sum(attempts)
    from (${rows}) c group by 1, 2, 3, 4
  )`

const conditions = (sql: PgClient.PgClient, { eventId, subscriptionId, tenantId }: CountFilter) =>
  sql.and([
    sql`true`,
    ...(tenantId === undefined ? [] : [sql`c.tenant_id = ${tenantId}`]),
    ...(eventId === undefined ? [] : [sql`c.event_id = ${eventId}`]),
    ...(subscriptionId === undefined ? [] : [sql`c.subscription_id = ${Id.toUuid(subscriptionId)}::uuid`])
  ])

const counted = (
  sql: PgClient.PgClient,
  filter: CountFilter,
  { fine, fromMs, top }: Parameters<Counting["count"]>[1]
) => {
  const step = fine ? fineMinutes : minutes
  const columns = sql.literal(
    "c.tenant_id, c.event_id, c.subscription_id, c.success, c.failed, c.cancelled, c.attempts"
  )
  const since = sql`c.at >= to_timestamp(${fromMs}::float8 / 1000.0)`
  return sql<CountedRow>`with steps as (
      select c.at, ${columns} from hookline.stats c
      where c.minutes = ${step}::int and ${since} and ${conditions(sql, filter)}
      union all
      select ${bin(sql, `interval '${step} minutes'`, "c.at")}, ${columns} from hookline.stats_fresh c
      where ${since} and ${conditions(sql, filter)}
    ), narrow as (
      select at, event_id, subscription_id, ${sql.literal(sums())} from steps group by 1, 2, 3
    ), kinds as (
      select case grouping(n.at, n.event_id, n.subscription_id, s.provider_id)
          when 15 then 'total' when 7 then 'series' when 11 then 'event' when 14 then 'provider' else 'subscription' end as kind,
        n.at, n.event_id, n.subscription_id, s.provider_id, s.name, ${sql.literal(sums("n."))}
      from narrow n join hookline.subscriptions s on s.id = n.subscription_id
      where ${filter.providerId === undefined ? sql`true` : sql`s.provider_id = ${filter.providerId}`}
        ${filter.withoutWorkQueues === true ? sql`and not ${PgTenants.isWorkQueue(sql)}` : sql``}
      group by grouping sets ((), (n.at), (n.event_id), (s.provider_id), (n.subscription_id, s.provider_id, s.name))
    ), ranked as (
      select k.*, row_number() over (
        partition by kind order by success + failed + cancelled desc, attempts desc, event_id, provider_id, subscription_id
      ) as place from kinds k
      where kind = 'total' or success <> 0 or failed <> 0 or cancelled <> 0 or attempts <> 0
    )
    select kind, ${sql.literal(PgRows.ms("at"))} as at, event_id, subscription_id::text, provider_id, name,
      coalesce(success, 0)::float8 as success, coalesce(failed, 0)::float8 as failed,
      coalesce(cancelled, 0)::float8 as cancelled, coalesce(attempts, 0)::float8 as attempts
    from ranked where kind in ('total', 'series') or place <= ${top}::int
    order by kind, at, place`
}

/**
 * Unfinished deliveries, up to so many: those that an index finds, and whether they fit the rest of the filter. Where a tenant is
 * named, they are its own.
 */
const looked = (
  sql: PgClient.PgClient,
  { eventId, providerId, subscriptionId, tenantId, withoutWorkQueues = false }: CountFilter,
  counted: number
) => {
  const uuid = subscriptionId === undefined ? undefined : Id.toUuid(subscriptionId)
  const bySubscription = uuid === undefined ? undefined : sql`w.subscription_id = ${uuid}::uuid`
  const byTenant = tenantId === undefined ? undefined : sql`w.tenant_id = ${tenantId}`
  const fits = sql.and([
    sql`true`,
    ...(byTenant ? [byTenant] : []),
    ...(bySubscription ? [bySubscription] : []),
    ...(withoutWorkQueues ? [sql`not ${PgTenants.ofWorkQueue(sql, "w")}`] : []),
    ...(eventId === undefined ? [] : [sql`w.event_id = ${eventId}`]),
    ...(providerId === undefined
      ? []
      : [sql`exists (select 1 from hookline.subscriptions s
          where s.id = w.subscription_id and s.provider_id = ${providerId})`])
  ])
  const isOwn = uuid === undefined || tenantId === undefined ? undefined : PgTenants.areOwn(sql, [uuid], tenantId)
  const ways = bySubscription && byTenant && isOwn
    ? [sql`${isOwn} and ${bySubscription}`, sql`not ${isOwn} and ${byTenant}`]
    : [bySubscription ?? byTenant ?? sql`true`]
  const found = ways.map((way) =>
    sql`(select w.* from hookline.work w where ${way} and ${sql.literal(isListed("w."))} limit ${counted}::int)`
  )
  return sql`select w.retried, ${fits} as fits from (${sql.join(" union all ", false)(found)}) w`
}

/** Less than nothing is left where what was not counted is taken back: runners of a version without sums had ended it. */
const tally = (row: Tally | undefined): Tally => ({
  success: Math.max(0, row?.success ?? 0),
  failed: Math.max(0, row?.failed ?? 0),
  cancelled: Math.max(0, row?.cancelled ?? 0),
  attempts: row?.attempts ?? 0
})
