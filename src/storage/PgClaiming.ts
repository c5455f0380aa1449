/**
 * Claiming, in one fenced statement.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { Claimed, Claims, Dispatching } from "../Storage.ts"
import { again } from "./Migrations.ts"
import { array } from "./PgArray.ts"
import * as PgOrdering from "./PgOrdering.ts"
import { fence } from "./PgOwnership.ts"
import * as PgRows from "./PgRows.ts"

/** A claimed delivery as a statement returns it. */
export interface ClaimRow {
  readonly id: string
  readonly message_id: string
  readonly subscription_id: string
  readonly worker_group: string
  readonly version: number
  readonly seq: number
  readonly attempts: number
  readonly retry_base: number
  readonly claims: number
  readonly size: number
  readonly expires_at: number | null
  readonly webhook_of: string | null
}

/** The columns of a claimed delivery. */
export const columns = (version: "s.version" | "w.version") =>
  `w.id::text, w.message_id::text, w.subscription_id::text, w.worker_group, ${version}::float8 as version,
  w.seq::float8 as seq, w.attempts::int as attempts, w.retry_base::int as retry_base, w.claims::int as claims,
  w.size::int as size, ${PgRows.ms("w.expires_at")} as expires_at, w.webhook_of::text as webhook_of`

/** Reads a claimed delivery. */
export const claimed = (row: ClaimRow): Claimed => ({
  workerGroup: row.worker_group,
  deliveryId: PgRows.deliveryId(row.id),
  messageId: PgRows.messageId(row.message_id),
  subscriptionId: PgRows.subscriptionId(row.subscription_id),
  subscriptionVersion: row.version,
  seq: row.seq,
  attemptCount: row.attempts,
  retryBase: row.retry_base,
  claims: row.claims,
  size: row.size,
  ...(row.expires_at === null ? {} : { expiresAtMs: Math.round(row.expires_at) }),
  ...(row.webhook_of === null ? {} : { webhookOf: PgRows.replayId(row.webhook_of) })
})

type Options = Parameters<Dispatching["claim"]>[0]

/** Claims. */
export const claim = (sql: PgClient.PgClient, options: Options) =>
  Effect.map(statement(sql, options), (rows): Claims => ({
    claimed: rows.flatMap((row) => row.id === null ? [] : [claimed({ ...row, id: row.id })]),
    next: rows.flatMap((row) =>
      row.id === null && row.health === null
        ? [{
          workerGroup: row.worker_group,
          subscriptionId: PgRows.subscriptionId(row.subscription_id),
          dueAtMs: row.next_due_at ?? 0
        }]
        : []
    ),
    health: rows.flatMap(({ health }) => health === null ? [] : [PgRows.health(health)])
  }))

// --- internal ---

const statement = (sql: PgClient.PgClient, options: Options) =>
  sql<
    Omit<ClaimRow, "id"> & {
      readonly id: string | null
      readonly next_due_at: number | null
      readonly health: PgRows.HealthRow | null
    }
  >`with ${fence(sql, options.owners)}, ${asked(sql, options)}, ${waiting(sql, options)}, ${
    suspect(sql, options)
  }, sized as (
    select id, epoch, version, size, sum(size) over (order by n, id) as until from waiting
    where n <= free and due_at <= clock_timestamp() order by n, id
    limit ${options.limit}::int - (select count(*) from suspect)
  ), picked as materialized (
    select id, epoch, version from sized where until <= ${options.bytes}::float8 or until = size
    union all select id, epoch, version from suspect
  ), taken as (
    update hookline.work w set epoch = p.epoch, claims = w.claims + 1 from picked p where w.id between p.id and p.id
    returning w.*, p.version
  ), left_over as (
    select w.worker_group, w.subscription_id, w.due_at from waiting w
    where not exists (select 1 from picked p where p.id = w.id)
    union all select worker_group, subscription_id, due_at from later
  )
  select ${sql.literal(columns("w.version"))}, null::float8 as next_due_at, null::json as health from taken w
  union all
  select null, null, subscription_id::text, worker_group, 0, 0, 0, 0, 0, 0, null, null, ${
    sql.literal(PgRows.ms("min(due_at)"))
  }, null from left_over group by subscription_id, worker_group
  union all
  select null, null, c.subscription_id, '', 0, 0, 0, 0, 0, 0, null, null, null, to_json(c)
  from (select ${sql.literal(PgRows.healthColumns)} from circuit c) c`

/**
 * The lanes that may be claimed from: of enabled subscriptions whose circuit is not open, in the group that is theirs, not
 * while what waits is moved there, and not before what others had claimed of a subscription has ended that got a group of its own.
 */
const asked = (sql: PgClient.PgClient, { lanes }: Options) =>
  sql`circuit as materialized (
    select c.* from hookline.circuits c
    where c.subscription_id = any(${array(lanes.map((lane) => Id.toUuid(lane.subscriptionId)))}::uuid[])
  ), asked as materialized (
    select l.worker_group, l.epoch, l.subscription_id, s.version, s.ordered, s.events,
      case when exists (select 1 from circuit c where c.subscription_id = l.subscription_id and c.open_until is not null)
        then least(l.free, 1) else l.free end as free
    from (
      select f.worker_group, f.epoch, l.subscription_id, l.free from unnest(
        ${array(lanes.map((lane) => lane.workerGroup))}::text[],
        ${array(lanes.map((lane) => Id.toUuid(lane.subscriptionId)))}::uuid[],
        ${array(lanes.map((lane) => lane.free))}::int[]
      ) as l(worker_group, subscription_id, free)
      join fence f on f.worker_group = l.worker_group order by l.subscription_id
    ) l
    -- What it locks by itself is looked for by each lane, in their order: of subscriptions there may be very many.
    cross join lateral (
      select s.version, s.ordered, s.events from hookline.subscriptions s
      where s.id between l.subscription_id and l.subscription_id and s.enabled and s.deleted_at is null and not s.moving
        and coalesce(s.worker_group, l.worker_group) = l.worker_group
        and (s.awaited is null or not exists (
          select 1 from hookline.work w where w.id = any(s.awaited) and w.epoch is not null
            and w.worker_group <> l.worker_group))
        and not exists (select 1 from circuit c where c.subscription_id = s.id and c.open_until > clock_timestamp())
      for share
    ) s
  )`

/** Whether a delivery `w` may still be attempted. */
const isInTime = "(w.expires_at is null or w.expires_at > clock_timestamp())"

/**
 * The first that wait in each lane, of those that are new and of those to be attempted again, retried or replayed, one more of
 * each than it has room for: where both are due they are taken in turn, so that neither keeps the other waiting. In an ordered
 * lane those whose turn it is: what is behind another is parked, what comes before its time is looked at again soon. A delivery
 * that changed after it was judged is left.
 *
 * What is due is bounded by when the statement began: the clock, which goes on meanwhile, bounds no index, and all that is
 * parked, or all that is due, would be read to its end.
 */
const waiting = (sql: PgClient.PgClient, { suspectClaims }: Options) =>
  sql`free as materialized (
    select a.worker_group, a.subscription_id, a.epoch, a.version, a.free, w.id, w.due_at, w.seq, w.size, v.again,
      row_number() over (partition by a.worker_group, a.subscription_id, v.again order by w.due_at, w.seq) as turn
    from asked a cross join (values (false), (true)) v(again) cross join lateral (
      select w.id, w.due_at, w.seq, w.size from hookline.work w
      where w.worker_group = a.worker_group and w.subscription_id = a.subscription_id and w.epoch is null
        and ${sql.literal(again("w."))} = v.again and w.claims < ${suspectClaims}::int and ${sql.literal(isInTime)}
      order by w.due_at, w.seq limit a.free + 1 for update skip locked
    ) w where not a.ordered
  ), judged as materialized (
    select a.worker_group, a.subscription_id, a.epoch, a.version, a.free, w.id, w.due_at, w.seq, w.size, w.place
    from asked a cross join (values (false), (true)) v(again) cross join lateral (
      select w.id, w.due_at, w.seq, w.size, case
        when w.ordering_key is null then 'free'
        when ${PgOrdering.isBehind(sql)} then 'behind'
        when ${PgOrdering.isEarly(sql, "a.events")} then 'early'
        else 'free' end as place
      from (
        select w.* from hookline.work w
        where w.worker_group = a.worker_group and w.subscription_id = a.subscription_id and w.epoch is null
          and ${
    sql.literal(again("w."))
  } = v.again and w.claims < ${suspectClaims}::int and w.due_at <= statement_timestamp()
          and ${sql.literal(isInTime)}
        order by w.due_at, w.seq limit a.free * ${defaults.orderedLook}::int + 1
      ) w
    ) w where a.ordered
  ), turns as materialized (
    select j.* from judged j join hookline.work w on w.id between j.id and j.id and coalesce(w.epoch, -1) = -1 and w.due_at = j.due_at
    for update of w skip locked
  ), parked as (
    update hookline.work w set due_at = case when t.place = 'behind' then 'infinity'
      else clock_timestamp() + make_interval(secs => ${defaults.orderedPollMs / 1000}) end
    from turns t where w.id between t.id and t.id and t.place <> 'free'
  ), waiting as materialized (
    select w.*, row_number() over (
      partition by worker_group, subscription_id order by due_at > clock_timestamp(), turn, again, due_at, seq
    ) as n from (
      select worker_group, subscription_id, epoch, version, free, id, due_at, seq, size, turn, again from free union all
      select worker_group, subscription_id, epoch, version, free, id, due_at, seq, size, 0, false from turns
      where place = 'free'
    ) w
  ), later as (
    select worker_group, subscription_id, clock_timestamp() as due_at from judged
    group by worker_group, subscription_id, free
    having count(*) > free * ${defaults.orderedLook}::int and bool_or(place = 'behind')
    union all
    select worker_group, subscription_id, clock_timestamp() + make_interval(secs => ${defaults.orderedPollMs / 1000})
    from judged where place = 'early'
    union all
    select a.worker_group, a.subscription_id, w.due_at
    from asked a cross join (values (false), (true)) v(again) cross join lateral (
      select w.due_at from hookline.work w
      where w.worker_group = a.worker_group and w.subscription_id = a.subscription_id and w.epoch is null
        and ${
    sql.literal(again("w."))
  } = v.again and w.claims < ${suspectClaims}::int and w.due_at > statement_timestamp()
        and w.due_at < 'infinity' and ${sql.literal(isInTime)}
      order by w.due_at limit 1
    ) w where a.ordered
  )`

/**
 * The first suspect of all lanes, whose turn it is, in the group that is its subscription's. One whose subscription is being
 * changed is left for later: a claim does not wait for a change with a delivery in its hands.
 */
const suspect = (sql: PgClient.PgClient, { limit, suspectClaims, suspectProviders }: Options) =>
  sql`suspect as materialized (
    select w.id, f.epoch, w.version from fence f cross join lateral (
      select w.id, w.due_at, s.version from hookline.work w
      -- What it locks by itself is looked for by each suspect, and not the other way round, of which there may be very many.
      cross join lateral (
        select s.version from hookline.subscriptions s
        where s.id between w.subscription_id and w.subscription_id and s.enabled and s.deleted_at is null
          and s.provider_id = any(${array(suspectProviders)}::text[])
          and not s.moving and coalesce(s.worker_group, w.worker_group) = w.worker_group
          and (s.awaited is null or not exists (
            select 1 from hookline.work e where e.id = any(s.awaited) and e.epoch is not null
              and e.worker_group <> w.worker_group))
          and not exists (select 1 from hookline.circuits c where c.subscription_id = s.id and c.open_until > clock_timestamp())
          and not (s.ordered and w.ordering_key is not null and ${PgOrdering.isBehind(sql)})
        for share skip locked
      ) s
      where w.worker_group between f.worker_group and f.worker_group and w.epoch is null and w.claims >= 1
        and w.claims >= ${suspectClaims}::int and w.due_at <= statement_timestamp()
        and ${sql.literal(isInTime)}
      order by w.worker_group, w.due_at limit 1 for update of w skip locked
    ) w order by w.due_at limit least(1, ${limit}::int)
  )`
