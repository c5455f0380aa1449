/**
 * Replays on PostgreSQL. A portion is one transaction: it locks its replay, looks at the next few deliveries by an index whose
 * conditions are all that it walks by, makes those due again that are meant, and notes how far it has come. History is only
 * ever read from where the replay stands, up to a number of rows.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Option } from "effect"
import type { SqlError } from "effect/sql"
import * as Id from "../Id.ts"
import { allTenants, emptied } from "../Message.ts"
import type { Replay, ReplayFilter, ReplayScope, ReplayState } from "../Replay.ts"
import type { Replaying, ReplaySome } from "../Storage.ts"
import { array } from "./PgArray.ts"
import * as PgCounting from "./PgCounting.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgPartitions from "./PgPartitions.ts"
import * as PgRows from "./PgRows.ts"
import * as PgTenants from "./PgTenants.ts"

interface ReplayRow {
  readonly id: string
  readonly tenant_id: string
  readonly filter: ReplayFilter
  readonly fresh_webhook_id: boolean
  readonly state: ReplayState
  readonly replayed: number
  readonly skipped: number
  readonly not_kept: number
  readonly reached: string | null
  readonly until: string | null
  readonly created_at: number
  readonly updated_at: number
  readonly completed_at: number | null
}

const columns = `id::text, tenant_id, filter, fresh_webhook_id, state, replayed::float8 as replayed,
  skipped::float8 as skipped, not_kept::float8 as not_kept, reached::text, until::text, ${
  PgRows.ms("created_at")
} as created_at,
  ${PgRows.ms("updated_at")} as updated_at, ${PgRows.ms("completed_at")} as completed_at`

const replayOf = (row: ReplayRow): Replay => ({
  id: PgRows.replayId(row.id),
  tenantId: row.tenant_id,
  filter: row.filter,
  freshWebhookId: row.fresh_webhook_id,
  state: row.state,
  replayed: row.replayed,
  skipped: row.skipped,
  notKept: row.not_kept,
  reachedMs: row.reached === null ? undefined : Id.timeOf(PgRows.deliveryId(row.reached)),
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at,
  completedAtMs: row.completed_at ?? undefined
})

/** Makes the verbs of replaying. */
export const make = (sql: PgClient.PgClient, engine: PgErrors.Engine): Replaying => {
  const one = ([row]: ReadonlyArray<ReplayRow>) => row === undefined ? Option.none() : Option.some(replayOf(row))
  const replays = sql`select ${sql.literal(columns)} from hookline.replays`
  return {
    createReplay: ({ filter, freshWebhookId, id, tenantId }, most) =>
      engine(Effect.map(
        // What is to be made again has ended by now: ids of what comes later are greater than the last there is, unless its message
        // had waited.
        sql<ReplayRow>`insert into hookline.replays (id, tenant_id, filter, fresh_webhook_id, until)
          select ${Id.toUuid(id)}::uuid, ${tenantId}, ${JSON.stringify(filter)}::text::jsonb, ${freshWebhookId},
            (select d.id from hookline.deliveries d order by d.id desc limit 1)
          where (select count(*) from hookline.replays
            where tenant_id = ${tenantId} and state in ('running', 'paused')) < ${most}::int
          returning ${sql.literal(columns)}`,
        one
      )),
    getReplay: (id) => engine(Effect.map(sql<ReplayRow>`${replays} where id = ${Id.toUuid(id)}::uuid`, one)),
    listReplays: ({ state, tenantId }, { cursor, limit }) =>
      engine(Effect.map(
        sql<ReplayRow>`${replays} where ${
          sql.and([
            sql`true`,
            ...(tenantId === undefined ? [] : [sql`tenant_id = ${tenantId}`]),
            ...(state === undefined ? [] : [sql`state = ${state}`]),
            ...(cursor === undefined ? [] : [sql`id < ${Id.toUuid(cursor)}::uuid`])
          ])
        } order by id desc limit ${limit}::int`,
        (rows) => rows.map(replayOf)
      )),
    // Waits for a portion that is under way: once it is answered, no more is taken.
    changeReplay: (id, { from, to }) =>
      engine(Effect.map(
        sql<ReplayRow>`update hookline.replays set state = ${to}, updated_at = clock_timestamp(),
            next_at = clock_timestamp()
          where id = ${Id.toUuid(id)}::uuid and state = any(${array(from)}::text[]) returning ${sql.literal(columns)}`,
        one
      )),
    countReplay: (scope, look) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const way = yield* wayOf(sql, scope)
        yield* sql`select ${sorts(sql, isSorted(scope))}`
        const [row] = yield* sql<{ readonly matched: number; readonly looked: number }>`with ${
          looked(sql, scope, { way, look })
        }
          select (count(*) filter (where ${ofTenant(sql, scope)}))::int as looked,
            (count(*) filter (where ${meant(sql, scope)}))::int as matched from looked d`
        return { matched: row?.matched ?? 0, isAtLeast: (row?.looked ?? 0) >= look }
      }))),
    replaySome: (options) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const [row] = yield* sql<ReplayRow>`${replays} where state = 'running' and next_at <= clock_timestamp()
          order by next_at limit 1 for update skip locked`
        if (row === undefined) return yield* idle(sql)
        yield* PgPartitions.keep(sql).lock
        return yield* portion(sql, row, options)
      })))
  }
}

/**
 * Whether the planner may sort in the transaction's next statements, which read along indexes in any case. Where it may not, it
 * takes the index that has the order which is asked for, and so stops at the limit: it thinks that a range of two columns holds
 * a row or two, and would rather read and sort all of it.
 */
export const sorts = (sql: PgClient.PgClient, may: boolean) =>
  sql`set_config('enable_sort', ${may ? "on" : "off"}, true), set_config('enable_seqscan', 'off', true)`

/** Whether what is looked at is found in no order: the deliveries of a message, which are made together. */
export const isSorted = ({ filter }: ReplayScope): boolean => filter.messageId !== undefined

/**
 * The column before the id in the index that is walked, none where it is the id alone. Its value is told as a range of both,
 * not as a value and a range: otherwise the planner may take an index of ids alone, which has the order too, and walk past
 * whatever is somebody else's.
 */
export interface Way {
  readonly column: string
  readonly type: string
  readonly value: string
}

/**
 * The way of a replay. A tenant's own rows rather than those of an event or a work queue, which are everybody's: neither the
 * bound on what is looked at nor where a replay has come to tells how many others have.
 */
export const wayOf = (
  sql: PgClient.PgClient,
  scope: ReplayScope
): Effect.Effect<Way | undefined, SqlError.SqlError> => {
  const { filter: { eventId, messageId, status, subscriptionId }, tenantId } = scope
  if (messageId !== undefined) return Effect.succeed(undefined)
  const byTenant = { column: "d.tenant_id", type: "text", value: tenantId }
  if (subscriptionId !== undefined) {
    const uuid = Id.toUuid(subscriptionId)
    const bySubscription = { column: "d.subscription_id", type: "uuid", value: uuid }
    return tenantId === allTenants
      ? Effect.succeed(bySubscription)
      : Effect.map(
        sql<{ readonly own: boolean }>`select ${PgTenants.areOwn(sql, [uuid], tenantId)} as own`,
        ([row]) => row?.own === true ? bySubscription : byTenant
      )
  }
  return Effect.succeed(
    tenantId !== allTenants
      ? byTenant
      : status === "success" && eventId !== undefined
      ? { column: "d.event_id", type: "text", value: eventId }
      : undefined
  )
}

/** The part of a statement that looks at the next deliveries. */
export const looked = (
  sql: PgClient.PgClient,
  scope: ReplayScope,
  { after, look, until, way }: {
    readonly way: Way | undefined
    readonly after?: string | null
    readonly until?: string | null
    readonly look: number
  }
) => {
  const { filter: { fromMs = 0, messageId, status, toMs } } = scope
  const bounds: ReadonlyArray<readonly [operator: ">" | ">=" | "<" | "<=", uuid: string | null]> = [
    [">=", bound(fromMs)],
    ["<", toMs === undefined ? "f".repeat(32) : bound(toMs + 1)],
    ...(after === undefined || after === null ? [] : [[">", after] as const]),
    ...(until === undefined ? [] : [["<=", until] as const])
  ]
  return sql`looked as materialized (
    select d.id, d.status, d.reason, d.subscription_id, d.tenant_id, d.event_id, d.completed_at from hookline.deliveries d
    where ${
    sql.and([
      ...(status === "success" || messageId !== undefined ? [] : [sql`d.status <> 'success'`]),
      ...(messageId === undefined ? [] : [sql`d.message_id = ${Id.toUuid(messageId)}::uuid`]),
      ...bounds.flatMap(([operator, uuid]) => [
        sql`d.id ${sql.literal(operator)} ${uuid}::uuid`,
        ...(way === undefined
          ? []
          : [
            sql`(${sql.literal(way.column)}, d.id) ${sql.literal(operator)} (${way.value}::${
              sql.literal(way.type)
            }, ${uuid}::uuid)`
          ])
      ])
    ])
  } order by ${sql.literal(way === undefined ? "d.id" : `${way.column}, d.id`)} limit ${look}::int
  )`
}

// --- internal ---

const bound = (ms: number): string => ms.toString(16).padStart(12, "0") + "0".repeat(20)

const ofTenant = (sql: PgClient.PgClient, { tenantId }: Pick<ReplayScope, "tenantId">) =>
  tenantId === allTenants ? sql`true` : sql`d.tenant_id = ${tenantId}`

/** Which of those that were looked at are meant. */
const meant = (
  sql: PgClient.PgClient,
  { filter: { eventId, reason, status, subscriptionId }, tenantId }: ReplayScope
) =>
  sql.and([
    sql`d.status = ${status}`,
    ...(reason === undefined ? [] : [sql`d.reason = ${reason}`]),
    ofTenant(sql, { tenantId }),
    // A tenant's replay is of its own subscriptions, unless it names another.
    ...(tenantId === allTenants || subscriptionId !== undefined
      ? []
      : [sql`not ${PgTenants.ofWorkQueue(sql, "d")}`]),
    ...(eventId === undefined ? [] : [sql`d.event_id = ${eventId}`]),
    ...(subscriptionId === undefined ? [] : [sql`d.subscription_id = ${Id.toUuid(subscriptionId)}::uuid`])
  ])

const idle = (sql: PgClient.PgClient) =>
  Effect.map(
    sql<{ readonly next: number | null }>`select ${
      sql.literal("(extract(epoch from min(next_at) - clock_timestamp()) * 1000)::float8")
    } as next from hookline.replays where state = 'running'`,
    ([row]): ReplaySome => ({ _tag: "Idle", nextMs: row?.next === null ? undefined : row?.next })
  )

type Options = Parameters<Replaying["replaySome"]>[0]

/** Works a portion of a replay whose row is locked. */
const portion = Effect.fnUntraced(function*(sql: PgClient.PgClient, row: ReplayRow, options: Options) {
  const { filter, tenantId } = replayOf(row)
  const scope = { filter, tenantId }
  if (yield* isHeldUp(sql, row, scope, options.waiting)) {
    yield* sql`update hookline.replays set next_at = ${later(sql, options)} where id = ${row.id}::uuid`
    return {
      _tag: "Portion",
      replayId: PgRows.replayId(row.id),
      replayed: 0,
      skipped: 0,
      isCompleted: false,
      workerGroups: []
    } satisfies ReplaySome
  }
  const way = yield* wayOf(sql, scope)
  const [found] = yield* sql<{
    readonly looked: number
    readonly last: string | null
    readonly ids: ReadonlyArray<string> | null
  }>`with ${looked(sql, scope, { way, after: row.reached, until: row.until, look: options.look })}, meant as (
      select d.id from looked d where ${meant(sql, scope)}
        and d.completed_at <= (select r.created_at from hookline.replays r where r.id = ${row.id}::uuid)
      order by d.id limit ${options.rows}::int
    )
    select (select count(*) from looked)::int as looked, (select id::text from looked order by id desc limit 1) as last,
      (select array_agg(id::text order by id) from meant) as ids, ${sorts(sql, true)}`
  const ids = found?.ids ?? []
  // Those beyond a full portion are looked at again.
  const isFull = ids.length >= options.rows
  const reached = (isFull ? ids.at(-1) : found?.last) ?? row.reached
  const isCompleted = !isFull && (found?.looked ?? 0) < options.look
  const [moved] = yield* sql<{
    readonly ended: number
    readonly replayed: number
    readonly groups: ReadonlyArray<string> | null
  }>`with ${again(sql, row, ids, filter)}, noted as (
      update hookline.replays r set reached = ${reached}::uuid, replayed = r.replayed + c.replayed,
        skipped = r.skipped + c.ended - c.replayed, not_kept = r.not_kept + c.not_kept, updated_at = clock_timestamp(),
        next_at = case when c.replayed > 0 then ${later(sql, options)} else clock_timestamp() end,
        state = case when ${isCompleted} then 'completed' else r.state end,
        completed_at = case when ${isCompleted} then clock_timestamp() end
      from counts c where r.id = ${row.id}::uuid
    )
    select ended::int as ended, replayed::int as replayed, (select array_agg(distinct worker_group) from again) as groups
    from counts`
  const { ended = 0, replayed = 0 } = moved ?? {}
  return {
    _tag: "Portion",
    replayId: PgRows.replayId(row.id),
    replayed,
    skipped: ended - replayed,
    isCompleted,
    workerGroups: moved?.groups ?? []
  } satisfies ReplaySome
})

const later = (sql: PgClient.PgClient, { intervalMs }: Options) =>
  sql`clock_timestamp() + make_interval(secs => ${intervalMs / 1000})`

/**
 * Whether enough of a replay waits: of the tenfold that it took last, so many could begin a first attempt and have not. What waits for a
 * disabled subscription, an open circuit, its turn or code that its runner lacks holds nothing up.
 */
const isHeldUp = (sql: PgClient.PgClient, row: ReplayRow, scope: ReplayScope, waiting: number) =>
  Effect.map(
    sql<{ readonly held: boolean }>`select count(*) >= ${waiting}::int as held, ${sorts(sql, isSorted(scope))} from (
        select w.subscription_id, w.worker_group, w.epoch, w.due_at, w.attempts, w.retry_base from hookline.work w
        where w.replay_id = ${row.id}::uuid order by w.id desc limit ${10 * waiting}::int
      ) w join hookline.subscriptions s on s.id = w.subscription_id and s.enabled and s.deleted_at is null
      left join hookline.circuits c on c.subscription_id = w.subscription_id
      left join hookline.owners o on o.worker_group = w.worker_group and o.partition = 0
      left join hookline.runners r on r.id = o.runner_id
      where w.epoch is null and w.attempts = w.retry_base and w.due_at <= clock_timestamp()
        and coalesce(c.open_until <= clock_timestamp(), true)
        and coalesce(r.announced -> 'providers' @> to_jsonb(s.provider_id), true)`,
    ([found]) => found?.held === true
  )

/**
 * Puts deliveries back to wait, as a retry by hand does: `counts` tells how many had ended still, and how many of those wait
 * now, due together, so that they are claimed in the order of their messages. Rows are locked in the order of their ids, so that replays that meet do not wait for each other; subscriptions are, so
 * that each delivery is put where a change of its subscription finds it.
 */
const again = (sql: PgClient.PgClient, row: ReplayRow, ids: ReadonlyArray<string>, { status }: ReplayFilter) =>
  sql`ended as materialized (
      select d.id, d.subscription_id, d.event_id, d.message_id from hookline.deliveries d
      where d.id = any(${array(ids)}::uuid[]) and d.status = ${status} order by d.id for update
    ), homes as materialized (
      select s.id, s.worker_group from hookline.subscriptions s
      where s.deleted_at is null and s.id in (select subscription_id from ended) order by s.id for share
    ), going as materialized (
      select e.id, coalesce(h.worker_group, 'integration.' || e.event_id) as home,
        octet_length(coalesce(r.transformed, m.payload)) as size
      from ended e join homes h on h.id = e.subscription_id
        join hookline.messages m on m.id = e.message_id and m.payload <> ${emptied}
        left join hookline.routings r on r.message_id = e.message_id
      where not ${PgPartitions.keep(sql).gone("e")}
    ), gone as (
      delete from hookline.deliveries d using going g where d.id = g.id and d.id = any(${array(ids)}::uuid[])
      returning d.*, g.home, g.size
    ), ${PgCounting.takenBack(sql, "gone")}, again as (
      insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, ordering_key,
        attempts, retry_base, size, due_at, replay_id, webhook_of)
      select g.id, g.message_id, g.seq, g.subscription_id, g.home, g.tenant_id, g.event_id, g.ordering_key, g.attempts,
        g.attempts, g.size, statement_timestamp(), ${row.id}::uuid, ${row.fresh_webhook_id ? row.id : null}::uuid
      from gone g returning worker_group
    ), counts as materialized (
      select (select count(*) from ended) as ended, (select count(*) from again) as replayed,
        (select count(*) from ended e join homes h on h.id = e.subscription_id
          where not exists (select 1 from going g where g.id = e.id)) as not_kept
    )`
