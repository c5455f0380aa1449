/**
 * Ownership: leases of runners, owners of worker groups, and the fence that every statement of an owner begins with.
 */
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect } from "effect"
import type { SqlError } from "effect/sql"
import * as Id from "../Id.ts"
import type { Dispatching, Owner } from "../Storage.ts"
import { array } from "./PgArray.ts"
import type { PgClock } from "./PgClock.ts"
import * as PgCounting from "./PgCounting.ts"
import type * as PgErrors from "./PgErrors.ts"
import * as PgOrdering from "./PgOrdering.ts"
import { ms } from "./PgRows.ts"

interface OwnerRow {
  readonly worker_group: string
  readonly partition: number
  readonly epoch: number
}

const toOwner = (row: OwnerRow): Owner => ({
  workerGroup: row.worker_group,
  partition: row.partition,
  epoch: row.epoch
})

/** The owners of rows, each once; one that was superseded by another of them stays apart from it. */
export const ownersOf = (rows: ReadonlyArray<{ readonly owner: Owner }>): ReadonlyArray<Owner> => {
  const found = new Map<string, Owner>()
  let last: Owner | undefined
  for (const { owner } of rows) {
    if (owner === last) continue
    last = owner
    found.set(`${owner.epoch} ${owner.partition} ${owner.workerGroup}`, owner)
  }
  return [...found.values()]
}

/**
 * The fence: the owners' rows that still have their epochs, share-locked until the statement has committed, so that a
 * take-over waits for it. A subquery without the lock would not do under READ COMMITTED.
 */
export const fence = (sql: PgClient.PgClient, owners: ReadonlyArray<Owner>) =>
  sql`fence as materialized (
    select o.worker_group, o.partition, o.epoch from hookline.owners o
    join unnest(
      ${array(owners.map((owner) => owner.workerGroup))}::text[],
      ${array(owners.map((owner) => owner.partition))}::int[],
      ${array(owners.map((owner) => owner.epoch))}::float8[]
    ) as f(worker_group, partition, epoch)
      on o.worker_group = f.worker_group and ${isOneOf(sql, "f")}
    for share of o
  )`

/**
 * Whether an owner's row `o` has the partition and epoch of `f`. Told as bounds: the planner takes equalities, of which each
 * follows from the first, for one that hardly any row fulfils, and would join a thousand groups row by row.
 */
export const isOneOf = (sql: PgClient.PgClient, f: string) =>
  sql.literal(
    `o.partition between ${f}.partition and ${f}.partition and o.epoch between ${f}.epoch::bigint and ${f}.epoch::bigint`
  )

/** Makes the verbs of ownership. */
export const make = (
  sql: PgClient.PgClient,
  engine: PgErrors.Engine,
  /** Runs a reading of the database's clock, and learns from it. */
  measured: PgClock["measured"]
): Pick<Dispatching, "renewLease" | "returnLease" | "takeOver" | "giveBack" | "recover"> => {
  const lockTimeout = (error: SqlError.SqlError) => error.reason._tag === "LockTimeoutError"

  /** Lets the statements of a transaction wait for locks so long; a lock timeout of zero would be none at all. */
  const patient = (patienceMs: number) =>
    sql`set_config('lock_timeout', ${String(Math.max(1, Math.ceil(patienceMs)))}, true)`

  const takeOnce = (
    runnerId: Id.RunnerId,
    group: { readonly workerGroup: string; readonly partition: number },
    patienceMs: number,
    begun: (pid: number) => Effect.Effect<unknown> = () => Effect.void
  ) =>
    Effect.flatMap(
      sql.withTransaction(Effect.gen(function*() {
        const [session] = yield* sql<{ readonly pid: number }>`
          select pg_backend_pid() as pid, ${patient(patienceMs)}`
        if (session) yield* begun(session.pid)
        yield* sql`insert into hookline.owners (worker_group, partition, epoch, claimable_at)
          values (${group.workerGroup}, ${group.partition}, 0, clock_timestamp()) on conflict do nothing`
        const [before] = yield* sql<{ readonly runner_id: string | null }>`
          select runner_id::text from hookline.owners
          where worker_group = ${group.workerGroup} and partition = ${group.partition} for update`
        // The previous owner's lease, after any renewal of it that is under way.
        const lease = before?.runner_id && before.runner_id.replaceAll("-", "") !== Id.toUuid(runnerId)
          ? yield* sql<{ readonly lease_until: Date }>`
            select lease_until from hookline.runners where id = ${before.runner_id}::uuid for share`
          : []
        const [taken] = yield* sql<
          OwnerRow & { readonly claimable_at: number; readonly doubtful: number }
        >`update hookline.owners set
            epoch = nextval('hookline.epoch_seq'), runner_id = ${Id.toUuid(runnerId)}::uuid,
            claimable_at = greatest(clock_timestamp(), claimable_at, ${lease[0]?.lease_until ?? null}::timestamptz)
          where worker_group = ${group.workerGroup} and partition = ${group.partition}
          returning worker_group, partition, epoch::float8 as epoch, ${sql.literal(ms("claimable_at"))} as claimable_at,
            doubtful_seq::float8 as doubtful`
        return { taken, gaveBack: !before?.runner_id }
      })),
      ({ gaveBack, taken }) => taken === undefined || gaveBack ? Effect.succeed(taken) : doubt(taken, patienceMs)
    )

  /**
   * Notes up to which message the owner before may have begun some. When the take-over has committed, and before anything is
   * read: until then that owner reads as before, and what is emitted meanwhile too. Where this fails, whoever takes over next
   * finds an owner that gave nothing back.
   */
  const doubt = <Taken extends OwnerRow & { readonly doubtful: number }>(taken: Taken, patienceMs: number) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* sql`select ${patient(patienceMs)}`
      const [row] = yield* sql<{ readonly doubtful: number }>`update hookline.owners o
        set doubtful_seq = (select last_value from hookline.message_seq)
        where o.worker_group = ${taken.worker_group} and o.partition = ${taken.partition}
          and o.epoch = ${taken.epoch}::float8::bigint
        returning doubtful_seq::float8 as doubtful`
      // None where it was taken over again: nothing is read by this owner.
      return { ...taken, ...row }
    }))

  /** Ends the sessions that a session waits for, but none that itself waits for another. */
  const endBlockers = (pid: number) =>
    sql`with recursive blocking(pid) as (
      select unnest(pg_blocking_pids(${pid}::int))
      union
      select unnest(pg_blocking_pids(b.pid)) from blocking b
    )
    select pg_terminate_backend(pid) from blocking where pid > 0 and cardinality(pg_blocking_pids(pid)) = 0`

  /** Takes over while another connection ends whoever blocks it: only a session that waits has known blockers. */
  const takeByForce = (
    runnerId: Id.RunnerId,
    group: { readonly workerGroup: string; readonly partition: number },
    patienceMs: number
  ) =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<number>()
      const end = Effect.flatMap(
        Deferred.await(begun),
        (pid) => Effect.forever(Effect.andThen(Effect.sleep("20 millis"), Effect.ignore(endBlockers(pid))))
      )
      return yield* Effect.raceFirst(
        takeOnce(runnerId, group, patienceMs, (pid) => Deferred.succeed(begun, pid)),
        end
      )
    })

  const recover: Dispatching["recover"] = (owners, crashedClaims) =>
    engine(Effect.map(
      sql<{ readonly wait: number }>`with ${fence(sql, owners)}, timed as materialized (
      select f.worker_group, f.epoch,
        greatest(0, extract(epoch from o.claimable_at - clock_timestamp()) * 1000)::float8 as wait
      from fence f join hookline.owners o on o.worker_group = f.worker_group and o.partition = f.partition
    ), old as materialized (
      select w.id, w.claims, w.epoch, w.subscription_id from hookline.work w
      join timed t on w.worker_group = t.worker_group and w.epoch < t.epoch
      where w.epoch is not null and t.wait = 0
    ), ${PgOrdering.homes(sql, "old")}, crashed as (
      -- The epoch once more: where this waited for another recovery, what that one let go may be claimed again by now.
      delete from hookline.work w using old where w.id between old.id and old.id and w.epoch is not distinct from old.epoch
        and old.claims >= ${crashedClaims}::int returning w.*
    ), failed as (
      insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, status,
        reason, attempts, retry_base, last_error, webhook_of)
      select id, message_id, seq, subscription_id, tenant_id, event_id, ordering_key, 'failed', 'crashed-owner', attempts,
        retry_base, 'Its runner stopped ' || claims || ' times while it was delivering.', webhook_of
      from crashed returning ${PgCounting.ending(sql)}
    ), ${PgCounting.ended(sql, "failed")}, ${PgOrdering.unparked(sql, "crashed")}, again as (
      update hookline.work w set epoch = null, worker_group = ${PgOrdering.home(sql)}
      from old join homes h on h.id = old.subscription_id
      where w.id between old.id and old.id and w.epoch is not distinct from old.epoch and old.claims < ${crashedClaims}::int
      returning w.subscription_id
    ), spent as (
      insert into hookline.lanes as l (subscription_id, filled_at)
      select s.id, statement_timestamp() + make_interval(secs => o.begun
        * (s.rate_limit ->> 'intervalMs')::float8 / (s.rate_limit ->> 'messages')::float8 / 1000)
      from (
        select subscription_id, count(*) as begun from (
          select subscription_id from crashed union all select subscription_id from again
        ) changed group by subscription_id
      ) o
      join hookline.subscriptions s on s.id = o.subscription_id and s.rate_limit is not null
      on conflict (subscription_id) do update set
        filled_at = greatest(l.filled_at, statement_timestamp()) + (excluded.filled_at - statement_timestamp())
    )
    select coalesce(max(wait), 0)::float8 as wait from timed`,
      ([row]) => Math.ceil(row?.wait ?? 0)
    ))

  return {
    renewLease: (runnerId, leaseMs) =>
      engine(Effect.gen(function*() {
        yield* measured(sql<{ readonly now: number }>`
          insert into hookline.runners (id, lease_until)
          values (${Id.toUuid(runnerId)}::uuid, clock_timestamp() + make_interval(secs => ${leaseMs / 1000}))
          on conflict (id) do update set lease_until = excluded.lease_until
          returning ${sql.literal(ms("clock_timestamp()"))} as now`)
        // In a snapshot of its own: a take-over that saw the older lease is seen here.
        const rows = yield* sql<{ readonly version: number } & (OwnerRow | { readonly epoch: null })>`
          select v.version::float8 as version, o.worker_group, o.partition, o.epoch::float8 as epoch
          from hookline.subscription_version v
          left join hookline.owners o on o.runner_id = ${Id.toUuid(runnerId)}::uuid`
        return {
          owners: rows.flatMap((row) => row.epoch === null ? [] : [toOwner(row)]),
          version: rows[0]?.version ?? 0
        }
      })),
    returnLease: (runnerId) =>
      engine(Effect.asVoid(sql`delete from hookline.runners where id = ${Id.toUuid(runnerId)}::uuid`)),
    takeOver: (runnerId, group, patienceMs) =>
      engine(
        takeOnce(runnerId, group, patienceMs).pipe(
          Effect.catchIf(lockTimeout, () => takeByForce(runnerId, group, patienceMs)),
          Effect.flatMap((taken) =>
            taken
              ? Effect.succeed({
                owner: toOwner(taken),
                claimableAtMs: taken.claimable_at,
                doubtfulSeq: taken.doubtful
              })
              : Effect.die(new Error("the owner's row vanished under its lock"))
          )
        )
      ),
    giveBack: (owners) =>
      // From when on claims may be taken stays: an owner before this one may still be within its lease.
      engine(Effect.asVoid(sql`with ${fence(sql, owners)}
        update hookline.owners o set runner_id = null
        from fence f where o.worker_group = f.worker_group and o.partition = f.partition`)),
    recover
  }
}
