/**
 * What a person does about single deliveries, in SQL: try again, skip, and see which keys are blocked.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { emptied } from "../Message.ts"
import type { Administration, BlockedKey, RetryAnswer, SkipAnswer } from "../Storage.ts"
import * as PgCounting from "./PgCounting.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgOrdering from "./PgOrdering.ts"
import * as PgPartitions from "./PgPartitions.ts"
import * as PgRows from "./PgRows.ts"
import { unfinished } from "./PgUnfinished.ts"
import * as PgWalk from "./PgWalk.ts"

type Verbs = "retryDelivery" | "skipDelivery" | "blockedKeys"

/** Makes the verbs. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Pick<Administration, Verbs> => {
  const isKnown = (uuid: string) =>
    Effect.map(
      sql`select 1 from hookline.deliveries where id = ${uuid}::uuid
        union all select 1 from hookline.work where id = ${uuid}::uuid`,
      (rows) => rows.length > 0
    )

  return {
    retryDelivery: (id) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const uuid = Id.toUuid(id)
        const kept = PgPartitions.keep(sql)
        yield* kept.lock
        // The subscription is locked, so that the delivery is put where a change of it finds it.
        const retried = yield* sql<{ readonly kept: boolean }>`with ended as materialized (
          select d.id, d.message_id, coalesce(s.worker_group, 'integration.' || d.event_id) as home
          from hookline.deliveries d join hookline.subscriptions s on s.id = d.subscription_id and s.deleted_at is null
          where d.id = ${uuid}::uuid and d.status in ('failed', 'cancelled') for share of s
        ), going as materialized (
          select e.id, e.home, octet_length(coalesce(r.transformed, m.payload)) as size
          from ended e join hookline.messages m on m.id = e.message_id and m.payload <> ${emptied}
            left join hookline.routings r on r.message_id = e.message_id
          where not ${kept.gone("e")}
        ), gone as (
          delete from hookline.deliveries d using going g where d.id = g.id returning d.*, g.home, g.size
        ), ${PgCounting.takenBack(sql, "gone")}, again as (
          insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, ordering_key,
            attempts, retry_base, size, webhook_of)
          select g.id, g.message_id, g.seq, g.subscription_id, g.home, g.tenant_id, g.event_id,
            g.ordering_key, g.attempts, g.attempts, g.size, g.webhook_of
          from gone g returning 1
        ), sooner as (
          update hookline.work w set due_at = clock_timestamp() from hookline.subscriptions s
          where w.id = ${uuid}::uuid and w.epoch is null and w.attempts > w.retry_base
            and s.id = w.subscription_id and s.deleted_at is null
          returning 1
        )
        select true as kept from again union all select true from sooner
        union all select false from ended where not exists (select 1 from going)`
        if (retried.length > 0) return retried.some((row) => row.kept) ? "Retried" : "NotKept" satisfies RetryAnswer
        return (yield* isKnown(uuid)) ? "NotRetryable" satisfies RetryAnswer : "NotFound" satisfies RetryAnswer
      }))),
    skipDelivery: (id) =>
      engine(Effect.gen(function*() {
        const uuid = Id.toUuid(id)
        const skipped = yield* sql`with gone as (
          delete from hookline.work w using hookline.subscriptions s
          where w.id = ${uuid}::uuid and w.epoch is null and s.id = w.subscription_id and s.deleted_at is null
          returning w.*
        ), ${PgOrdering.unparked(sql, "gone")}, ended as (
          insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, status,
            reason, attempts, retry_base, last_error, webhook_of)
          select id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, 'cancelled', 'skipped', attempts,
            retry_base, last_error, webhook_of from gone returning ${PgCounting.ending(sql)}
        ), ${PgCounting.ended(sql, "ended")}
        select 1 from ended`
        if (skipped.length > 0) return "Skipped" satisfies SkipAnswer
        return (yield* isKnown(uuid)) ? "NotSkippable" satisfies SkipAnswer : "NotFound" satisfies SkipAnswer
      })),
    blockedKeys: (id, { counted, cursor, limit }) =>
      engine(Effect.map(
        // By the deliveries that were tried: keys of which nothing was are passed by, however many there are.
        sql<PgRows.DeliveryRow & { readonly ordering_key: string; readonly waiting: number }>`with recursive tried as (
          (${tried(sql, id, cursor === undefined ? sql`true` : sql`w.ordering_key > ${cursor}`)})
          union all
          select n.* from tried t cross join lateral (${tried(sql, id, sql`w.ordering_key > t.ordering_key`)}) n
        ), blocked as (
          select h.key, t.ordering_key from tried t cross join lateral (
            select w.id as key, w.attempts, w.retry_base from hookline.work w
            where w.worker_group like 'subscription.%' and w.ordering_key is not null and w.worker_group = ${group(id)}
              and w.ordering_key = t.ordering_key order by w.seq limit 1
          ) h where h.attempts > h.retry_base limit ${PgWalk.count(sql, limit)}
        )
        select d.*, b.ordering_key, (select count(*) - 1 from (
            select 1 from hookline.work w where w.worker_group like 'subscription.%' and w.ordering_key = b.ordering_key
              and w.worker_group = ${group(id)} limit ${counted + 1}::int
          ) c)::int as waiting
        from blocked b cross join lateral (select d.* from (${unfinished(sql)}) d where d.key = b.key limit 1) d
        order by b.ordering_key`,
        (rows) =>
          rows.map((row): BlockedKey => ({
            orderingKey: row.ordering_key,
            head: PgRows.delivery(row),
            waiting: row.waiting
          }))
      ))
  }
}

// --- internal ---

const group = (id: Id.SubscriptionId) => `subscription.${id}`

/** The first key that fits and has a delivery that was tried, by an index step. */
const tried = (sql: PgClient.PgClient, id: Id.SubscriptionId, condition: ReturnType<PgClient.PgClient["literal"]>) =>
  sql`select w.ordering_key from hookline.work w
    where w.retried and w.worker_group like 'subscription.%' and w.ordering_key is not null
      and w.worker_group = ${group(id)} and ${condition} order by w.ordering_key, w.seq limit 1`
