/**
 * Circuits, as parts of the statements that record outcomes: what attempts say of their endpoints, and what is told of it. Rows are
 * there only of subscriptions that fail.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Id from "../Id.ts"
import type { Outcome } from "../Storage.ts"
import * as PgAppend from "./PgAppend.ts"
import { array } from "./PgArray.ts"

/**
 * Takes in what the outcomes in `given` say (`subscription_id`, `sign`, `started_at` and `open_until` in milliseconds). The rows
 * are locked in one order, and after the subscriptions' in `homes`, as whoever changes a subscription does: so nobody waits for
 * one who waits for him. Of what was deleted nothing is kept; where that is not seen yet, housekeeping takes it away.
 */
export const signs = (sql: PgClient.PgClient, given: string) =>
  sql`signs as materialized (
    select subscription_id, bool_or(sign = 'accepted') as accepted, bool_or(sign = 'refused') as refused,
      count(*) filter (where sign = 'failed') as failed,
      min(started_at) filter (where sign <> 'accepted') as since, max(open_until) as open_until
    from ${sql.literal(given)} where sign is not null group by subscription_id
  ), known as materialized (
    select c.* from hookline.circuits c where c.subscription_id in (select subscription_id from signs)
      and (select count(*) from homes) >= 0 order by c.subscription_id for update
  ), healed as (
    delete from hookline.circuits c using signs s, known k
    where k.subscription_id = s.subscription_id and c.subscription_id = k.subscription_id and s.accepted
    returning c.subscription_id, c.warned_at
  ), failing as (
    insert into hookline.circuits as c (subscription_id, failures, failing_since, opens, open_until)
    select s.subscription_id, case when s.refused then 0 else s.failed end, to_timestamp(s.since / 1000.0),
      case when s.open_until is null then 0 else 1 end, to_timestamp(s.open_until / 1000.0)
    from signs s left join known k on k.subscription_id = s.subscription_id
    join hookline.subscriptions x on x.id between s.subscription_id and s.subscription_id
    where not s.accepted and coalesce(x.deleted_at, 'infinity') = 'infinity' order by s.subscription_id
    on conflict (subscription_id) do update set
      failures = case when excluded.failures = 0 then 0 else c.failures + excluded.failures end,
      failing_since = least(c.failing_since, excluded.failing_since),
      opens = case when excluded.open_until is not null then c.opens + 1
        when excluded.failures = 0 then 0 else c.opens end,
      open_until = case when excluded.open_until is not null then excluded.open_until
        when excluded.failures = 0 then null else c.open_until end
  )`

/** Takes in that the endpoints of what is in `given` have accepted it; locked in the same order. */
export const accepted = (sql: PgClient.PgClient, given: string) =>
  sql`known as materialized (
    select c.subscription_id from hookline.circuits c
    where c.subscription_id in (select subscription_id from ${sql.literal(given)})
    order by c.subscription_id for update
  ), healed as (
    delete from hookline.circuits c using known k where c.subscription_id = k.subscription_id
  )`

/** Stores what is told with the outcomes that are recorded, where there is something. */
export const told = (sql: PgClient.PgClient, outcomes: ReadonlyArray<Outcome>) => {
  const telling = outcomes.flatMap(({ deliveryId, telling = [] }) =>
    telling.map(({ ifRecovered, message }) => ({ deliveryId, ifRecovered, message }))
  )
  if (telling.length === 0) return sql.literal("")
  return sql`news as materialized (
    select m.* from (${PgAppend.rows(sql, telling.map(({ message }) => message))}) m
    join unnest(
      ${array(telling.map(({ message }) => Id.toUuid(message.id)))}::uuid[],
      ${array(telling.map(({ deliveryId }) => Id.toUuid(deliveryId)))}::uuid[],
      ${array(telling.map(({ ifRecovered }) => ifRecovered))}::boolean[]
    ) as t(id, delivery_id, if_recovered) on t.id = m.id
    join given g on g.id = t.delivery_id
    where not t.if_recovered
      or exists (select 1 from healed h where h.subscription_id = g.subscription_id and h.warned_at is not null)
  ), ${PgAppend.inserts(sql, "news")}, `
}
