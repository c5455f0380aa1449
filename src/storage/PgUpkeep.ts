/**
 * Upkeep in SQL: ends what has expired, was held for too long or has lost its subscription, and takes away what is of no use any
 * more. It runs all the time and hardly ever finds something, so each statement looks along an index at what it is to end,
 * and at no more. A time that an index is compared with is the statement's: the clock's is a filter of each row, as it goes on.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError, Statement } from "effect/sql"
import type { Administration } from "../Storage.ts"
import { isListed } from "./Migrations.ts"
import * as PgCounting from "./PgCounting.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgMoving from "./PgMoving.ts"
import * as PgOrdering from "./PgOrdering.ts"
import * as PgPurging from "./PgPurging.ts"
import * as PgWalk from "./PgWalk.ts"

/** The verbs of upkeep. */
export type Upkeep = Pick<Administration, "expire" | "maintain" | "move">

/**
 * Makes the verbs, on connections that have `PgWalk.settings`: how many rows there are the planner guesses from bounds, and would
 * make a bitmap of all of a large backlog for each portion of it. Each statement is by itself, as the beginning of a transaction
 * waits for a server that is silent as long as that is.
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Upkeep => ({
  move: (rows) => engine(PgMoving.goOn(sql, rows)),
  expire: (rows) =>
    engine(end(
      sql,
      { status: "failed", reason: "expired", rows },
      sql`
        select w.id from hookline.work w join hookline.subscriptions s on s.id between w.subscription_id and w.subscription_id
        where w.expires_at <= statement_timestamp() and ${isWaiting(sql)} and s.deleted_at is null
        order by w.expires_at limit ${PgWalk.count(sql, rows)} for update of w skip locked`
    )),
  maintain: ({ broadcastKeptMs, heldMaxAgeMs, partitionsAheadDays, replaysKeptMs, rows }) => {
    const purge = (table: string, along: string, until: Statement.Fragment) =>
      PgPurging.purge(sql, { table, along, until, rows })
    const parts: ReadonlyArray<Effect.Effect<boolean, SqlError.SqlError>> = [
      // Emits fail where there is none for their day.
      Effect.as(sql`select hookline.make_partitions(${partitionsAheadDays}::int)`, false),
      end(
        sql,
        { status: "cancelled", reason: "deleted", rows },
        sql`
        select w.id from hookline.subscriptions s cross join lateral (
          ${waitingOf(sql, { rows })} for update skip locked
        ) w where ${isEnding(sql)} limit ${PgWalk.count(sql, rows)}`
      ),
      end(
        sql,
        { status: "failed", reason: "expired", rows },
        sql`
        select w.id from hookline.subscriptions s cross join lateral (
          ${
          waitingOf(sql, {
            rows,
            before: firstSince(sql, heldMaxAgeMs),
            where: sql`(w.replay_id is null or w.due_at <= ${ago(sql, heldMaxAgeMs)})`
          })
        } for update skip locked
        ) w where not s.enabled and s.deleted_at is null and s.disabled_at <= ${ago(sql, heldMaxAgeMs)}
        limit ${PgWalk.count(sql, rows)}`
      ),
      // Nothing is routed to one that is deleted, but what had gone ahead to it: that is ended as well, a moment later. How far its
      // limit was used goes, as only outcomes write it; its group's owner stays: who takes a group over counts on the row.
      full(
        rows,
        sql`with settled as (
          update hookline.subscriptions set ended = true where id in (
            select s.id from hookline.subscriptions s
            where ${isEnding(sql)} and (${allOf(sql, { rows: 1 })}) is null
            limit ${PgWalk.count(sql, rows)}
          ) returning id
        ), limits as (
          delete from hookline.lanes l using settled s where l.subscription_id between s.id and s.id
        )
        select 1 from settled`
      ),
      // Where it waited for a statement that adds to them, it does not see what that wrote: those stay.
      Effect.as(
        sql`with ended as materialized (
          select s.id, s.awaited from hookline.subscriptions s where s.awaited is not null and not exists (
            select 1 from hookline.work w where w.id = any(s.awaited) and w.epoch is not null
              and w.worker_group <> coalesce(s.worker_group, ''))
        )
        update hookline.subscriptions s set awaited = null from ended e where s.id = e.id and s.awaited = e.awaited`,
        false
      ),
      // What was recorded while it was deleted.
      purge(
        "circuits",
        "subscription_id",
        sql`exists (select 1 from hookline.subscriptions s where s.id = circuits.subscription_id and s.deleted_at is not null)`
      ),
      PgCounting.keepHouse(sql, rows),
      purge("idempotency", "expires_at", sql`expires_at <= statement_timestamp()`),
      purge("broadcasts", "told_at", sql`told_at < ${ago(sql, broadcastKeptMs)}`),
      purge(
        "replays",
        "updated_at",
        sql`state in ('cancelled', 'completed') and updated_at < ${ago(sql, replaysKeptMs)}`
      ),
      Effect.as(sql`delete from hookline.listened where listened_at < ${ago(sql, broadcastKeptMs)}`, false),
      Effect.as(sql`delete from hookline.runners where lease_until < statement_timestamp() - interval '1 day'`, false)
    ]
    // Each by itself: what fails keeps nothing else from being done. But for a server that is silent, all of it is given up.
    return engine(Effect.flatMap(
      Effect.forEach(parts, Effect.result),
      (done) => Effect.map(Effect.forEach(done, Effect.fromResult), (more) => more.includes(true))
    ))
  }
})

// --- internal ---

/** In other words than those that the indexes of claims are made for, which would be read from end to end. */
const isWaiting = (sql: PgClient.PgClient) => sql.literal("coalesce(w.epoch, -1) = -1")

interface Of {
  readonly rows: number
  readonly before?: Statement.Fragment
  readonly where?: Statement.Fragment
}

/**
 * The first of the deliveries `w` of a subscription `s`, with ids before another one. Compared as rows and ordered by the whole
 * index, so that no other will do, see `PgWalk`.
 */
const allOf = (sql: PgClient.PgClient, { before = sql`${PgWalk.last}`, rows, where = sql`true` }: Of) =>
  sql`select w.id from hookline.work w
    where (w.subscription_id, w.id) >= (s.id, ${PgWalk.first}::uuid) and (w.subscription_id, w.id) < (s.id, ${before}::uuid)
      and ${sql.literal(isListed("w."))} and ${where}
    order by w.subscription_id, w.id limit ${PgWalk.count(sql, rows)}`

/** The first of those that nobody has claimed. */
const waitingOf = (sql: PgClient.PgClient, { where = sql`true`, ...of }: Of) =>
  allOf(sql, { ...of, where: sql`${isWaiting(sql)} and ${where}` })

/** Whether a subscription `s` was deleted, and what waited for it may have yet to be ended. */
const isEnding = (sql: PgClient.PgClient) => sql`(s.deleted_at is not null and not s.ended)`

const ago = (sql: PgClient.PgClient, ms: number) => sql`(statement_timestamp() - make_interval(secs => ${ms / 1000}))`

/** The first id of the millisecond that was so long ago, as text. */
const firstSince = (sql: PgClient.PgClient, ms: number) =>
  sql`(lpad(to_hex((extract(epoch from statement_timestamp()) * 1000 - ${ms}::float8)::bigint), 12, '0') || repeat('0', 20))`

/** Runs a statement that returns what it has done; tells whether there may be more to do. */
const full = (rows: number, statement: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>) =>
  Effect.map(statement, (done) => done.length >= rows)

/** Ends the deliveries that `old` selects by their ids, up to so many; returns whether there may be more. */
const end = (
  sql: PgClient.PgClient,
  { reason, rows, status }: {
    readonly status: "failed" | "cancelled"
    readonly reason: "expired" | "deleted"
    readonly rows: number
  },
  old: Statement.Fragment
) =>
  full(
    rows,
    sql`with old as materialized (${old}), gone as (
      delete from hookline.work w using old where w.id between old.id and old.id returning w.*
    ), ${PgOrdering.unparked(sql, "gone")}, ended as (
      insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, status,
        reason, attempts, retry_base, last_error, webhook_of)
      select id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, ${status}::text, ${reason}::text, attempts,
        retry_base, last_error, webhook_of from gone returning ${PgCounting.ending(sql)}
    ), ${PgCounting.ended(sql, "ended")}
    select 1 from ended`
  )
