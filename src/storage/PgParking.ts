/**
 * What is parked though it is the first of its key, because no statement saw both it and the one that it waited for: found by a
 * look through the keys, a portion at a time. A group may have a million of them, and its owner's row is share-locked meanwhile.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { defaults } from "../Limits.ts"
import type { Dispatching } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import { fence } from "./PgOwnership.ts"

/** Makes the verb, which goes on behind the keys that it looked at last. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Dispatching["unpark"] => {
  /** Up to which key groups were looked through that have more. */
  const after = new Map<string, string>()
  return (owners) =>
    engine(Effect.suspend(() => {
      const names = owners.map(({ workerGroup }) => workerGroup)
      // One more than its share, as the first of them was looked at before.
      const keys = Math.ceil(defaults.unparkKeys / Math.max(1, owners.length)) + 1
      return Effect.map(
        sql<{ readonly worker_group: string; readonly last: string | null; readonly found: boolean }>`
          with recursive ${fence(sql, owners)}, begun as materialized (
            select f.worker_group, a.after from fence f join unnest(
              ${array(names)}::text[],
              ${array(names.map((name) => after.get(name) ?? ""))}::text[]
            ) as a(worker_group, after) on a.worker_group = f.worker_group
          ), keys(worker_group, ordering_key, n) as (
            select b.worker_group, k.ordering_key, 1 from begun b cross join lateral (
              select w.ordering_key from hookline.work w where w.due_at = 'infinity' and w.worker_group = b.worker_group
                and w.ordering_key >= b.after
              order by w.ordering_key limit 1
            ) k
            union all
            select k.worker_group, n.ordering_key, k.n + 1 from keys k cross join lateral (
              select w.ordering_key from hookline.work w where w.due_at = 'infinity' and w.worker_group = k.worker_group
                and w.ordering_key > k.ordering_key order by w.ordering_key limit 1
            ) n where k.n < ${keys}::int
          ), heads as materialized (
            select h.id from keys k cross join lateral (
              select w.id, w.due_at from hookline.work w where w.worker_group like 'subscription.%'
                and w.ordering_key is not null and w.worker_group = k.worker_group and w.ordering_key = k.ordering_key
              order by w.seq limit 1
            ) h where h.due_at = 'infinity' and not exists (
              select 1 from hookline.work e where e.worker_group like 'subscription.%' and e.ordering_key is not null
                and e.epoch is not null and e.worker_group = k.worker_group and e.ordering_key = k.ordering_key
            )
          ), found as (
            update hookline.work w set due_at = clock_timestamp() from heads h
            where w.id = h.id and w.epoch is null and w.due_at = 'infinity' returning w.worker_group
          )
          select b.worker_group, (
              select k.ordering_key from keys k where k.worker_group = b.worker_group and k.n = ${keys}::int
            ) as last, exists (select 1 from found f where f.worker_group = b.worker_group) as found
          from begun b`,
        (rows) => {
          for (const { last, worker_group } of rows) {
            if (last === null) after.delete(worker_group)
            else after.set(worker_group, last)
          }
          return rows.flatMap(({ found, worker_group }) => found ? worker_group : [])
        }
      )
    }))
}
