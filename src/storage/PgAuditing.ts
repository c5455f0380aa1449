/**
 * The audit log on PostgreSQL: a table that is only ever added to.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import type { Actor, AuditEntry, Fields } from "../AuditEntry.ts"
import * as Id from "../Id.ts"
import type { Auditing } from "../Storage.ts"
import * as PgErrors from "./PgErrors.ts"

/** An entry as it is stored. */
export interface AuditRow {
  readonly id: string
  readonly tenant_id: string
  readonly actor_kind: Actor["kind"]
  readonly actor_id: string | null
  readonly actor_name: string | null
  readonly action: string
  readonly resource_id: string
  readonly before: Fields | null
  readonly after: Fields | null
}

/** Reads an entry. */
export const entryOf = (row: AuditRow): AuditEntry => ({
  id: Id.AuditId.make(`aud_${Id.fromUuid(row.id)}`),
  tenantId: row.tenant_id,
  actor: { kind: row.actor_kind, id: row.actor_id ?? undefined, name: row.actor_name ?? undefined },
  action: row.action,
  resourceId: row.resource_id,
  before: row.before ?? undefined,
  after: row.after ?? undefined
})

const json = (value: unknown) => value === undefined ? null : JSON.stringify(value)

/**
 * Makes the verbs of the audit log.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Omit<Auditing, "listAudit"> => ({
  atomically: (effect) =>
    sql.withTransaction(effect).pipe(
      // A rollback is a defect where its session is gone.
      Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
      Effect.mapError((error) => SqlError.isSqlError(error) ? PgErrors.unavailable(error) : error)
    ),
  audit: ({ action, actor, after, before, id, resourceId, tenantId }) =>
    engine(Effect.asVoid(sql`insert into hookline.audit
        (id, tenant_id, actor_kind, actor_id, actor_name, action, resource_id, before, after)
      values (${Id.toUuid(id)}::uuid, ${tenantId}, ${actor.kind}, ${actor.id ?? null}, ${actor.name ?? null}, ${action},
        ${resourceId}, ${json(before)}::text::jsonb, ${json(after)}::text::jsonb)`))
})
