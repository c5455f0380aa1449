/**
 * The lists that may be long, in SQL. They have connections of their own, which plan as walks need it: see `PgWalk`.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Administration, Auditing, Walking } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgRows from "./PgRows.ts"
import * as PgWalk from "./PgWalk.ts"
import * as PgWalking from "./PgWalking.ts"

/** The verbs that list. */
export interface Lists
  extends Pick<Administration, "listDeliveries" | "listMessages">, Pick<Auditing, "listAudit">, Walking
{}

/** Makes the verbs, on connections that have `PgWalk.settings`. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine, listLook: number): Lists => {
  const walking = PgWalking.make(sql, engine)
  return {
    ...walking,
    listDeliveries: (filter, page) => PgWalk.full((walked) => walking.walkDeliveries(filter, walked), page, listLook),
    listAudit: (filter, page) => PgWalk.full((walked) => walking.walkAudit(filter, walked), page, listLook),
    listMessages: (filter, page) =>
      engine(Effect.gen(function*() {
        const { items, next } = yield* PgWalking.messages(sql, filter, { ...page, look: listLook })
        let left = page.bytes
        const kept = items.filter(({ size }, i) => {
          left -= size
          return i === 0 || left >= 0
        })
        const rows = yield* sql<PgRows.MessageRow>`select x.* from unnest(${
          array(kept.map(({ id }) => id))
        }::uuid[]) as u(id)
          cross join lateral (${messages(sql)} where m.id = u.id limit 1) x order by x.key desc`.unprepared
        const read = rows.map(PgRows.message)
        const isCut = kept.length < items.length
        return { items: read, more: next !== undefined || isCut, next: isCut ? read.at(-1)?.id : next }
      }))
  }
}

/** Messages `m` with what became of them. */
export const messages = (sql: PgClient.PgClient) =>
  sql`select m.id as key, m.id::text, m.seq::float8 as seq, m.event_id, m.tenant_id, m.ordering_key, m.payload,
    ${sql.literal(PgRows.timeColumns)}, ${
    sql.literal(PgRows.ms("r.routed_at"))
  } as routed_at, r.version::float8 as version, r.matched, r.filtered,
    ${sql.literal(PgRows.ms("i.set_aside_at"))} as set_aside_at, i.error
    from hookline.messages m left join hookline.routings r on r.message_id = m.id
    left join hookline.inbox i on i.message_id = m.id`
