/**
 * What every process may hear, on PostgreSQL. Routing counts up the row of a group that is listened to and keeps it locked
 * until it commits, so that positions become visible in their order.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Broadcast, Broadcasting } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgRows from "./PgRows.ts"

/**
 * Makes the verbs of broadcasting.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Broadcasting => ({
  listen: (workerGroups) =>
    engine(Effect.map(
      // One that was forgotten meanwhile begins beyond where it ended.
      sql<{ readonly worker_group: string; readonly position: number }>`
        insert into hookline.listened (worker_group, position)
        select g, (extract(epoch from clock_timestamp()) * 1000)::bigint
        from unnest(${array([...new Set(workerGroups)].sort())}::text[]) g
        on conflict (worker_group) do update set listened_at = clock_timestamp()
        returning worker_group, position::float8 as position`,
      (rows) => rows.map((row) => ({ workerGroup: row.worker_group, position: row.position }))
    )),
  hear: (cursors, limit) =>
    engine(Effect.map(
      sql<PgRows.MessageRow & { readonly cursor: number; readonly position: number }>`
        select c.n::int - 1 as cursor, b.position::float8 as position,
          m.id::text, m.event_id, m.tenant_id, m.ordering_key, m.payload
        from unnest(
          ${array(cursors.map((cursor) => cursor.workerGroup))}::text[],
          ${array(cursors.map((cursor) => cursor.position))}::float8[]
        ) with ordinality as c(worker_group, position, n)
        cross join lateral (
          select b.position, b.message_id from hookline.broadcasts b
          where b.worker_group = c.worker_group and b.position > c.position::bigint
          order by b.position limit ${limit}::int
        ) b
        join hookline.messages m on m.id = b.message_id
        order by c.n, b.position`,
      (rows) =>
        rows.map((row): Broadcast => ({
          cursor: row.cursor,
          position: row.position,
          message: {
            id: PgRows.messageId(row.id),
            eventId: row.event_id,
            tenantId: row.tenant_id,
            orderingKey: row.ordering_key ?? undefined,
            payloadJson: row.payload
          }
        }))
    ))
})
