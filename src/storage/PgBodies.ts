/**
 * Emptying bodies whose tenant keeps them for a shorter time than history, in SQL: message by message along the tenant's
 * index, each looked at once. What something still needs is noted apart, and looked at again.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { emptied } from "../Message.ts"
import { isListed } from "./Migrations.ts"
import { array } from "./PgArray.ts"
import * as PgReplaying from "./PgReplaying.ts"

/** How often what is still needed is looked at again, in seconds. */
const againSeconds = 60

/** Empties a batch of each tenant with a term. */
export const empty = (
  sql: PgClient.PgClient,
  options: { readonly rows: number; readonly settledMs: number }
) =>
  Effect.gen(function*() {
    const tenants = yield* sql<{ readonly id: string }>`select tenant_id as id from hookline.tenant_terms order by 1`
    const found = yield* Effect.forEach(tenants, ({ id }) => sql.withTransaction(ofTenant(sql, id, options)))
    return {
      emptied: found.reduce((sum, one) => sum + one.emptied, 0),
      more: found.some(({ more }) => more)
    }
  })

// --- internal ---

const ofTenant = Effect.fnUntraced(function*(
  sql: PgClient.PgClient,
  tenantId: string,
  { rows, settledMs }: { readonly rows: number; readonly settledMs: number }
) {
  const [term] = yield* sql<{ readonly reached: string; readonly until: string }>`
    select reached::text, hookline.day_bound(
      ((clock_timestamp() at time zone 'utc') - make_interval(days => kept_days))::date)::text as until
    from hookline.tenant_terms where tenant_id = ${tenantId} for update`
  if (!term) return { emptied: 0, more: false }
  // Waits for those who deliver something again, and keeps others from it: what follows sees what they did.
  yield* sql`select 1 from hookline.retention for update`
  const left = yield* sql<{ readonly id: string }>`select message_id::text as id from hookline.bodies_left
    where tenant_id = ${tenantId} and looked_at < clock_timestamp() - make_interval(secs => ${againSeconds})
    order by looked_at limit ${rows}::int`
  // As rows, so that no other index will do, see `PgWalk`; and without sorting, so that it stops at the limit.
  yield* sql`select ${PgReplaying.sorts(sql, false)}`
  const next = yield* sql<{ readonly id: string }>`select m.id::text as id from hookline.messages m
    where (m.tenant_id, m.id) > (${tenantId}, ${term.reached}::uuid) and (m.tenant_id, m.id) < (${tenantId}, ${term.until}::uuid)
      and m.id > ${term.reached}::uuid and m.id < ${term.until}::uuid
    order by m.tenant_id, m.id limit ${rows}::int`
  yield* sql`select ${PgReplaying.sorts(sql, true)}`
  const ids = [...left, ...next].map(({ id }) => id)
  if (ids.length === 0) return { emptied: 0, more: false }
  const free = (yield* sql<{ readonly id: string }>`select u.id::text as id
    from unnest(${array(ids)}::uuid[]) as u(id)
    where not exists (select 1 from hookline.work w where w.message_id = u.id and ${sql.literal(isListed("w."))})
      and not exists (select 1 from hookline.inbox i where i.message_id = u.id)
      and not exists (select 1 from hookline.routings r where r.message_id = u.id and r.message_id = any(${
    array(ids)
  }::uuid[]) and r.routed_at > clock_timestamp() - make_interval(secs => ${settledMs / 1000}))`).map(({ id }) => id)
  const given = sql`any(${array(free)}::uuid[])`
  const messages = free.length === 0 ? [] : yield* sql`update hookline.messages m set payload = ${emptied}
    where m.id = ${given} and m.payload <> ${emptied} returning 1`
  if (free.length > 0) {
    yield* sql`update hookline.routings r set transformed = null
      where r.message_id = ${given} and r.transformed is not null`
    // One by one, so that each is looked for in the partition of its day.
    const made = yield* sql<{ readonly id: string }>`select d.id::text as id from hookline.deliveries d
      where d.message_id = ${given} and d.attempts > 0`
    if (made.length > 0) {
      yield* sql`update hookline.attempts a set response = null, request = null
        where a.delivery_id = any(${array(made.map(({ id }) => id))}::uuid[])
          and (a.response is not null or a.request is not null)`
    }
  }
  const needed = ids.filter((id) => !free.includes(id))
  yield* sql`delete from hookline.bodies_left where tenant_id = ${tenantId} and message_id = ${given}`
  if (needed.length > 0) {
    yield* sql`insert into hookline.bodies_left (tenant_id, message_id)
      select ${tenantId}, u.id from unnest(${array(needed)}::uuid[]) as u(id)
      on conflict (tenant_id, message_id) do update set looked_at = excluded.looked_at`
  }
  const last = next.at(-1)
  if (last) {
    yield* sql`update hookline.tenant_terms set reached = ${last.id}::uuid where tenant_id = ${tenantId}`
  }
  return { emptied: messages.length, more: next.length >= rows }
})
