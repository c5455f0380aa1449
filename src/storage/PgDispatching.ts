/**
 * Dispatching in statements: claim, release and record are each one, as is routing (`PgRouting`), fenced and committed by itself, and return ids
 * and numbers alone; what is large is read without the fence's lock.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import type { Dispatching, Due } from "../Storage.ts"
import { again } from "./Migrations.ts"
import * as PgAppend from "./PgAppend.ts"
import { array, uuids } from "./PgArray.ts"
import * as PgClaiming from "./PgClaiming.ts"
import * as PgConnecting from "./PgConnecting.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgOrdering from "./PgOrdering.ts"
import { fence } from "./PgOwnership.ts"
import * as PgParking from "./PgParking.ts"
import * as PgRecording from "./PgRecording.ts"
import * as PgRouting from "./PgRouting.ts"
import * as PgRows from "./PgRows.ts"

type Verbs =
  | "subscriptions"
  | "due"
  | "unrouted"
  | "route"
  | "complete"
  | "claim"
  | "load"
  | "held"
  | "release"
  | "filled"
  | "unpark"
  | "warn"
  | "record"

/** Makes the verbs of dispatching. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Pick<Dispatching, Verbs> => ({
  // The version is read first: items that are newer than it make the route stale, never missed.
  subscriptions: engine(Effect.gen(function*() {
    const [row] = yield* sql<{ readonly version: number }>`
      select version::float8 as version from hookline.subscription_version`
    const items = yield* sql<PgRows.SubscriptionRow>`
      select ${sql.literal(PgRows.subscriptionColumns)} from hookline.subscriptions where deleted_at is null`
    const health = yield* sql<PgRows.HealthRow>`select ${sql.literal(PgRows.healthColumns)} from hookline.circuits c`
    // Last, so that a version that was read comes with what it binds.
    const connections = yield* PgConnecting.used(sql)
    return {
      version: row?.version ?? 0,
      items: sharing(items).map(PgRows.subscription),
      health: health.map(PgRows.health),
      connections
    }
  })),

  due: (options) => engine(Effect.map(due(sql, options), gather)),

  ...PgRouting.make(sql, engine),

  claim: (options) => engine(PgClaiming.claim(sql, options)),

  load: (claims) =>
    engine(Effect.gen(function*() {
      const messages = yield* sql<PgRows.MessageRow & { readonly emitted: string | null }>`
        select m.id::text, m.event_id, m.tenant_id, m.ordering_key, coalesce(r.transformed, m.payload) as payload,
          case when r.transformed is not null then m.payload end as emitted, m.traceparent
        from unnest(${uuids([...new Set(claims.map((claim) => claim.messageId))], Id.toUuid)}::uuid[]) as u(id)
        join hookline.messages m on m.id between u.id and u.id
        left join hookline.routings r on r.message_id between u.id and u.id`
      const tried = claims.flatMap(({ attemptCount = 0, deliveryId }) => attemptCount > 0 ? deliveryId ?? [] : [])
      const attempts = tried.length === 0 ? [] : yield* sql<PgRows.OutlineRow & { readonly delivery_id: string }>`
        select a.delivery_id::text, ${sql.literal(PgRows.outlineColumns)}
        from unnest(${uuids(tried, Id.toUuid)}::uuid[]) as u(id)
        join hookline.attempts a on a.delivery_id between u.id and u.id order by a.delivery_id, a.number`
      return {
        messages: messages.map((row) => ({
          id: PgRows.messageId(row.id),
          eventId: row.event_id,
          tenantId: row.tenant_id,
          orderingKey: row.ordering_key ?? undefined,
          payloadJson: row.payload,
          ...(row.emitted === null ? {} : { emittedJson: row.emitted }),
          ...(row.traceparent === null ? {} : { traceparent: row.traceparent })
        })),
        attempts: attempts.map((row) => ({
          deliveryId: PgRows.deliveryId(row.delivery_id),
          attempt: PgRows.attempt(row)
        }))
      }
    })),

  held: (owners) =>
    engine(Effect.map(
      sql<PgClaiming.ClaimRow>`with ${fence(sql, owners)} select ${
        sql.literal(PgClaiming.columns("s.version"))
      } from hookline.work w
        join fence f on w.worker_group = f.worker_group and w.epoch = f.epoch
        join hookline.subscriptions s on s.id = w.subscription_id`,
      (rows) => rows.map(PgClaiming.claimed)
    )),

  release: (owner, ids) =>
    engine(Effect.asVoid(sql`with ${fence(sql, [owner])}, given as materialized (
        select w.id, w.subscription_id from hookline.work w join fence f
          on w.worker_group = f.worker_group and w.epoch = f.epoch
        where w.id = any(${uuids(ids, Id.toUuid)}::uuid[]) for update of w
      ), ${PgOrdering.homes(sql, "given")}
      update hookline.work w set epoch = null, claims = w.claims - 1, worker_group = ${PgOrdering.home(sql)}
      from given g join homes h on h.id = g.subscription_id where w.id = g.id`)),

  filled: (ids) =>
    engine(Effect.map(
      sql<{ readonly id: string; readonly filled_at: number }>`
        select subscription_id::text as id, ${sql.literal(PgRows.ms("filled_at"))} as filled_at from hookline.lanes
        where subscription_id = any(${uuids(ids, Id.toUuid)}::uuid[])`,
      (rows) => new Map(rows.map((row) => [PgRows.subscriptionId(row.id), row.filled_at]))
    )),

  unpark: PgParking.make(sql, engine),

  warn: (id, message) =>
    engine(Effect.map(
      sql<{ readonly warned: boolean }>`with w as (
        update hookline.circuits set warned_at = clock_timestamp()
        where subscription_id = ${Id.toUuid(id)}::uuid and warned_at is null returning 1
      ), m as (${PgAppend.rows(sql, [message])} where exists (select 1 from w)), ${PgAppend.inserts(sql, "m")}
      select exists (select 1 from w) as warned`,
      ([row]) => row?.warned === true
    )),

  record: (outcomes) => PgErrors.refusable(engine, PgRecording.record(sql, outcomes))
})

// --- internal ---

/** Rows of subscriptions, with one text where many have the same: each came by itself. */
const sharing = (rows: ReadonlyArray<PgRows.SubscriptionRow>): ReadonlyArray<PgRows.SubscriptionRow> => {
  const texts = new Map<string, string>()
  return rows.map((row) => ({
    ...row,
    tenant_id: PgRows.oneOf(texts, row.tenant_id),
    provider_id: PgRows.oneOf(texts, row.provider_id),
    events: row.events.map((event) => PgRows.oneOf(texts, event))
  }))
}

interface DueRow {
  readonly worker_group: string
  readonly found: "unrouted" | "orphaned" | "lane"
  readonly subscription_id: string | null
  readonly due_at: number | null
}

/** The groups in a table, from index entry to index entry whatever they hold; or the named ones. */
const groupsOf = (
  sql: PgClient.PgClient,
  table: "inbox" | "work",
  condition: string,
  named: ReadonlyArray<string> | undefined
) => {
  if (named) return sql`select unnest(${array(named)}::text[]) as worker_group`
  const rows = sql`${sql("hookline")}.${sql(table)} t where ${sql.literal(condition)}`
  return sql`(with recursive g(worker_group) as (
    (select t.worker_group from ${rows} order by t.worker_group limit 1)
    union all
    select (select t.worker_group from ${rows} and t.worker_group > g.worker_group order by t.worker_group limit 1)
    from g where g.worker_group is not null
  ) select worker_group from g where worker_group is not null)`
}

/**
 * Finds groups and lanes by index, one step each. A group whose claims are those of a runner that is gone is found without
 * lanes: it has to be taken over before they can be claimed again.
 */
const due = (
  sql: PgClient.PgClient,
  { aheadMs, workerGroups }: { readonly aheadMs: number; readonly workerGroups?: ReadonlyArray<string> }
) =>
  sql<DueRow>`with recursive lanes as (
    select n.worker_group, n.subscription_id from (${groupsOf(sql, "work", "t.epoch is null", workerGroups)}) g
    cross join lateral (
      select w.worker_group, w.subscription_id from hookline.work w
      where w.epoch is null and w.worker_group = g.worker_group order by w.subscription_id limit 1
    ) n
    union all
    select n.worker_group, n.subscription_id from lanes l cross join lateral (
      select w.worker_group, w.subscription_id from hookline.work w
      where w.epoch is null and w.worker_group = l.worker_group and w.subscription_id > l.subscription_id
      order by w.subscription_id limit 1
    ) n
  )
  select g.worker_group, 'unrouted' as found, null::text as subscription_id, null::float8 as due_at
  from (${groupsOf(sql, "inbox", "t.set_aside_at is null", workerGroups)}) g
  cross join lateral (
    select 1 from hookline.inbox i where i.worker_group = g.worker_group and i.set_aside_at is null limit 1
  ) i
  union all
  select g.worker_group, 'orphaned', null, null
  from (${groupsOf(sql, "work", "t.epoch is not null", workerGroups)}) g
  cross join lateral (
    select w.epoch from hookline.work w where w.worker_group = g.worker_group and w.epoch is not null
    order by w.epoch limit 1
  ) h
  left join hookline.owners o on o.worker_group = g.worker_group and o.epoch = h.epoch
  left join hookline.runners r on r.id = o.runner_id
  where coalesce(r.lease_until <= clock_timestamp(), true)
  union all
  select l.worker_group, 'lane', l.subscription_id::text, ${
    sql.literal(PgRows.ms("case when first.due_at < 'infinity' then first.due_at else clock_timestamp() end"))
  } from lanes l
  cross join lateral (
    select from hookline.subscriptions s
    where s.id between l.subscription_id and l.subscription_id and s.enabled and s.deleted_at is null and not s.moving limit 1
  ) s
  cross join lateral (
    select min(w.due_at) as due_at from (values (false), (true)) v(again) cross join lateral (
      select w.due_at from hookline.work w where w.epoch is null and w.worker_group = l.worker_group
        and w.subscription_id = l.subscription_id and ${sql.literal(again("w."))} = v.again order by w.due_at limit 1
    ) w
  ) first
  where first.due_at <= clock_timestamp() + make_interval(secs => ${aheadMs / 1000})
    -- All wait for an earlier one, and nothing is under way that would end.
    or (first.due_at = 'infinity' and not exists (
      select 1 from hookline.work w where w.worker_group = l.worker_group and w.epoch is not null))`

const gather = (rows: ReadonlyArray<DueRow>): ReadonlyArray<Due> =>
  [...Map.groupBy(rows, (row) => row.worker_group)].map(([workerGroup, found]) => ({
    workerGroup,
    unrouted: found.some((row) => row.found === "unrouted"),
    orphaned: found.some((row) => row.found === "orphaned"),
    lanes: found.flatMap((row) =>
      row.subscription_id === null
        ? []
        : [{ subscriptionId: PgRows.subscriptionId(row.subscription_id), dueAtMs: row.due_at ?? 0 }]
    )
  }))
