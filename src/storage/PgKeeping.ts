/**
 * API keys on PostgreSQL.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import type { Key, Scope } from "../Key.ts"
import type { Keeping } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import { ms } from "./PgRows.ts"
import { count } from "./PgWalk.ts"

interface KeyRow {
  readonly id: string
  readonly tenant_id: string
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  readonly prefix: string
  readonly digest: string
  readonly expires_at: number | null
  readonly revoked_at: number | null
  readonly last_used_at: number | null
  readonly created_at: number
}

const columns = `id::text, tenant_id, name, scopes, prefix, digest, ${ms("expires_at")} as expires_at,
  ${ms("revoked_at")} as revoked_at, ${ms("last_used_at")} as last_used_at, ${ms("created_at")} as created_at`

const keyOf = (row: KeyRow): Key => ({
  id: Id.KeyId.make(`key_${Id.fromUuid(row.id)}`),
  tenantId: row.tenant_id,
  name: row.name,
  scopes: row.scopes,
  prefix: row.prefix,
  digest: row.digest,
  expiresAtMs: row.expires_at ?? undefined,
  revokedAtMs: row.revoked_at ?? undefined,
  lastUsedAtMs: row.last_used_at ?? undefined,
  createdAtMs: row.created_at
})

/**
 * Makes the verbs of keeping keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Keeping => {
  const at = (ms: number | undefined) => sql`to_timestamp(${ms ?? null}::float8 / 1000.0)`
  const one = ([row]: ReadonlyArray<KeyRow>) => row === undefined ? Option.none() : Option.some(keyOf(row))
  return {
    createKey: (key) =>
      engine(Effect.asVoid(sql`insert into hookline.keys
          (id, tenant_id, name, scopes, prefix, digest, expires_at, revoked_at, last_used_at, created_at)
        values (${Id.toUuid(key.id)}::uuid, ${key.tenantId}, ${key.name}, ${array(key.scopes)}::text[], ${key.prefix},
          ${key.digest}, ${at(key.expiresAtMs)}, ${at(key.revokedAtMs)}, ${at(key.lastUsedAtMs)}, ${
        at(key.createdAtMs)
      })`)),
    getKey: (id) =>
      engine(Effect.map(
        sql<KeyRow>`select ${sql.literal(columns)} from hookline.keys where id = ${Id.toUuid(id)}::uuid`,
        one
      )),
    findKey: (digest) =>
      engine(Effect.map(
        sql<KeyRow>`select ${sql.literal(columns)} from hookline.keys where digest = ${digest}`,
        one
      )),
    listKeys: ({ tenantId }, { cursor, limit }) =>
      engine(Effect.map(
        sql<KeyRow>`select ${sql.literal(columns)} from hookline.keys where ${
          sql.and([
            sql`true`,
            ...(tenantId === undefined ? [] : [sql`tenant_id = ${tenantId}`]),
            ...(cursor === undefined ? [] : [sql`id < ${Id.toUuid(cursor)}::uuid`])
          ])
        } order by keys.id desc limit ${count(sql, limit)}`,
        (rows) => rows.map(keyOf)
      )),
    revokeKey: (id, atMs) =>
      engine(Effect.map(
        sql`update hookline.keys set revoked_at = ${at(atMs)}
          where id = ${Id.toUuid(id)}::uuid and revoked_at is null returning 1`,
        (rows) => rows.length > 0
      )),
    useKeys: (uses) =>
      engine(Effect.asVoid(sql`with u as materialized (
          select k.id, to_timestamp(x.ms / 1000.0) as at from unnest(
            ${array(uses.map(({ id }) => Id.toUuid(id)))}::uuid[], ${array(uses.map(({ atMs }) => atMs))}::float8[]
          ) as x (id, ms) join hookline.keys k on k.id = x.id order by k.id for no key update of k
        )
        update hookline.keys k set last_used_at = greatest(k.last_used_at, u.at) from u where k.id = u.id`))
  }
}
