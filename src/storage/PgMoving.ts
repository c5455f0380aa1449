/**
 * Moving what waits to where its subscription's deliveries belong now, in portions: a transaction that moved a million would
 * hold up all routing for as long. While some are left, nothing of the subscription is claimed.
 *
 * All routing waits for the first portion, however much waits: so what is to be moved is found by the groups that it is in, and
 * nothing is looked at that is where it belongs.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { again } from "./Migrations.ts"
import * as PgOrdering from "./PgOrdering.ts"
import * as PgWalk from "./PgWalk.ts"

/**
 * Moves up to so many, in a transaction that has locked the subscription's row; returns how many.
 *
 * What is claimed is its owner's to bring home, and awaited from when nothing is left to move; nothing more of it can be
 * claimed where it was, as claims and routes see the subscription's row or wait for it. What others have locked is left for
 * the next portion: they may wait for the subscription's row.
 */
export const some = Effect.fnUntraced(function*(sql: PgClient.PgClient, uuid: string, rows: number) {
  yield* PgWalk.set(sql)
  const moved = yield* sql`with portion as materialized (
      ${misplaced(sql, uuid, rows, sql`for update skip locked`)}
    )
    update hookline.work w set worker_group = ${PgOrdering.home(sql)},
      due_at = case when w.due_at = 'infinity' then clock_timestamp() else w.due_at end
    from hookline.subscriptions h, portion p where h.id = ${uuid}::uuid and w.id between p.id and p.id returning 1`
  const [left] = yield* sql<{ readonly moving: boolean }>`update hookline.subscriptions
    set moving = exists (${misplaced(sql, uuid, 1, sql``)}) where id = ${uuid}::uuid returning moving`
  if (left?.moving) return moved.length
  yield* sql`update hookline.subscriptions set awaited = case when worker_group is not null
      then (select array_agg(c.id) from (${PgOrdering.claimed(sql, uuid)}) c) end
    where id = ${uuid}::uuid`
  return moved.length
})

/**
 * Goes on with the first subscription that some are left of; returns whether there may be more to do. There hardly ever is one, so no
 * transaction begins before it is known: its beginning waits for a server that is silent as long as that is.
 */
export const goOn = (sql: PgClient.PgClient, rows: number) =>
  Effect.gen(function*() {
    const [moving] = yield* sql`select 1 from hookline.subscriptions where moving limit 1`
    if (!moving) return false
    return yield* sql.withTransaction(Effect.gen(function*() {
      const [found] = yield* sql<{ readonly id: string }>`
        select id::text from hookline.subscriptions where moving order by id limit 1 for update`
      return found !== undefined && (yield* some(sql, found.id, rows)) > 0
    }))
  })

// --- internal ---

/**
 * The first deliveries that wait and are to be moved, locked: of a subscription with a group of its own those in groups of
 * events, and those that are parked in its own, as they are judged anew; of one without, those in the group that was its own.
 *
 * The orders are those of the indexes, so that no other will do, see `PgWalk`.
 */
const misplaced = (sql: PgClient.PgClient, uuid: string, rows: number, locked: PgWalk.Fragment) => {
  const count = PgWalk.count(sql, rows)
  const own = sql`${`subscription.sub_${uuid.replaceAll("-", "")}`}::text`
  const order = sql.literal(`w.worker_group, w.subscription_id, ${again("w.")}, w.due_at, w.seq`)
  /** The next group of an event in which something waits, whosever it is. */
  const next = (after: PgWalk.Fragment) =>
    sql`select w.worker_group from hookline.work w
      where w.epoch is null and w.worker_group > ${after} and ${
      PgOrdering.isOfEvent(sql, "w.worker_group")
    } order by ${order} limit 1`
  return sql`with recursive h as materialized (
      select s.worker_group is not null as owns from hookline.subscriptions s where s.id = ${uuid}::uuid
    ), events as (
      (select n.worker_group from h cross join lateral (${next(sql`''`)}) n where h.owns)
      union all
      select n.worker_group from events e cross join lateral (${next(sql`e.worker_group`)}) n
    ), places as (
      select worker_group from events union all select ${own} collate "C" from h where not h.owns
    )
    select x.id from (
      select m.id from places p cross join lateral (
        select w.id from hookline.work w
        where w.epoch is null and w.worker_group = p.worker_group and w.subscription_id = ${uuid}::uuid
        order by ${order} limit ${count} ${locked}
      ) m
      union all
      select k.id from h cross join lateral (
        select w.id from hookline.work w
        where w.due_at = 'infinity' and w.worker_group = ${own} and coalesce(w.epoch, -1) = -1
        order by w.worker_group, w.ordering_key limit ${count} ${locked}
      ) k where h.owns
    ) x limit ${count}`
}
