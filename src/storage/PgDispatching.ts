/**
 * Dispatching in statements: route, claim, release and record are each one, fenced and committed by itself, and return ids
 * and numbers alone; what is large is read without the fence's lock.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { baseGroup, eventOfGroup } from "../Message.ts"
import type { Dispatching, Due } from "../Storage.ts"
import { again } from "./Migrations.ts"
import * as PgAppend from "./PgAppend.ts"
import { array, column, picked, storable, uuids } from "./PgArray.ts"
import * as PgClaiming from "./PgClaiming.ts"
import * as PgConnecting from "./PgConnecting.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgOrdering from "./PgOrdering.ts"
import { fence, isOneOf, ownersOf } from "./PgOwnership.ts"
import * as PgRecording from "./PgRecording.ts"
import * as PgRows from "./PgRows.ts"

type Verbs =
  | "subscriptions"
  | "due"
  | "unrouted"
  | "route"
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

  unrouted: (owners, { afterTenants, bytes, messages, tenants = 1000 }) =>
    engine(Effect.map(
      sql<Omit<PgRows.MessageRow, "event_id"> & { readonly owner: number }>`with recursive owned as materialized (
          select f.worker_group, f.after_tenant, f.owner from unnest(
            ${array(owners.map((owner) => owner.workerGroup))}::text[],
            ${array(owners.map((owner) => owner.partition))}::int[],
            ${array(owners.map((owner) => owner.epoch))}::float8[],
            ${array(owners.map((owner) => afterTenants?.get(owner.workerGroup) ?? ""))}::text[]
          ) with ordinality as f(worker_group, partition, epoch, after_tenant, owner)
          join hookline.owners o
            on o.worker_group = f.worker_group and ${isOneOf(sql, "f")}
        ), waiting(worker_group, owner, tenant_id, n) as (
          select f.worker_group, f.owner, t.tenant_id, 1 from owned f cross join lateral (
            select i.tenant_id from hookline.inbox i where i.worker_group = f.worker_group and i.set_aside_at is null
              and i.tenant_id > f.after_tenant order by i.tenant_id limit 1
          ) t
          union all
          select w.worker_group, w.owner, t.tenant_id, w.n + 1 from waiting w cross join lateral (
            select i.tenant_id from hookline.inbox i where i.worker_group = w.worker_group and i.set_aside_at is null
              and i.tenant_id > w.tenant_id order by i.tenant_id limit 1
          ) t where w.n < ${tenants}::int
        ), found as (
          select i.*, w.owner, w.n as place, row_number() over (partition by w.worker_group, w.tenant_id order by i.seq) as turn
          from waiting w cross join lateral (
            select i.seq, i.message_id, i.size from hookline.inbox i
            where i.worker_group = w.worker_group and i.tenant_id = w.tenant_id and i.set_aside_at is null
            -- A number of the text: of one that is not known the planner thinks it is a tenth of all that waits, and sorts that.
            order by i.seq limit ${sql.literal(String(Math.trunc(messages)))}
          ) i
          order by turn, place, i.seq limit ${sql.literal(String(Math.trunc(messages)))}
        ), sized as (
          select f.*, sum(f.size) over (order by f.turn, f.place, f.seq) - f.size as before from found f
        )
        select m.id::text, i.seq::float8 as seq, i.owner::int as owner, m.tenant_id, m.ordering_key, m.payload,
          ${sql.literal(PgRows.timeColumns)}
        from sized i join hookline.messages m on m.id between i.message_id and i.message_id
        where i.before = 0 or i.before + i.size <= ${bytes}::float8`,
      (rows) => {
        // A text that many messages have is one: each came by itself, and lives as long as its message is delivered.
        const shared = new Map<string, string>()
        const events = owners.map(({ workerGroup }) => eventOfGroup(workerGroup))
        // Put in order here: the server would copy the payloads to sort them.
        return rows.toSorted((a, b) => a.seq - b.seq).flatMap((row) => {
          const workerGroup = owners[row.owner - 1]?.workerGroup
          const eventId = events[row.owner - 1]
          return workerGroup === undefined || eventId === undefined ? [] : [{
            id: PgRows.messageId(row.id),
            seq: row.seq,
            workerGroup,
            eventId,
            tenantId: oneOf(shared, row.tenant_id),
            orderingKey: row.ordering_key ?? undefined,
            payloadJson: row.payload,
            ...PgRows.times(row)
          }]
        })
      }
    )),

  route: ({ deliveries, isUnread = false, messages: given, version }) => {
    const owners = ownersOf(given)
    // Each once, as deliveries tell what they are of by its place: to read a UUID costs more than the rest of them.
    const byId = new Map(given.map((message) => [message.messageId, message]))
    const messages = [...byId.values()]
    const places = placesOf(byId.keys())
    const subscriptions = placesOf(new Set(deliveries.map(({ subscriptionId }) => subscriptionId)))
    const to = uuids([...subscriptions.keys()], Id.toUuid)
    return PgErrors.refusable(
      engine,
      Effect.map(
        sql<{
          readonly current: boolean
          readonly alone: boolean
          readonly places: ReadonlyArray<number> | null
          readonly failing: ReadonlyArray<string> | null
        }>`with ${fence(sql, owners)}, given as (
        select * from unnest(
          ${uuids(messages, (message) => Id.toUuid(message.messageId))}::uuid[],
          ${column("float8", messages, (message) => message.owner.epoch)}::float8[],
          ${column("int4", messages, (message) => message.matched)}::int[],
          ${column("int4", messages, (message) => message.filtered)}::int[],
          ${column("text", messages, (message) => message.transformedJson)}::text[],
          ${column("text", messages, (message) => storable(message.error))}::text[],
          ${column("float8", messages, (message) => message.dueAtMs)}::float8[],
          ${column("float8", messages, (message) => message.expiresAtMs)}::float8[]
        ) with ordinality as g(message_id, epoch, matched, filtered, transformed, error, due_at, expires_at, place)
      ), ${isUnread ? alone(sql) : notAsked(sql)}, current as materialized (
        select version from hookline.subscription_version
        where version = ${version}::float8::bigint and (select yes from alone) for share
      ), aside as (
        update hookline.inbox i set set_aside_at = clock_timestamp(), error = g.error
        from given g join fence f on f.epoch = g.epoch::bigint
        where i.message_id between g.message_id and g.message_id and g.error is not null and ${isWaiting(sql)}
          and exists (select 1 from current)
        returning g.place
      ), routed as (
        delete from hookline.inbox i using given g
        join fence f on f.epoch = g.epoch::bigint
        where i.message_id between g.message_id and g.message_id and g.error is null and ${isWaiting(sql)}
          and exists (select 1 from current)
        returning g.place, i.message_id, i.seq, i.worker_group, split_part(i.worker_group, '#', 1) as base, i.tenant_id, i.ordering_key, i.size, f.epoch,
          g.matched, g.filtered, g.transformed, g.due_at, g.expires_at
      ), logged as (
        insert into hookline.routings (message_id, version, matched, filtered, transformed)
        select message_id, ${version}::float8::bigint, matched, filtered, transformed from routed
      ), listening as materialized (
        -- In one order: runners that own partitions of the same events do not wait for one another.
        select l.worker_group from hookline.listened l
        where l.worker_group = any(${array([...new Set(owners.map((owner) => baseGroup(owner.workerGroup)))])}::text[])
          and exists (select 1 from current)
        order by l.worker_group for update
      ), heard as (
        -- Where nobody listens, as a rule, nothing is counted and nothing looked through.
        update hookline.listened l set position = l.position + r.n
        from (select base, count(*) as n from routed where (select exists (select 1 from listening)) group by base) r
        join listening on listening.worker_group = r.base
        where l.worker_group = r.base returning l.worker_group, l.position - r.n as before
      ), told as (
        insert into hookline.broadcasts (worker_group, position, message_id)
        select r.base, h.before + row_number() over (partition by r.base order by r.seq), r.message_id
        from routed r join heard h on h.worker_group = r.base where (select exists (select 1 from heard))
      ), health as materialized (
        select array_agg(c.open_until is not null order by s.place) as not_closed
        from unnest(${to}::uuid[]) with ordinality as s(id, place)
        left join hookline.circuits c on c.subscription_id = s.id
      ), wanted as materialized (
        select d.id, d.message, (${to}::uuid[])[d.subscription] as subscription_id, d.worker_group,
          d.claimed and not (select not_closed from health)[d.subscription] as claimed,
          d.claimed and (select not_closed from health)[d.subscription] as failing
        from unnest(
          ${uuids(deliveries, (delivery) => Id.toUuid(delivery.id))}::uuid[],
          ${column("int4", deliveries, (delivery) => places.get(delivery.messageId))}::int[],
          ${column("int4", deliveries, (delivery) => subscriptions.get(delivery.subscriptionId))}::int[],
          ${column("text", deliveries, (delivery) => delivery.workerGroup)}::text[],
          ${column("bool", deliveries, (delivery) => delivery.claimed)}::boolean[]
        ) as d(id, message, subscription, worker_group, claimed)
      ), made as (
        insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, ordering_key,
          claims, epoch, size, due_at, expires_at)
        select d.id, r.message_id, r.seq, d.subscription_id, coalesce(d.worker_group, r.worker_group), r.tenant_id,
          substr(r.base, 13), r.ordering_key, d.claimed::int, case when d.claimed then r.epoch end,
          coalesce(octet_length(r.transformed), r.size),
          greatest(statement_timestamp(), to_timestamp(r.due_at / 1000.0)), to_timestamp(r.expires_at / 1000.0)
        from wanted d join routed r on r.place = d.message
      )
      select exists (select 1 from current) as current, (select yes from alone) as alone,
        (select array_agg(place::int) from (select place from routed union all select place from aside) x) as places,
        (select array_agg(distinct w.subscription_id::text) from wanted w join routed r on r.place = w.message
          where w.failing) as failing`,
        ([row]) =>
          row?.current === true
            ? {
              _tag: "Routed",
              messageIds: picked(messages, row.places).map(({ messageId }) => messageId),
              failing: (row.failing ?? []).map(PgRows.subscriptionId)
            } as const
            : { _tag: row?.alone === false ? "NotAlone" : "Stale" } as const
      )
    )
  },

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
      const attempts = tried.length === 0 ? [] : yield* sql<PgRows.AttemptRow & { readonly delivery_id: string }>`
        select a.delivery_id::text, ${sql.literal(PgRows.outlineColumns)}, null::text as response, null::text as request
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

  unpark: (owners) =>
    engine(Effect.map(
      sql<{ readonly worker_group: string }>`with recursive ${fence(sql, owners)}, keys(worker_group, ordering_key) as (
        select f.worker_group, k.ordering_key from fence f cross join lateral (
          select w.ordering_key from hookline.work w where w.due_at = 'infinity' and w.worker_group = f.worker_group
          order by w.ordering_key limit 1
        ) k
        union all
        select k.worker_group, n.ordering_key from keys k cross join lateral (
          select w.ordering_key from hookline.work w where w.due_at = 'infinity' and w.worker_group = k.worker_group
            and w.ordering_key > k.ordering_key order by w.ordering_key limit 1
        ) n
      ), heads as materialized (
        select h.id from keys k cross join lateral (
          select w.id, w.due_at from hookline.work w where w.worker_group like 'subscription.%'
            and w.ordering_key is not null and w.worker_group = k.worker_group and w.ordering_key = k.ordering_key
          order by w.seq limit 1
        ) h where h.due_at = 'infinity' and not exists (
          select 1 from hookline.work e where e.worker_group like 'subscription.%' and e.ordering_key is not null
            and e.epoch is not null and e.worker_group = k.worker_group and e.ordering_key = k.ordering_key
        )
      ), found as (
        update hookline.work w set due_at = clock_timestamp() from heads h
        where w.id = h.id and w.epoch is null and w.due_at = 'infinity' returning w.worker_group
      )
      select distinct worker_group from found`,
      (rows) => rows.map((row) => row.worker_group)
    )),

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
    tenant_id: oneOf(texts, row.tenant_id),
    provider_id: oneOf(texts, row.provider_id),
    events: row.events.map((event) => oneOf(texts, event))
  }))
}

/** A text, or that of the known ones which is the same. */
const oneOf = (known: Map<string, string>, text: string): string => {
  const found = known.get(text)
  if (found === undefined) known.set(text, text)
  return found ?? text
}

/**
 * Whether what is given is all that waits in its groups. Asked of messages that were not read: what was committed before is routed
 * before them, or with them.
 */
const alone = (sql: PgClient.PgClient) =>
  sql`alone as materialized (
    select not exists (
      select 1 from fence f join hookline.inbox i on i.worker_group = f.worker_group and i.set_aside_at is null
      where not exists (select 1 from given g where g.message_id = i.message_id)
    ) as yes
  )`

/** Whether a message of the inbox is not set aside, in other words than those of `inbox_waiting`, see `PgPool.pump`. */
const isWaiting = (sql: PgClient.PgClient) => sql.literal("coalesce(i.set_aside_at, 'infinity') = 'infinity'")

const notAsked = (sql: PgClient.PgClient) => sql`alone as (select true as yes)`

/** Where each stands, from 1 on. */
const placesOf = <Id>(ids: Iterable<Id>): ReadonlyMap<Id, number> => new Map(Array.from(ids, (id, n) => [id, n + 1]))

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
  join hookline.subscriptions s on s.id = l.subscription_id and s.enabled and s.deleted_at is null and not s.moving
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
