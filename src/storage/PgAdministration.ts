/**
 * Administration and reading in SQL. A change of a subscription locks the version's row first: it waits for the routes that
 * still match by the old one, and later ones see the new.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option } from "effect"
import type { Statement } from "effect/sql"
import * as Id from "../Id.ts"
import { defaults } from "../Limits.ts"
import type { Administration, Page } from "../Storage.ts"
import { ownGroup, type Subscription } from "../Subscription.ts"
import * as PgAppend from "./PgAppend.ts"
import { array } from "./PgArray.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgIntervening from "./PgIntervening.ts"
import * as PgListing from "./PgListing.ts"
import * as PgMoving from "./PgMoving.ts"
import * as PgOrdering from "./PgOrdering.ts"
import * as PgRows from "./PgRows.ts"
import * as PgTenants from "./PgTenants.ts"
import { unfinished } from "./PgUnfinished.ts"
import type { Upkeep } from "./PgUpkeep.ts"
import * as PgWalk from "./PgWalk.ts"

/** Makes the verbs of administration, without the lists that may be long and upkeep. */
export const make = (
  sql: PgClient.PgClient,
  engine: PgErrors.Engine
): Omit<Administration, keyof PgListing.Lists | keyof Upkeep> => {
  // Locked before anything is read, so that changes and the routes that match by the version take turns.
  const lock = sql`select 1 from hookline.subscription_version for update`

  const bump = Effect.map(
    sql<{ readonly version: number }>`
      update hookline.subscription_version set version = version + 1 returning version::float8 as version`,
    ([row]) => row?.version ?? 0
  )

  const at = (ms: number | undefined) => sql`to_timestamp(${ms ?? null}::float8 / 1000.0)`

  const json = (value: unknown) => value === undefined ? null : JSON.stringify(value)

  const values = (item: Omit<Subscription, "version">, version: number) =>
    sql`(${Id.toUuid(item.id)}::uuid, ${item.tenantId}, ${item.name}, ${item.description ?? null},
      ${array(item.events)}::text[], ${item.providerId}, ${JSON.stringify(item.config)}::text::jsonb,
      ${item.connectionId === undefined ? null : Id.toUuid(item.connectionId)}::uuid,
      ${JSON.stringify(item.signingSecrets)}::text::jsonb,
      ${json(item.retry)}::text::jsonb, ${json(item.filter)}::text::jsonb,
      ${item.ordered}, ${item.maxConcurrency ?? null}::int, ${json(item.rateLimit)}::text::jsonb,
      ${item.enabled}, ${item.disabledReason ?? null}, ${at(item.disabledAtMs)}, ${version}::float8::bigint,
      ${at(item.createdAtMs)}, ${at(item.updatedAtMs)})`

  const columns = sql.literal(
    "(id, tenant_id, name, description, events, provider_id, config, connection_id, signing_secrets, retry, filter, ordered, " +
      "max_concurrency, rate_limit, enabled, disabled_reason, disabled_at, version, created_at, updated_at)"
  )

  const subscription = (id: string) =>
    Effect.map(
      sql<PgRows.SubscriptionRow>`select ${sql.literal(PgRows.subscriptionColumns)} from hookline.subscriptions
        where id = ${Id.toUuid(id)}::uuid and deleted_at is null`,
      ([row]) => row === undefined ? Option.none() : Option.some(PgRows.subscription(row))
    )

  /** Applies a change within a transaction that holds the lock. */
  const changed = Effect.fnUntraced(function*(current: Subscription, change: (current: Subscription) => Subscription) {
    const wanted = change(current)
    if (wanted === current) return current
    const version = yield* bump
    const next = { ...wanted, version }
    yield* sql`update hookline.subscriptions set ${columns} = row ${values(next, version)}
      where id = ${Id.toUuid(current.id)}::uuid`
    // It may have been mended: it begins anew.
    const { config, connectionId, enabled } = current
    if (next.config !== config || next.connectionId !== connectionId || next.enabled !== enabled) {
      yield* sql`delete from hookline.circuits where subscription_id = ${Id.toUuid(current.id)}::uuid`
    }
    if (ownGroup(next) !== ownGroup(current) || next.ordered !== current.ordered) {
      yield* PgMoving.some(sql, Id.toUuid(current.id), defaults.maintenanceRows)
    }
    return next
  })

  const before = ({ cursor }: Page, column: string) =>
    cursor === undefined ? sql`true` : sql`${sql.literal(column)} < ${Id.toUuid(cursor)}::uuid`

  const is = (column: string, value: string | undefined, cast: "uuid" | "text") =>
    value === undefined ? sql`true` : sql`${sql.literal(column)} = ${value}::${sql.literal(cast)}`

  return {
    createSubscription: (item) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const version = yield* bump
        yield* sql`insert into hookline.subscriptions ${columns} values ${values(item, version)}`
        return version
      }))),
    ensureSubscription: (item, change) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        yield* lock
        const [row] = yield* sql<PgRows.SubscriptionRow>`
          select ${sql.literal(PgRows.subscriptionColumns)} from hookline.subscriptions
          where tenant_id = ${item.tenantId} and provider_id = ${item.providerId} and deleted_at is null
          order by id limit 1`
        if (row) return yield* changed(PgRows.subscription(row), change)
        const version = yield* bump
        yield* sql`insert into hookline.subscriptions ${columns} values ${values(item, version)}`
        return { ...item, version }
      }))),
    updateSubscription: (id, change, message) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        yield* lock
        const current = yield* subscription(id)
        if (Option.isNone(current)) return current
        const next = yield* changed(current.value, change)
        if (message && next !== current.value) {
          yield* sql`with m as (${PgAppend.rows(sql, [message])}), ${PgAppend.inserts(sql, "m")} select 1`
        }
        return Option.some(next)
      }))),
    deleteSubscription: (id) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        yield* lock
        const rows = yield* sql`update hookline.subscriptions set deleted_at = clock_timestamp(), enabled = false
          where id = ${Id.toUuid(id)}::uuid and deleted_at is null returning 1`
        if (rows.length > 0) yield* bump
        yield* sql`delete from hookline.circuits where subscription_id = ${Id.toUuid(id)}::uuid`
        return rows.length > 0
      }))),
    getSubscription: (id) => engine(subscription(id)),
    workQueues: (ids) =>
      engine(Effect.map(
        sql<{ readonly id: string }>`select s.id::text from hookline.subscriptions s
          where s.id = any(${array(ids.map(Id.toUuid))}::uuid[]) and ${PgTenants.isWorkQueue(sql)}`,
        (rows) => new Set(rows.map(({ id }) => PgRows.subscriptionId(id)))
      )),
    listSubscriptions: ({ connectionId, enabled, failing, tenantId }, page) =>
      engine(Effect.map(
        sql<PgRows.SubscriptionRow>`select ${sql.literal(PgRows.subscriptionColumns)} from hookline.subscriptions
          where deleted_at is null and ${is("tenant_id", tenantId, "text")}
            and ${is("connection_id", connectionId && Id.toUuid(connectionId), "uuid")}
            and ${enabled === undefined ? sql`true` : sql`enabled = ${enabled}`}
            and ${failing === undefined ? sql`true` : sql`${failing} = ${isFailing(sql)}`} and ${before(page, "id")}
          order by subscriptions.id desc limit ${PgWalk.count(sql, page.limit)}`,
        (rows) => rows.map(PgRows.subscription)
      )),
    health: (ids) =>
      engine(Effect.map(
        sql<PgRows.HealthRow>`select ${sql.literal(PgRows.healthColumns)} from hookline.circuits c
          where c.subscription_id = any(${array(ids.map(Id.toUuid))}::uuid[])`,
        (rows) => rows.map(PgRows.health)
      )),
    claimants: (id) =>
      engine(sql.withTransaction(Effect.andThen(
        PgWalk.set(sql),
        Effect.map(
          sql<{ readonly worker_group: string; readonly epoch: number }>`
            select c.worker_group, c.epoch::float8 as epoch from (${PgOrdering.claimed(sql, Id.toUuid(id))}) c
            union
            (select distinct on (o.runner_id) o.worker_group, o.epoch::float8 from hookline.owners o
            join hookline.runners r on r.id = o.runner_id and r.lease_until > clock_timestamp()
            where ${PgOrdering.isOfEvent(sql, "o.worker_group")} order by o.runner_id, o.worker_group)
            union
            select o.worker_group, 0 from hookline.owners o
            where ${PgOrdering.isOfEvent(sql, "o.worker_group")} and o.claimable_at > clock_timestamp()`,
          (rows) => rows.map((row) => ({ workerGroup: row.worker_group, partition: 0, epoch: row.epoch }))
        )
      ))),
    getMessage: (id) =>
      engine(Effect.map(
        sql<PgRows.MessageRow>`${PgListing.messages(sql)} where m.id = ${Id.toUuid(id)}::uuid`,
        ([row]) => row === undefined ? Option.none() : Option.some(PgRows.message(row))
      )),
    retryMessage: (id) =>
      engine(Effect.gen(function*() {
        const rows = yield* sql`update hookline.inbox set set_aside_at = null, error = null
          where message_id = ${Id.toUuid(id)}::uuid and set_aside_at is not null returning 1`
        if (rows.length > 0) return "Retried"
        const known = yield* sql`select 1 from hookline.messages where id = ${Id.toUuid(id)}::uuid`
        return known.length > 0 ? "NotRetryable" : "NotFound"
      })),
    getDelivery: (id) =>
      engine(Effect.gen(function*() {
        const uuid = Id.toUuid(id)
        const [row] = yield* sql<PgRows.DeliveryRow>`
          select * from (${unfinished(sql)}) d where d.key = ${uuid}::uuid union all
          select * from (${finished(sql)}) d where d.key = ${uuid}::uuid`
        if (!row) return Option.none()
        const attempts = yield* sql<PgRows.OutlineRow & PgRows.TextsRow>`select ${sql.literal(PgRows.attemptColumns)}
          from hookline.attempts where delivery_id = ${uuid}::uuid order by number`
        const delivery = PgRows.delivery(row)
        return Option.some({ delivery, attempts: attempts.map((attempt) => PgRows.attempt(attempt, delivery)) })
      })),
    ...PgIntervening.make(sql, engine),
    partitions: engine(Effect.map(
      sql<{ readonly event_id: string; readonly count: number }>`
        select event_id, count::int as count from hookline.partitions where count > 1`,
      (rows) => new Map(rows.map((row) => [row.event_id, row.count]))
    )),
    setPartitions: (eventId, count) =>
      engine(Effect.asVoid(sql`insert into hookline.partitions (event_id, count) values (${eventId}, ${count}::int)
        on conflict (event_id) do update set count = excluded.count`)),
    // Autovacuum would, but not before a minute has gone by, in which a busy queue leaves half a million dead rows at its head.
    clear: (removedRows) =>
      engine(Effect.gen(function*() {
        const found = yield* ownTables(
          sql,
          sql`s.relname in ('inbox', 'work') and s.n_dead_tup > ${removedRows} + s.n_live_tup / 20`
        )
        // Of few dead rows in a large queue their entries in the indexes would be left, and these are what is in the way. What is
        // free at a table's end is kept: giving it back would lock out everybody.
        yield* Effect.forEach(found, (name) =>
          sql`vacuum (skip_locked, index_cleanup on, truncate off) ${sql("hookline")}.${sql(name)}`.unprepared)
        return found.length
      })),
    // So would autovacuum, within some minutes. Until then statements that were planned for an empty table look through all of it.
    recount: (grownRows) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const found = yield* ownTables(sql, sql`s.n_live_tup > ${grownRows} + 4 * greatest(c.reltuples, 0)`)
        if (found.length === 0) return 0
        // Its order of magnitude will do: a tenth of the usual sample.
        yield* sql`set local default_statistics_target = 10`
        yield* Effect.forEach(found, (name) => sql`analyze (skip_locked) ${sql("hookline")}.${sql(name)}`.unprepared)
        return found.length
      })))
  }
}

// --- internal ---

/** Whether a subscription's last attempt was not accepted. */
const isFailing = (sql: PgClient.PgClient) =>
  sql.literal("exists (select 1 from hookline.circuits c where c.subscription_id = subscriptions.id)")

/** The tables with rows of their own, and that this role may tend, of which something is true. */
const ownTables = (sql: PgClient.PgClient, condition: Statement.Fragment) =>
  Effect.map(
    sql<
      { readonly name: string }
    >`select s.relname as name from pg_stat_user_tables s join pg_class c on c.oid = s.relid
      where s.schemaname = 'hookline' and c.relkind = 'r' and pg_has_role(c.relowner, 'usage') and ${condition}`,
    (rows) => rows.map(({ name }) => name)
  )

const finished = (sql: PgClient.PgClient) =>
  sql`select d.id as key, d.id::text as id, d.message_id as message_key, d.message_id::text, d.event_id,
    d.subscription_id as subscription_key, d.subscription_id::text, d.tenant_id, d.status, d.reason,
    d.attempts::int as attempts, null::float8 as due_at, d.external_id, d.last_error,
    ${sql.literal(PgRows.ms("d.completed_at"))} as completed_at from hookline.deliveries d`
