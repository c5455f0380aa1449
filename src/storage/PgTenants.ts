/**
 * Whose subscriptions are, as a part of a statement: the rows of a tenant's own are all the tenant's, those of a work queue
 * everybody's. What is bounded by rows looked at asks this before it looks along a subscription, or its bound would tell a
 * tenant how many others have.
 */
import type { PgClient } from "@effect/sql-pg"
import { allTenants } from "../Message.ts"
import { array } from "./PgArray.ts"

/** Whether all of these subscriptions, by their UUIDs, are the tenant's own. */
export const areOwn = (sql: PgClient.PgClient, ids: ReadonlyArray<string>, tenantId: string) =>
  sql`((select count(*) from hookline.subscriptions s
    where s.id = any(${array(ids)}::uuid[]) and s.tenant_id = ${tenantId}) = ${ids.length}::int)`

/** Whether a subscription `s` is a work queue: nobody's. */
export const isWorkQueue = (sql: PgClient.PgClient) => sql`s.tenant_id = ${allTenants}`

/** Whether a row is of a work queue, that one too which was deleted. */
export const ofWorkQueue = (sql: PgClient.PgClient, row: string) =>
  sql`exists (select 1 from hookline.subscriptions s
    where s.id = ${sql.literal(row)}.subscription_id and ${isWorkQueue(sql)})`
