/**
 * Connections on PostgreSQL. Whoever changes one locks its row first, then the version of the subscriptions, then those that
 * use it in the order of their ids, as claims and records lock several too.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option } from "effect"
import type { Connection } from "../Connection.ts"
import * as Id from "../Id.ts"
import type { Connecting } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgRows from "./PgRows.ts"

interface ConnectionRow {
  readonly id: string
  readonly tenant_id: string
  readonly provider_id: string
  readonly name: string
  readonly config: Connection["config"]
  readonly version: number
  readonly created_at: number
  readonly updated_at: number
}

const columns = `c.id::text, c.tenant_id, c.provider_id, c.name, c.config, c.version::float8 as version,
  ${PgRows.ms("c.created_at")} as created_at, ${PgRows.ms("c.updated_at")} as updated_at`

const connectionOf = (row: ConnectionRow): Connection => ({
  id: PgRows.connectionId(row.id),
  tenantId: row.tenant_id,
  providerId: row.provider_id,
  name: row.name,
  config: row.config,
  version: row.version,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at
})

/** Reads the connections that subscriptions use. */
export const used = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<ConnectionRow>`select ${sql.literal(columns)} from hookline.connections c where exists (
      select 1 from hookline.subscriptions s where s.connection_id = c.id and s.deleted_at is null)`,
    (rows) => rows.map(connectionOf)
  )

/**
 * Makes the verbs of keeping connections.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Connecting => {
  const at = (ms: number) => sql`to_timestamp(${ms}::float8 / 1000.0)`
  const json = (config: Connection["config"]) => sql`${JSON.stringify(config)}::text::jsonb`
  const one = (id: Id.ConnectionId, lock: "" | "for share" | "for update") =>
    Effect.map(
      sql<ConnectionRow>`select ${sql.literal(columns)} from hookline.connections c
        where c.id = ${Id.toUuid(id)}::uuid ${sql.literal(lock)}`,
      ([row]) => row === undefined ? Option.none() : Option.some(connectionOf(row))
    )

  const users = (id: Id.ConnectionId) =>
    Effect.map(
      sql<{ readonly n: number }>`select count(*)::int as n from hookline.subscriptions
        where connection_id = ${Id.toUuid(id)}::uuid and deleted_at is null`,
      ([row]) => row?.n ?? 0
    )

  /** Gives the subscriptions that use a changed connection a version of their own change. */
  const bind = Effect.fnUntraced(function*(id: Id.ConnectionId) {
    if ((yield* users(id)) === 0) return []
    const [bumped] = yield* sql<{ readonly version: number }>`
      update hookline.subscription_version set version = version + 1 returning version::float8 as version`
    const version = bumped?.version ?? 0
    const locked = yield* sql<{ readonly id: string }>`select id::text from hookline.subscriptions
      where connection_id = ${Id.toUuid(id)}::uuid and deleted_at is null order by id for no key update`
    const ids = array(locked.map((row) => row.id))
    yield* sql`update hookline.subscriptions set version = ${version}::float8::bigint where id = any(${ids}::uuid[])`
    // They may have been mended: they begin anew.
    yield* sql`with closed as materialized (
        select subscription_id from hookline.circuits where subscription_id = any(${ids}::uuid[])
        order by subscription_id for update
      )
      delete from hookline.circuits c using closed where c.subscription_id = closed.subscription_id`
    return locked.map((row) => ({ id: PgRows.subscriptionId(row.id), version }))
  })

  return {
    createConnection: ({ config, createdAtMs, id, name, providerId, tenantId, updatedAtMs, version }) =>
      engine(Effect.asVoid(sql`insert into hookline.connections
          (id, tenant_id, provider_id, name, config, version, created_at, updated_at)
        values (${Id.toUuid(id)}::uuid, ${tenantId}, ${providerId}, ${name}, ${json(config)},
          ${version}::float8::bigint, ${at(createdAtMs)}, ${at(updatedAtMs)})`)),
    getConnection: (id) => engine(one(id, "")),
    holdConnection: (id) => engine(one(id, "for share")),
    listConnections: ({ providerId, tenantId }, { cursor, limit }) =>
      engine(Effect.map(
        sql<ConnectionRow>`select ${sql.literal(columns)} from hookline.connections c where ${
          sql.and([
            sql`true`,
            ...(tenantId === undefined ? [] : [sql`c.tenant_id = ${tenantId}`]),
            ...(providerId === undefined ? [] : [sql`c.provider_id = ${providerId}`]),
            ...(cursor === undefined ? [] : [sql`c.id < ${Id.toUuid(cursor)}::uuid`])
          ])
        } order by c.id desc limit ${limit}::int`,
        (rows) => rows.map(connectionOf)
      )),
    updateConnection: (id, change) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const found = yield* one(id, "for update")
        if (Option.isNone(found)) return Option.none()
        const current = found.value
        const wanted = change(current)
        if (wanted === current) return Option.some({ connection: current, subscriptions: [] })
        const connection = { ...wanted, version: current.version + 1 }
        yield* sql`update hookline.connections set name = ${connection.name}, config = ${json(connection.config)},
          version = ${connection.version}::float8::bigint, updated_at = ${at(connection.updatedAtMs)}
          where id = ${Id.toUuid(id)}::uuid`
        return Option.some({ connection, subscriptions: connection.config === current.config ? [] : yield* bind(id) })
      }))),
    deleteConnection: (id) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const found = yield* one(id, "for update")
        if (Option.isNone(found)) return Option.none()
        const n = yield* users(id)
        if (n === 0) yield* sql`delete from hookline.connections where id = ${Id.toUuid(id)}::uuid`
        return Option.some(n)
      })))
  }
}
