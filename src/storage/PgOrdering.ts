/**
 * Order and homes, as parts of statements. In a subscription's own group, a delivery that was found to wait for an earlier
 * one of its key is parked: due at no time, so that the backlog of one key costs nobody anything; whatever ends a delivery
 * un-parks the next of its key. The home of a delivery is the worker group that owns it while it waits.
 */
import type { PgClient } from "@effect/sql-pg"
import { workerGroup } from "../Message.ts"

/**
 * Whether a delivery `w` of a subscription's own group waits for an earlier one of its key, or for a later one that is under
 * way, as after a retry by hand.
 *
 * The first conditions repeat what the indexes are made of.
 */
export const isBehind = (sql: PgClient.PgClient) =>
  sql`(exists (select 1 from hookline.work e where e.worker_group like 'subscription.%' and e.ordering_key is not null
    and e.worker_group = w.worker_group and e.ordering_key = w.ordering_key and e.seq < w.seq)
    or exists (select 1 from hookline.work e where e.worker_group like 'subscription.%' and e.ordering_key is not null
      and e.epoch is not null and e.worker_group = w.worker_group and e.ordering_key = w.ordering_key and e.id <> w.id))`

/** Whether a message before that of a delivery `w`, of its key and one of a subscription's `events`, waits to be routed. */
export const isEarly = (sql: PgClient.PgClient, events: string) =>
  sql`exists (select 1 from hookline.inbox i where i.ordering_key is not null and i.set_aside_at is null
    and i.tenant_id = w.tenant_id and i.ordering_key = w.ordering_key and i.seq < w.seq
    and exists (select 1 from unnest(${sql.literal(events)}) as p(pattern) where case
      when p.pattern = '*' then i.worker_group not like 'integration.hookline.%'
      when p.pattern like '%.*' then starts_with(i.worker_group, 'integration.' || left(p.pattern, -1))
      else split_part(i.worker_group, '#', 1) = 'integration.' || p.pattern end))`

/**
 * Un-parks the next of each key of an ordered subscription, after the deliveries in `ended` (`worker_group`, `ordering_key`,
 * `seq`) have gone.
 *
 * The due time changes also where the next is due already: a claim that parks it meanwhile, because it saw the one before,
 * finds that it has changed and leaves it. What a statement can't see, because it came after it began, `unpark` finds.
 */
export const unparked = (sql: PgClient.PgClient, ended: string) =>
  sql`nexts as materialized (
    select n.id from (
      select worker_group, ordering_key, max(seq) as seq from ${sql.literal(ended)}
      where worker_group like 'subscription.%' and ordering_key is not null group by worker_group, ordering_key
    ) f cross join lateral (
      select w.id, w.subscription_id from hookline.work w
      where w.worker_group like 'subscription.%' and w.ordering_key is not null
        and w.worker_group = f.worker_group and w.ordering_key = f.ordering_key and w.seq > f.seq
      order by w.seq limit 1
    ) n join hookline.subscriptions s on s.id between n.subscription_id and n.subscription_id and s.ordered
  ), unparked as (
    update hookline.work w set due_at = clock_timestamp() from nexts n
    where w.id between n.id and n.id and coalesce(w.epoch, -1) = -1
      and (w.due_at = 'infinity' or w.due_at <= clock_timestamp())
  )`

/**
 * What is claimed of a subscription: of all that is claimed, which is never much, and not of all that waits for it. By the one
 * index that has the order, on a connection with the settings of `PgWalk`.
 */
export const claimed = (sql: PgClient.PgClient, uuid: string) =>
  sql`select c.id, c.worker_group, c.epoch from (
    select w.id, w.subscription_id, w.worker_group, w.epoch from hookline.work w
    where w.epoch is not null order by w.worker_group, w.epoch
  ) c where c.subscription_id = ${uuid}::uuid`

/**
 * Where the waiting deliveries of some subscriptions belong. Locked, so that a change of it, which moves those that wait,
 * comes before and is seen, or after and finds them; in one order, as a connection's change locks several too.
 */
export const homes = (sql: PgClient.PgClient, rows: string) =>
  sql`homes as materialized (
    select s.id, s.worker_group from (select distinct subscription_id from ${
    sql.literal(rows)
  } order by subscription_id) r
    cross join lateral (
      select s.id, s.worker_group from hookline.subscriptions s
      where s.id between r.subscription_id and r.subscription_id for share
    ) s
  )`

/** Whether a worker group is one of an event's, by an index of groups: these come one after the other. */
export const isOfEvent = (sql: PgClient.PgClient, group: string) => {
  const prefix = workerGroup("")
  const next = String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
  return sql`(${sql.literal(group)} >= ${prefix} and ${sql.literal(group)} < ${prefix.slice(0, -1) + next})`
}

/**
 * The home of a delivery `w`, by the row `h` of its subscription: the group that is the subscription's own, else the event's,
 * that of the partition which routed the message where the delivery is in that.
 */
export const home = (sql: PgClient.PgClient) =>
  sql`case when h.worker_group is not null then h.worker_group
    when w.worker_group like 'subscription.%' then 'integration.' || w.event_id else w.worker_group end`
