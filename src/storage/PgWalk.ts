/**
 * A walk along an index, as a part of a statement: the rows below an id that agree with the index's first columns, newest
 * first, a bounded number of them. What else is asked for is a filter on the way; where it leaves little, the page is short
 * and the next one goes on from where the walk ended. So no list reads more than a walk, whatever is stored.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError, Statement } from "effect/sql"
import * as Id from "../Id.ts"
import type { Page, Walked, WalkPage } from "../Storage.ts"
import { isListed } from "./Migrations.ts"

/** A part of a statement. */
export type Fragment = Statement.Fragment

/** The first id that there can be, as text. */
export const first = "0".repeat(32)

/** The last one. */
export const last = "f".repeat(32)

/** What is walked: an index whose columns are those of `prefix` and then the id. */
export interface Walk {
  readonly table: "deliveries" | "work" | "messages" | "audit" | "inbox"
  /** The column of the id; `id` when left out. */
  readonly key?: string
  /** The columns that are read. */
  readonly columns?: string
  /** Columns of the index with their values. */
  readonly prefix: ReadonlyArray<readonly [column: string, value: Fragment]>
  /** The condition that a partial index is made for. */
  readonly where?: string
}

/** Between which ids: from the first on, before the second. */
export interface Span {
  readonly from?: string
  readonly before?: string
}

/** A row of a walk: its key as text, its place in it, and whether it is meant. */
export interface Step {
  readonly key_text: string
  readonly n: number
  readonly fits: boolean
}

/**
 * The rows `t` of a walk with their places `n`.
 *
 * The index's columns are compared as a row, and ordered by, though they are equal in all rows: so no other index will do, and
 * statistics that are old or wrong can't make the server choose one that has to look at rows of others. The bare comparison of
 * the id leaves partitions out.
 */
export const rows = (sql: PgClient.PgClient, walk: Walk, span: Span, look: number) =>
  part(sql, walk, span, look, (order) => `row_number() over (order by ${order})`)

/** The rows `t` of a part of a table that is looked at whole, which is no walk: their places are 0. */
export const whole = (sql: PgClient.PgClient, walk: Walk, span: Span, most: number) =>
  part(sql, walk, span, most, () => "0::bigint")

/** Whether an id lies within a span. */
export const within = (sql: PgClient.PgClient, column: string, { before = last, from = first }: Span) =>
  sql`(${sql.literal(column)} >= ${from}::uuid and ${sql.literal(column)} < ${before}::uuid)`

/** A number of rows, as the server is to know it when it plans: a parameter it would take for a tenth of them all. */
export const count = (sql: PgClient.PgClient, rows: number) => sql.literal(String(Math.trunc(rows)))

/** The ids that a page and times leave. */
export const span = (
  { cursor }: Page,
  { fromMs, toMs }: { readonly fromMs?: number; readonly toMs?: number } = {}
): Span => {
  const ends = [
    ...(cursor === undefined ? [] : [Id.toUuid(cursor)]),
    ...(toMs === undefined ? [] : [at(toMs + 1)])
  ].sort()
  return {
    ...(fromMs === undefined ? {} : { from: at(fromMs) }),
    ...(ends[0] === undefined ? {} : { before: ends[0] })
  }
}

/**
 * Runs the walks of a list on a connection that has `settings`, as one statement that is planned for the values it has, and makes a page of what they found: up
 * to where the first of them ended that did not come to its end.
 */
export const page = <Row extends Step, A>(
  sql: PgClient.PgClient,
  walks: ReadonlyArray<Fragment>,
  { limit, look }: WalkPage,
  read: { readonly item: (row: Row) => A; readonly id: (uuid: string) => string }
): Effect.Effect<Walked<A>, SqlError.SqlError> =>
  Effect.map(
    walks.length === 0 ? Effect.succeed([]) : statement<Row>(sql, walks).unprepared,
    (found) => {
      const ended = found.flatMap((row) => row.n >= look ? [row.key_text] : []).sort().at(-1)
      const items = found
        .filter((row) => row.fits && (ended === undefined || row.key_text >= ended))
        .sort((a, b) => a.key_text < b.key_text ? 1 : -1)
      const next = items.length > limit ? items[limit - 1]?.key_text : ended
      return {
        items: items.slice(0, limit).map(read.item),
        next: next === undefined ? undefined : read.id(Id.fromUuid(next))
      }
    }
  )

/**
 * Settings of the connections that walk: what a row comparison leaves, the server takes for a row or two, and would rather read
 * it all and sort it; and to compile a statement takes longer than to run it.
 */
export const settings = {
  enable_sort: "off",
  enable_seqscan: "off",
  enable_bitmapscan: "off",
  jit: "off"
}

/** Sets them until the transaction ends, for statements that leave the server no other way than along an index either. */
export const set = (sql: PgClient.PgClient) =>
  sql`select ${
    sql.join(", ", false)(Object.entries(settings).map(([name, value]) => sql`set_config(${name}, ${value}, true)`))
  }`

/** The walks of a list as one statement. */
export const statement = <Row extends Step>(sql: PgClient.PgClient, walks: ReadonlyArray<Fragment>) =>
  sql<Row>`${sql.join(" union all ", false)(walks.map((walk) => sql`(${walk})`))}`

/** Reads on until a page is full, or there is no more. */
export const full = <A, E, R>(
  walk: (page: WalkPage) => Effect.Effect<Walked<A>, E, R>,
  { cursor, limit }: Page,
  look: number
): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.gen(function*() {
    const items: Array<A> = []
    let next = cursor
    do {
      const found = yield* walk({ cursor: next, limit: limit - items.length, look })
      items.push(...found.items)
      next = found.next
    } while (next !== undefined && items.length < limit)
    return items
  })

// --- internal ---

const part = (
  sql: PgClient.PgClient,
  { columns = "t.*", key = "id", prefix, table, where = "true" }: Walk,
  span: Span,
  look: number,
  place: (order: string) => string
) => {
  const names = [...prefix.map(([column]) => `t.${column}`), `t.${key}`]
  const order = names.map((name) => `${name} desc`).join(", ")
  const bound = (uuid: string) =>
    prefix.length === 0
      ? sql`${uuid}::uuid`
      : sql`(${sql.join(", ", false)([...prefix.map(([, value]) => value), sql`${uuid}::uuid`])})`
  const left = sql.literal(prefix.length === 0 ? `t.${key}` : `(${names.join(", ")})`)
  const from = span.from ?? first
  const before = span.before ?? last
  return sql`select ${sql.literal(`${columns}, ${place(order)}`)} as n
    from ${sql.literal(`hookline.${table}`)} t
    where ${left} >= ${bound(from)} and ${left} < ${bound(before)}
      and ${within(sql, `t.${key}`, span)} and ${sql.literal(where)}
      and ${sql.literal(table === "work" ? isListed("t.") : "true")}
    order by ${sql.literal(order)} limit ${count(sql, look)}`
}

/** The first id of a millisecond. */
const at = (ms: number): string => ms.toString(16).padStart(12, "0") + "0".repeat(20)
