/**
 * Deliveries that are not finished, as they are read.
 */
import type { PgClient } from "@effect/sql-pg"
import type { Statement } from "effect/sql"
import * as PgOrdering from "./PgOrdering.ts"
import * as PgRows from "./PgRows.ts"

/** The rows of `work`, or some of its rows, with further columns; what they wait for is derived. */
export const unfinished = (sql: PgClient.PgClient, from?: Statement.Fragment, columns?: string) =>
  sql`select  w.id as key, w.id::text as id, w.message_id as message_key, w.message_id::text, w.event_id,
    w.subscription_id as subscription_key, w.subscription_id::text, w.tenant_id,
    case when s.deleted_at is not null then 'cancelled'
      when w.epoch is null and w.expires_at <= clock_timestamp() then 'failed'
      when w.attempts > w.retry_base then 'retrying' else 'pending' end as status,
    case when s.deleted_at is not null then 'deleted'
      when w.epoch is null and w.expires_at <= clock_timestamp() then 'expired' when not s.enabled then 'held'
      when s.ordered and w.ordering_key is not null and w.epoch is null and ${PgOrdering.isBehind(sql)} then 'blocked'
      when w.epoch is null and c.open_until > clock_timestamp() then 'circuit-open'
      when not r.announced -> 'providers' @> to_jsonb(s.provider_id) then 'code-missing' end as reason,
    w.attempts::int as attempts,
    case when s.deleted_at is null and w.due_at < 'infinity'
      and not (w.epoch is null and coalesce(w.expires_at <= clock_timestamp(), false)) then ${
    sql.literal(PgRows.ms("greatest(w.due_at, case when w.epoch is null then c.open_until end)"))
  } end as due_at,
    null::text as external_id, w.last_error, null::float8 as completed_at${
    sql.literal(columns === undefined ? "" : `, ${columns}`)
  }
    from ${
    from === undefined ? sql.literal("hookline.work") : sql`(${from})`
  } w join hookline.subscriptions s on s.id = w.subscription_id
    left join hookline.owners o on o.worker_group = w.worker_group and o.partition = 0
    left join hookline.runners r on r.id = o.runner_id
    left join hookline.circuits c on c.subscription_id = w.subscription_id`
