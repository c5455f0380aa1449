/**
 * Retention on PostgreSQL: days of history are dropped partition by partition, never row by row.
 *
 * A day goes in three steps. Its entry in `retention` is made while nobody delivers anything again, and only where nothing
 * needs the day: from then on a retry or a replay leaves it alone, so nothing that is recorded needs its partitions. Then
 * each is taken out and dropped, messages first. A message may have been stored with an id of that day by a transaction
 * that was open all the while: taking its partition out has waited for that one, so it is seen now, and the partition is
 * taken in again. Then the entry goes. Whatever is cut off in between is found by the entry and by the catalogue, and gone
 * on with.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, type Scope } from "effect"
import type { SqlError } from "effect/sql"
import type { TenantTerm } from "../Retention.ts"
import type { Dropped, ExpiredDay, Retaining } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import * as PgBodies from "./PgBodies.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgPartitions from "./PgPartitions.ts"

/**
 * Makes the verbs; `session` opens a connection that partitions are dropped on, whose statements give up when they wait;
 * `lockMs` is how long they wait for who delivers something again, whom others may wait behind.
 */
export const make = (
  sql: PgClient.PgClient,
  engine: PgErrors.Engine,
  session: Effect.Effect<PgClient.PgClient, StorageUnavailable, Scope.Scope>,
  lockMs: number
): Retaining => {
  return {
    retention: (terms) =>
      engine(Effect.gen(function*() {
        const tables = yield* PgPartitions.sizes(sql)
        return { tables, expired: yield* PgPartitions.expiredHeld(sql, terms) }
      })),
    dropExpired: (terms) =>
      Effect.gen(function*() {
        // What is needed is seen from here, so that nothing is opened for it.
        const days = yield* engine(Effect.filter(
          yield* engine(PgPartitions.expired(sql, terms)),
          (day) =>
            day.isDropping
              ? Effect.succeed(true)
              : Effect.map(PgPartitions.holders(sql, day, 1), (heldBy) => heldBy.length === 0)
        ))
        if (days.length === 0) return { days: [], waiting: undefined, isBusy: false } satisfies Dropped
        const alone = yield* session
        // Not through `answering`: what is given up there would go on, and be in the way of whoever goes on with it.
        return yield* PgErrors.engine(dropAll(alone, days, lockMs))
      }).pipe(Effect.scoped),
    emptyBodies: (options) => engine(PgBodies.empty(sql, options)),
    tenantTerms: engine(Effect.map(
      sql<{ readonly tenant_id: string; readonly kept_days: number }>`
        select tenant_id, kept_days::int as kept_days from hookline.tenant_terms order by tenant_id`,
      (rows) => rows.map((row): TenantTerm => ({ tenantId: row.tenant_id, keptDays: row.kept_days }))
    )),
    setTenantTerm: (tenantId, keptDays) =>
      engine(sql.withTransaction(Effect.gen(function*() {
        const [before] = yield* sql<{ readonly kept_days: number }>`
          select kept_days::int as kept_days from hookline.tenant_terms where tenant_id = ${tenantId} for update`
        if (keptDays === undefined) {
          yield* sql`delete from hookline.tenant_terms where tenant_id = ${tenantId}`
          yield* sql`delete from hookline.bodies_left where tenant_id = ${tenantId}`
        } else {
          yield* sql`insert into hookline.tenant_terms (tenant_id, kept_days) values (${tenantId}, ${keptDays}::int)
            on conflict (tenant_id) do update set kept_days = excluded.kept_days`
        }
        return before?.kept_days
      })))
  }
}

// --- internal ---

type Day = Pick<ExpiredDay, "day" | "of" | "isDropping">

const dropAll = (sql: PgClient.PgClient, expired: ReadonlyArray<Day>, lockMs: number) =>
  Effect.gen(function*() {
    // Shared with others' dropping is nothing, and a migration has all partitions to itself.
    const [taken] = yield* sql<{ readonly alone: boolean; readonly migrating: boolean }>`select
      pg_try_advisory_lock(hashtext('hookline.retention')) as alone,
      not pg_try_advisory_lock_shared(hashtext('hookline.migrate')) as migrating`
    if (taken?.alone !== true || taken.migrating) {
      return { days: [], waiting: undefined, isBusy: true } satisfies Dropped
    }
    const dropped: Array<Dropped["days"][number]> = []
    for (const one of expired) {
      const { day, of } = one
      const found = yield* (of === "history" ? dropHistory(sql, one, lockMs) : dropAttempts(sql, one, lockMs)).pipe(
        Effect.catchIf(isInTheWay, () => Effect.succeed("waits" as const))
      )
      // Of each table one partition at a time may be on its way out.
      if (found === "waits") return { days: dropped, waiting: day, isBusy: false } satisfies Dropped
      if (found === "dropped") dropped.push({ day, of })
    }
    return { days: dropped, waiting: undefined, isBusy: false } satisfies Dropped
  }).pipe(Effect.ensuring(Effect.ignore(sql`select pg_advisory_unlock_all()`)))

/** A deadlock, a lock that was not to be had in time, a statement that took too long. */
const isInTheWay = (error: SqlError.SqlError): boolean => ["40P01", "55P03", "57014"].includes(PgErrors.sqlState(error))

type Column = "whole" | "attempts" | "emptied"

const noted = (sql: PgClient.PgClient, column: Column, day: string) =>
  sql`update hookline.retention set ${sql(column)} = array_append(array_remove(${
    sql(column)
  }, ${day}::date), ${day}::date)`

const struck = (sql: PgClient.PgClient, column: Column, day: string) =>
  sql`update hookline.retention set ${sql(column)} = array_remove(${sql(column)}, ${day}::date)`

/** Notes that a day is being dropped, unless something needs it. */
const begin = (sql: PgClient.PgClient, column: "whole" | "attempts", day: Day, lockMs: number) =>
  sql.withTransaction(Effect.gen(function*() {
    yield* sql`select set_config('lock_timeout', ${String(lockMs)}, true)`
    // Waits for those who deliver something again: what they put into `work` is seen by the next statement.
    yield* sql`select 1 from hookline.retention for update`
    const held = (yield* PgPartitions.holders(sql, day, 1)).length > 0
    if (!held && !day.isDropping) yield* noted(sql, column, day.day)
    return !held
  }))

/** Takes in again what was taken out of a day that turned out to be needed. */
const undo = Effect.fnUntraced(function*(sql: PgClient.PgClient, column: "whole" | "attempts", day: string) {
  for (const partition of yield* PgPartitions.ofDay(sql, day)) {
    if (partition.state === "attached") continue
    yield* PgPartitions.detach(sql, partition)
    yield* PgPartitions.attach(sql, partition)
  }
  yield* struck(sql, column, day)
  return "held" as const
})

/** The partitions of a day, without those that somebody else has taken out of their tables, to keep them. */
const ours = (sql: PgClient.PgClient, { day, isDropping }: Day) =>
  Effect.map(
    PgPartitions.ofDay(sql, day),
    (found) => found.filter(({ state }) => isDropping || state !== "detached")
  )

const dropHistory = Effect.fnUntraced(function*(sql: PgClient.PgClient, given: Day, lockMs: number) {
  const { day, isDropping } = given
  if (!(yield* begin(sql, "whole", given, lockMs))) return isDropping ? yield* undo(sql, "whole", day) : "held" as const
  for (const partition of yield* ours(sql, given)) {
    yield* PgPartitions.detach(sql, partition)
    if (partition.table === "messages" && (yield* PgPartitions.holders(sql, given, 1)).length > 0) {
      return yield* undo(sql, "whole", day)
    }
    yield* PgPartitions.drop(sql, partition)
  }
  yield* sql.withTransaction(Effect.forEach(
    ["whole", "attempts", "emptied"] as const,
    (column) => struck(sql, column, day),
    { discard: true }
  ))
  return "dropped" as const
})

/** An empty partition takes its place: what is delivered again of that day has its attempts recorded there. */
const dropAttempts = Effect.fnUntraced(function*(sql: PgClient.PgClient, given: Day, lockMs: number) {
  const { day, isDropping } = given
  if (!(yield* begin(sql, "attempts", given, lockMs))) {
    return isDropping
      ? yield* undo(sql, "attempts", day)
      : "held" as const
  }
  const partition = (yield* ours(sql, given)).find(({ table }) => table === "attempts")
  if (partition) yield* PgPartitions.detach(sql, partition)
  yield* sql.withTransaction(Effect.gen(function*() {
    if (partition) yield* PgPartitions.drop(sql, partition)
    yield* sql`select hookline.make_partition('attempts', ${day}::date)`
    yield* struck(sql, "attempts", day)
    yield* noted(sql, "emptied", day)
  }))
  return "dropped" as const
})
