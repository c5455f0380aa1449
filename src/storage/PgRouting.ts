/**
 * Routing in statements: what waits is read without a lock; deliveries are written fenced, before they are attempted or, where
 * all of them have succeeded already, together with how they ended.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, identity, type Types } from "effect"
import * as Id from "../Id.ts"
import { baseGroup, eventOfGroup } from "../Message.ts"
import type { Completed, Dispatching, Owner, Unrouted } from "../Storage.ts"
import { array, column, picked, type Places, storable, uuids } from "./PgArray.ts"
import * as PgCircuits from "./PgCircuits.ts"
import * as PgCounting from "./PgCounting.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgHttpText from "./PgHttpText.ts"
import * as PgMultirange from "./PgMultirange.ts"
import { fence, isOneOf, ownersOf } from "./PgOwnership.ts"
import * as PgRows from "./PgRows.ts"

/** Makes the verbs of routing. */
export const make = (
  sql: PgClient.PgClient,
  engine: PgErrors.Engine
): Pick<Dispatching, "unrouted" | "route" | "complete"> => ({
  unrouted: (owners, { afterTenants, bytes, except = [], messages, tenants = 1000 }) =>
    engine(Effect.map(
      sql<WaitingRow>`with recursive owned as materialized (
          select f.worker_group, f.after_tenant, f.owner from unnest(
            ${array(owners.map((owner) => owner.workerGroup))}::text[],
            ${array(owners.map((owner) => owner.partition))}::int[],
            ${array(owners.map((owner) => owner.epoch))}::float8[],
            ${array(owners.map((owner) => afterTenants?.get(owner.workerGroup) ?? ""))}::text[]
          ) with ordinality as f(worker_group, partition, epoch, after_tenant, owner)
          join hookline.owners o
            on o.worker_group = f.worker_group and ${isOneOf(sql, "f")}
        ), excepted as materialized (
          select ${PgMultirange.of(except)}::int8multirange as seqs
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
              and not i.seq <@ (select e.seqs from excepted e)
            -- A number of the text: of one that is not known the planner thinks it is a tenth of all that waits, and sorts that.
            order by i.seq limit ${sql.literal(String(Math.trunc(messages)))}
          ) i
          order by turn, place, i.seq limit ${sql.literal(String(Math.trunc(messages)))}
        ), sized as (
          select f.*, sum(f.size) over (order by f.turn, f.place, f.seq) - f.size as before from found f
        ), state as materialized (
          select v.version::float8 as version, (
            select array_agg(distinct l.worker_group) from hookline.listened l
            join owned f on split_part(f.worker_group, '#', 1) = l.worker_group
            where exists (select 1 from hookline.listened)
          ) as listened from hookline.subscription_version v
        )
        select m.id::text, i.seq::float8 as seq, i.owner::int as owner, m.tenant_id, m.ordering_key, m.payload,
          ${sql.literal(PgRows.timeColumns)}, null::float8 as version, null::text[] as listened
        from sized i join hookline.messages m on m.id between i.message_id and i.message_id
        where i.before = 0 or i.before + i.size <= ${bytes}::float8
        union all
        select null, null, null, null, null, null, null, null, null, s.version, s.listened from state s`,
      (rows) => {
        // A text that many messages have is one: each came by itself, and lives as long as its message is delivered.
        const shared = new Map<string, string>()
        const events = owners.map(({ workerGroup }) => eventOfGroup(workerGroup))
        let state: WaitingRow | undefined
        const messages: Array<Unrouted> = []
        for (const row of rows) {
          if (!isMessage(row)) {
            state = row
            continue
          }
          const workerGroup = owners[row.owner - 1]?.workerGroup
          const eventId = events[row.owner - 1]
          if (workerGroup === undefined || eventId === undefined) continue
          // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
          const message: Types.Mutable<Unrouted> = { ...blank }
          message.id = PgRows.messageId(row.id)
          message.seq = row.seq
          message.workerGroup = workerGroup
          message.eventId = eventId
          message.tenantId = PgRows.oneOf(shared, row.tenant_id)
          message.orderingKey = row.ordering_key ?? undefined
          message.payloadJson = row.payload
          messages.push(Object.assign(message, PgRows.times(row)))
        }
        return {
          version: state?.version ?? 0,
          listened: state?.listened ?? [],
          // Put in order here: the server would copy the payloads to sort them.
          messages: messages.sort((a, b) => a.seq - b.seq)
        }
      }
    )),

  route: ({ deliveries, isBegun = false, messages: given, version }) => {
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
        sql<Places & { readonly current: boolean; readonly failing: ReadonlyArray<string> | null }>`with ${
          fence(sql, owners)
        }, given as (
        select * from unnest(
          ${uuids(messages, (message) => Id.toUuid(message.messageId))}::uuid[],
          ${column("float8", messages, (message) => message.owner.epoch)}::float8[],
          ${column("int4", messages, (message) => message.matched)}::int[],
          ${column("int4", messages, (message) => message.filtered)}::int[],
          ${column("text", messages, (message) => message.transformedJson)}::text[],
          ${column("text", messages, (message) => storable(message.error))}::text[],
          ${column("float8", messages, (message) => message.dueAtMs)}::float8[],
          ${column("float8", messages, (message) => message.expiresAtMs)}::float8[],
          ${column("int4", messages, (message) => message.isDoubtful === true ? 1 : undefined)}::int[]
        ) with ordinality as g(message_id, epoch, matched, filtered, transformed, error, due_at, expires_at, doubtful, place)
      ), current as materialized (
        select version from hookline.subscription_version
        where version = ${version}::float8::bigint or ${isBegun}::boolean for share
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
        returning ${taken(sql)}, g.matched, g.filtered, g.transformed, i.size, g.due_at, g.expires_at, g.doubtful
      ), logged as (
        insert into hookline.routings (message_id, version, matched, filtered, transformed)
        select message_id, ${version}::float8::bigint, matched, filtered, transformed from routed
      ), ${broadcast(sql, owners)}, health as materialized (
        select array_agg(c.open_until is not null and not ${isBegun}::boolean order by s.place) as not_closed
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
          substr(r.base, 13), r.ordering_key, d.claimed::int + case when d.worker_group is null then coalesce(r.doubtful, 0) else 0 end,
          case when d.claimed then r.epoch end,
          coalesce(octet_length(r.transformed), r.size),
          greatest(statement_timestamp(), to_timestamp(r.due_at / 1000.0)), to_timestamp(r.expires_at / 1000.0)
        from wanted d join routed r on r.place = d.message
        returning id, subscription_id, worker_group
      )${isBegun ? awaiting(sql, to, version) : sql.literal("")}
      select exists (select 1 from current) as current,
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
            : { _tag: "Stale" } as const
      )
    )
  },

  complete: (completed) =>
    PgErrors.refusable(
      engine,
      Effect.suspend(() => {
        const ids = new Set(completed.map(({ messageId }) => messageId))
        // Each once, which is hardly ever otherwise.
        const messages = ids.size === completed.length
          ? completed
          : [...new Map(completed.map((message) => [message.messageId, message])).values()]
        return Effect.map(
          completing(sql, messages),
          ([row]) => picked(messages, row?.places).map(({ messageId }) => messageId)
        )
      })
    )
})

// --- internal ---

const blank: Unrouted = {
  id: PgRows.messageId(""),
  seq: 0,
  workerGroup: "",
  eventId: "",
  tenantId: "",
  orderingKey: undefined,
  payloadJson: ""
}

/** A message that waits, or, where `version` is there, what holds for all of them. */
interface WaitingRow extends Omit<PgRows.MessageRow, "event_id" | "id" | "seq" | "tenant_id" | "payload"> {
  readonly id: string | null
  readonly seq: number | null
  readonly owner: number | null
  readonly tenant_id: string | null
  readonly payload: string | null
  readonly listened: ReadonlyArray<string> | null
}

const isMessage = (
  row: WaitingRow
): row is WaitingRow & {
  readonly id: string
  readonly seq: number
  readonly owner: number
  readonly tenant_id: string
  readonly payload: string
} => row.version === null

/** Whether a message of the inbox is not set aside, in other words than those of `inbox_waiting`, see `PgPool.pump`. */
const isWaiting = (sql: PgClient.PgClient) => sql.literal("coalesce(i.set_aside_at, 'infinity') = 'infinity'")

/** What is known of a message `i` that leaves the inbox, where `g` gave it under the fence `f`. */
const taken = (sql: PgClient.PgClient) =>
  sql.literal(
    `g.place, i.message_id, i.seq, i.worker_group, split_part(i.worker_group, '#', 1) as base, i.tenant_id, i.ordering_key, f.epoch`
  )

/** Puts the messages in `routed` before those who listen to their groups; as a rule nobody does. */
const broadcast = (sql: PgClient.PgClient, owners: ReadonlyArray<Owner>) =>
  sql`listening as materialized (
    -- In one order: runners that own partitions of the same events do not wait for one another.
    select l.worker_group from hookline.listened l
    where l.worker_group = any(${array([...new Set(owners.map((owner) => baseGroup(owner.workerGroup)))])}::text[])
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
  )`

/**
 * Has subscriptions that got groups of their own since messages were matched await the deliveries in `made` that had gone ahead to
 * them, which no row told of when they got them.
 *
 * The version's row is locked by now, so that none gets a group meanwhile; theirs are in one order, as a connection's change locks
 * several too. A claim whose snapshot is older than this statement finds the messages in the inbox still.
 */
const awaiting = (sql: PgClient.PgClient, to: string, version: number) =>
  sql`, regrouped as materialized (
    select s.id, s.worker_group from unnest(${to}::uuid[]) as u(id)
    join hookline.subscriptions s on s.id between u.id and u.id
    where exists (select 1 from current where version <> ${version}::float8::bigint) order by s.id for no key update of s
  ), awaited as (
    update hookline.subscriptions s set awaited = s.awaited || a.ids
    from (
      select r.id, array_agg(m.id) as ids from made m join regrouped r on r.id = m.subscription_id
      where r.worker_group <> m.worker_group group by r.id
    ) a where s.id between a.id and a.id
  )`

/** Where each stands, from 1 on. */
const placesOf = <Id>(ids: Iterable<Id>): ReadonlyMap<Id, number> => new Map(Array.from(ids, (id, n) => [id, n + 1]))

const completing = (sql: PgClient.PgClient, messages: ReadonlyArray<Completed>) => {
  const deliveries: Array<Completed["deliveries"][number]> = []
  const places: Array<number> = []
  const responses: Array<string | null> = []
  const requests: Array<string | null> = []
  const subscriptions = new Map<Id.SubscriptionId, number>()
  for (const [n, message] of messages.entries()) {
    const { messageId } = message
    for (const delivery of message.deliveries) {
      const { attempt: { request, response, startedAtMs }, id: deliveryId, subscriptionId } = delivery
      const around = { deliveryId, messageId, startedAtMs }
      deliveries.push(delivery)
      places.push(n + 1)
      responses.push(PgHttpText.ofResponse(response, around))
      requests.push(PgHttpText.ofRequest(request, around))
      if (!subscriptions.has(subscriptionId)) subscriptions.set(subscriptionId, subscriptions.size + 1)
    }
  }
  const owners = ownersOf(messages)
  return sql<Places>`with ${fence(sql, owners)}, given as (
    select * from unnest(
      ${uuids(messages, (message) => Id.toUuid(message.messageId))}::uuid[],
      ${column("float8", messages, (message) => message.owner.epoch)}::float8[],
      ${column("float8", messages, (message) => message.version)}::float8[],
      ${column("int4", messages, (message) => message.deliveries.length)}::int[],
      ${column("int4", messages, (message) => message.filtered)}::int[],
      ${column("text", messages, (message) => message.transformedJson)}::text[]
    ) with ordinality as g(message_id, epoch, version, matched, filtered, transformed, place)
  ), routed as (
    delete from hookline.inbox i using given g
    join fence f on f.epoch = g.epoch::bigint
    where i.message_id between g.message_id and g.message_id and ${isWaiting(sql)}
    returning ${taken(sql)}, g.version, g.matched, g.filtered, g.transformed
  ), logged as (
    insert into hookline.routings (message_id, version, matched, filtered, transformed)
    select message_id, version::bigint, matched, filtered, transformed from routed
  ), ${broadcast(sql, owners)}, done as materialized (
    select d.id, r.message_id, r.seq, (${
    uuids([...subscriptions.keys()], Id.toUuid)
  }::uuid[])[d.subscription] as subscription_id,
      r.tenant_id, substr(r.base, 13) as event_id, r.ordering_key, r.epoch, d.external_id, d.started_at, d.duration_ms,
      d.status_code, d.response, d.phases, d.request
    from unnest(
      ${uuids(deliveries, ({ id }) => Id.toUuid(id))}::uuid[],
      ${column("int4", places, (place) => place)}::int[],
      ${column("int4", deliveries, ({ subscriptionId }) => subscriptions.get(subscriptionId))}::int[],
      ${column("text", deliveries, ({ externalId }) => storable(externalId))}::text[],
      ${column("float8", deliveries, ({ attempt }) => attempt.startedAtMs)}::float8[],
      ${column("int4", deliveries, ({ attempt }) => PgRows.int4(attempt.durationMs))}::int[],
      ${column("int4", deliveries, ({ attempt }) => PgRows.int4(attempt.statusCode))}::int[],
      ${column("text", responses, identity)}::text[],
      ${column("text", deliveries, ({ attempt }) => PgRows.phasesText(attempt.phases))}::text[],
      ${column("text", requests, identity)}::text[]
    ) as d(id, message, subscription, external_id, started_at, duration_ms, status_code, response, phases, request)
    join routed r on r.place = d.message
  ), history as (
    insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, status,
      attempts, retry_base, external_id)
    select id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, 'success', 1, 0, external_id
    from done returning ${PgCounting.ending(sql)}
  ), ${PgCounting.accepted(sql, "history")}, ${PgCircuits.accepted(sql, "done")}, log as (
    insert into hookline.attempts (delivery_id, number, started_at, duration_ms, outcome, status_code, response, epoch,
      claims, phases, request)
    select id, 1, to_timestamp(started_at / 1000.0), duration_ms, 'success', status_code, response, epoch, 1, phases, request
    from done
  )
  select array_agg(place::int) as places from routed`
}
