/**
 * Moving what waits to where its subscription's deliveries belong now, in portions: a transaction that moved a million would
 * hold up all routing for as long. While some are left, nothing of the subscription is claimed.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { isListed } from "./Migrations.ts"
import * as PgOrdering from "./PgOrdering.ts"

/**
 * Moves up to so many, in a transaction that has locked the subscription's row; returns how many.
 *
 * What is claimed is its owner's to bring home, and awaited from when nothing is left to move; nothing more of it can be
 * claimed where it was, as claims and routes see the subscription's row or wait for it. What others have locked is left for
 * the next portion: they may wait for the subscription's row.
 */
export const some = Effect.fnUntraced(function*(sql: PgClient.PgClient, uuid: string, rows: number) {
  const isInList = sql.literal(isListed("w."))
  const misplaced = sql`w.subscription_id = h.id and ${isInList} and w.epoch is null
    and (w.due_at = 'infinity' or w.worker_group <> ${PgOrdering.home(sql)})`
  const moved = yield* sql`with h as materialized (
      select s.id, s.worker_group from hookline.subscriptions s where s.id = ${uuid}::uuid
    ), portion as materialized (
      select w.id from hookline.work w join h on ${misplaced} limit ${rows}::int for update of w skip locked
    )
    update hookline.work w set worker_group = ${PgOrdering.home(sql)},
      due_at = case when w.due_at = 'infinity' then clock_timestamp() else w.due_at end
    from h, portion p where w.id = p.id returning 1`
  const [left] = yield* sql<{ readonly moving: boolean }>`update hookline.subscriptions h
    set moving = exists (select 1 from hookline.work w where ${misplaced}) where h.id = ${uuid}::uuid returning moving`
  if (left?.moving) return moved.length
  yield* sql`update hookline.subscriptions set awaited = case when worker_group is not null then (
      select array_agg(w.id) from hookline.work w
      where w.subscription_id = ${uuid}::uuid and ${isInList} and w.epoch is not null
    ) end where id = ${uuid}::uuid`
  return moved.length
})

/** Goes on with the first subscription that some are left of; returns whether there may be more to do. */
export const goOn = (sql: PgClient.PgClient, rows: number) =>
  sql.withTransaction(Effect.gen(function*() {
    const [found] = yield* sql<{ readonly id: string }>`
      select id::text from hookline.subscriptions where moving order by id limit 1 for update`
    return found !== undefined && (yield* some(sql, found.id, rows)) > 0
  }))
