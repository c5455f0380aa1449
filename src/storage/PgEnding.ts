/**
 * Unfinished deliveries that count as ended already: of messages that have expired, and of deleted subscriptions. Housekeeping
 * ends them soon, so they are few and looked at whole; where they are not few, whoever lists walks all that is unfinished.
 */
import type { PgClient } from "@effect/sql-pg"
import * as Id from "../Id.ts"
import { defaults } from "../Limits.ts"
import { allTenants } from "../Message.ts"
import type { DeliveryFilter } from "../Storage.ts"
import { array } from "./PgArray.ts"
import * as PgWalk from "./PgWalk.ts"

/** They, as parts of a statement. */
export interface Ending {
  /** Of a `with`: their rows of `work` in `few`, up to one more than may be looked at. */
  readonly few: PgWalk.Fragment
  /** Whether all of them are in `few`. How many others have never matters where a tenant is named. */
  readonly isFew: PgWalk.Fragment
}

/** Those whose message has expired. */
export const expired = (sql: PgClient.PgClient, { tenantId }: DeliveryFilter, look: number): Ending => {
  const now = sql`statement_timestamp()`
  return {
    few: sql`few as materialized (
      select w.*, 0::bigint as n from hookline.work w where w.expires_at is not null and ${
      tenantId === undefined
        ? sql`w.expires_at <= ${now} order by w.expires_at`
        // As a row, so that no other index will do: see `PgWalk`.
        : sql`(w.tenant_id, w.expires_at) > (${tenantId}, '-infinity'::timestamptz)
          and (w.tenant_id, w.expires_at) <= (${tenantId}, ${now}) order by w.tenant_id, w.expires_at`
    } limit ${PgWalk.count(sql, look + 1)}
    )`,
    isFew: isFew(sql, look)
  }
}

/** Those of deleted subscriptions. */
export const deleted = (
  sql: PgClient.PgClient,
  { subscriptionId, subscriptionIds, tenantId }: DeliveryFilter,
  span: PgWalk.Span,
  look: number
): Ending => {
  const ids = subscriptionId === undefined ? subscriptionIds : [subscriptionId]
  const meant = ids === undefined ? sql`true` : sql`s.id = any(${array(ids.map(Id.toUuid))}::uuid[])`
  const isEnding = sql`s.deleted_at is not null and not s.ended`
  const of = (tenantId: string) => sql`s.tenant_id = ${tenantId}`
  return {
    few: sql`gone as materialized (
      select s.id from hookline.subscriptions s
      where ${isEnding} and ${meant} and ${tenantId === undefined ? sql`true` : of(tenantId)}
      limit ${PgWalk.count(sql, defaults.listDeleted + 1)}
    ), few as materialized (
      select w.* from gone s cross join lateral (${
      PgWalk.whole(sql, { table: "work", prefix: [["subscription_id", sql`s.id`]] }, span, look + 1)
    }) w limit ${PgWalk.count(sql, look + 1)}
    )`,
    isFew: sql`(${isFew(sql, look)} and (select count(*) from gone) <= ${PgWalk.count(sql, defaults.listDeleted)}
      ${
      // A deleted work queue has deliveries of all tenants, in an order that is not by tenant.
      tenantId === undefined
        ? sql``
        : sql`and not exists (select 1 from hookline.subscriptions s where ${isEnding} and ${meant} and ${
          of(allTenants)
        })`})`
  }
}

// --- internal ---

const isFew = (sql: PgClient.PgClient, look: number) => sql`(select count(*) from few) <= ${PgWalk.count(sql, look)}`
