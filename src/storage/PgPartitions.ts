/**
 * The partitions of history, one a table and day: which there are, what needs them, and how one is taken out and dropped.
 *
 * A partition is detached concurrently: that waits for the transactions that may still read it, and nobody waits behind
 * it, whereas to drop it at once would lock emits out for as long as the longest reader takes. It commits in between, so
 * it may be cut off at any point: what was begun is seen in the catalogue, and gone on with.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { defaults } from "../Limits.ts"
import type { Terms } from "../Retention.ts"
import type { ExpiredDay, HistoryTable, Holder, TableSize } from "../Storage.ts"
import { isListed } from "./Migrations.ts"
import { array } from "./PgArray.ts"
import * as PgWalk from "./PgWalk.ts"

/** The tables, in the order in which a day of them is dropped: what others are found by goes first. */
export const tables: ReadonlyArray<HistoryTable> = ["messages", "routings", "deliveries", "attempts"]

/**
 * How a partition stands: part of its table, being taken out, or out of it and not dropped yet.
 */
export interface Partition {
  readonly table: HistoryTable
  /** As `2026-01-31`. */
  readonly day: string
  readonly state: "attached" | "pending" | "detached"
}

/** The partitions that there are of a day. */
export const ofDay = (sql: PgClient.PgClient, day: string) =>
  sql<Partition>`select p."table", p.day::text as day, p.state from (${all(sql)}) p where p.day = ${day}::date
    order by array_position(${array(tables)}::text[], p."table")`

/** The days that have expired, and those that were begun; oldest first. */
export const expired = (sql: PgClient.PgClient, { attemptsKeptMs, historyKeptMs }: Terms) =>
  sql<Pick<ExpiredDay, "day" | "of" | "isDropping">>`with begun as (
      select whole, attempts, emptied from hookline.retention
    ), there as (select p.* from (${all(sql)}) p where p.state <> 'detached'), known as (
      select day, 'history' as of from there where day < ${firstDay(sql, historyKeptMs)}
      union select day, 'attempts' from there where "table" = 'attempts' and day < ${firstDay(sql, attemptsKeptMs)}
        and day >= ${firstDay(sql, historyKeptMs)} and not day = any(select unnest(emptied) from begun)
      union select unnest(whole), 'history' from begun
      union select unnest(attempts), 'attempts' from begun
    )
    select day::text, of, day = any(case when of = 'history' then whole else attempts end) as "isDropping"
    from known cross join begun order by day, of desc`

/** The days that have expired, each with what holds it. */
export const expiredHeld = (
  sql: PgClient.PgClient,
  terms: Terms
): Effect.Effect<ReadonlyArray<ExpiredDay>, SqlError.SqlError> =>
  Effect.flatMap(
    expired(sql, terms),
    (days) =>
      Effect.forEach(days, (day) =>
        Effect.map(holders(sql, day, defaults.retentionCounted), (heldBy): ExpiredDay => ({ ...day, heldBy })))
  )

/** Whether an id is of a day, by the index of ids. */
const isOf = (sql: PgClient.PgClient, column: string, day: string) =>
  sql`(${sql.literal(column)} >= hookline.day_bound(${day}::date)
    and ${sql.literal(column)} < hookline.day_bound(${day}::date + 1))`

/**
 * What needs a day.
 *
 * **Details**
 *
 * A delivery that is unfinished needs the partitions of the day on which it was made, since its attempts and its end are
 * recorded there, and those of its message's day, since its payload is read from there. A message that has yet to be
 * routed, or to be routed again, needs those of its day, where its deliveries are made; one that processes may yet hear of needs its
 * payload.
 */
export const holders = (sql: PgClient.PgClient, { day, of }: Pick<ExpiredDay, "day" | "of">, counted: number) => {
  const isWhole = of === "history"
  const some = (from: string, where: PgWalk.Fragment) =>
    sql`select 1 from ${sql.literal(`hookline.${from}`)} where ${where} limit ${PgWalk.count(sql, counted)}`
  // Each by an index of its own.
  const unfinished = [
    some("work w", isOf(sql, "w.id", day)),
    ...(isWhole ?
      [some(
        "work w",
        sql`${isOf(sql, "w.message_id", day)} and not ${isOf(sql, "w.id", day)} and ${sql.literal(isListed("w."))}`
      )] :
      [])
  ].map((part) => sql`(${part})`)
  const ofDay = isOf(sql, "i.message_id", day)
  const counts: ReadonlyArray<readonly [Holder, PgWalk.Fragment]> = [
    ["unfinished", sql.join(" union all ", false)(unfinished)],
    ["unrouted", some("inbox i", sql`${ofDay} and i.set_aside_at is null`)],
    ["set-aside", some("inbox i", sql`${ofDay} and i.set_aside_at is not null`)],
    ...(isWhole ? [["broadcast", some("broadcasts i", ofDay)]] as const : [])
  ]
  return Effect.map(
    sql<{ readonly holder: Holder; readonly count: number }>`${
      sql.join(" union all ", false)(
        counts.map(([holder, rows]) => sql`select ${holder}::text as holder, count(*)::int as count from (${rows}) x`)
      )
    }`,
    (rows): ExpiredDay["heldBy"] =>
      rows.flatMap(({ count, holder }) => count === 0 ? [] : [{ holder, count: Math.min(count, counted) }])
  )
}

/**
 * Keeps days from being dropped and bodies from being emptied until the transaction ends: `lock`, before the statement
 * that delivers something again, which so sees what was done until then; `gone` tells whether the day of a row's delivery,
 * or of its message, is being dropped.
 */
export const keep = (sql: PgClient.PgClient) => ({
  lock: sql`select 1 from hookline.retention for share`,
  gone: (row: string) =>
    sql.literal(
      `exists (select 1 from hookline.retention k where hookline.day_of(${row}.id) = any(k.whole || k.attempts)
      or hookline.day_of(${row}.message_id) = any(k.whole))`
    )
})

/** What is stored, by table. */
export const sizes = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<Omit<TableSize, "oldestDay"> & { readonly oldest: string | null }>`
      select t as "table", count(p.day)::int as partitions, min(p.day)::text as oldest,
        coalesce(sum(pg_total_relation_size(p.oid)), 0)::float8 as bytes,
        coalesce(sum(greatest(p.reltuples, 0)), 0)::float8 as rows
      from unnest(${array(tables)}::text[]) with ordinality as t(t, n)
      left join (
        select a.*, c.oid, c.reltuples from (${all(sql)}) a
        join pg_class c on c.oid = to_regclass('hookline.' || a."table" || '_' || to_char(a.day, 'YYYYMMDD'))
        where a.state <> 'detached'
      ) p on p."table" = t.t
      group by t.t, t.n order by t.n`,
    (rows) => rows.map(({ oldest, ...size }): TableSize => ({ ...size, oldestDay: oldest ?? undefined }))
  )

/**
 * Takes a partition out of its table, or goes on with it: outside of a transaction, which it can't be part of. Fails where
 * it has to wait for longer than its session may.
 */
export const detach = (
  sql: PgClient.PgClient,
  { day, state, table }: Partition
): Effect.Effect<void, SqlError.SqlError> =>
  state === "detached"
    ? Effect.void
    : Effect.asVoid(
      sql.unsafe(
        `alter table hookline.${table} detach partition hookline.${nameOf(table, day)} ${
          state === "pending" ? "finalize" : "concurrently"
        }`
      ).unprepared
    )

/** Takes a partition in again; what it was detached with tells the server that its rows fit. */
export const attach = (sql: PgClient.PgClient, { day, table }: Partition): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function*() {
    const [bounds] = yield* sql<{ readonly from: string; readonly to: string }>`
      select hookline.day_bound(${day}::date)::text as "from", hookline.day_bound(${day}::date + 1)::text as "to"`
    if (!bounds) return
    yield* sql.unsafe(
      `alter table hookline.${table} attach partition hookline.${
        nameOf(table, day)
      } for values from ('${bounds.from}') to ('${bounds.to}')`
    ).unprepared
  })

/** Drops a partition that was taken out. */
export const drop = (
  sql: PgClient.PgClient,
  { day, table }: Pick<Partition, "day" | "table">
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(sql.unsafe(`drop table hookline.${nameOf(table, day)}`).unprepared)

// --- internal ---

const nameOf = (table: HistoryTable, day: string) => `${table}_${day.replaceAll("-", "")}`

/** The first day that a term leaves. */
const firstDay = (sql: PgClient.PgClient, keptMs: number) =>
  sql`((clock_timestamp() at time zone 'utc') - make_interval(secs => ${keptMs / 1000}))::date`

/** All of them, by their names; others are nobody's business here. */
const all = (sql: PgClient.PgClient) =>
  sql`select "table", day, state from (
    select left(c.relname, -9) as "table", to_date(right(c.relname, 8), 'YYYYMMDD') as day,
      case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'pending' else 'attached' end as state
    from pg_class c left join pg_inherits i on i.inhrelid = c.oid
    where c.relnamespace = 'hookline'::regnamespace and c.relkind = 'r'
      and c.relname ~ '^(messages|routings|deliveries|attempts)_[0-9]{8}$'
  ) partitions`
