/**
 * Which runners there are and which of them holds a shard, in tables: a shard is held as long as its holder's heartbeat is
 * fresh, so that keeping any number of them is one small statement, and nothing hangs on one session.
 *
 * Effect's own storage of this kind holds an advisory lock a shard on one connection, gives them back one by one, and takes
 * any answer that needs more than a second for the loss of all. Here a late answer is waited for until the heartbeat is about
 * to expire: owners are fenced by epochs, so holding on for too long costs nothing but time.
 */
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Exit, Fiber, Option, Queue, type Scope } from "effect"
import { ClusterError, RunnerStorage } from "effect/cluster"
import type { SqlError } from "effect/sql"
import * as Deadlines from "../Deadlines.ts"
import { Limits } from "../Limits.ts"
import * as Monotonic from "../Monotonic.ts"
import { array } from "../storage/PgArray.ts"
import * as PgErrors from "../storage/PgErrors.ts"

type Failure = ClusterError.PersistenceError

/**
 * Makes the storage; what it holds is given back by who uses it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  sql: PgClient.PgClient
): Effect.Effect<RunnerStorage.RunnerStorage["Service"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const limits = yield* Limits
    const scope = yield* Effect.scope
    const answering = PgErrors.answering(yield* Deadlines.make, limits.lockExpiryMs)
    const expiry = sql.literal(`make_interval(secs => ${limits.lockExpiryMs / 1000})`)

    const answered = <A, E extends SqlError.SqlError>(statement: Effect.Effect<A, E>): Effect.Effect<A, Failure> =>
      Effect.mapError(
        answering(statement),
        (cause) => new ClusterError.PersistenceError({ cause })
      )

    // -- heartbeats

    /** When the last heartbeat was sent that the database confirmed. */
    let confirmedAtMs = Number.NEGATIVE_INFINITY
    let lost = false

    const confirming = <A, E>(statement: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.flatMap(Monotonic.nowMs, (sentAtMs) =>
        Effect.tap(statement, () => {
          confirmedAtMs = Math.max(confirmedAtMs, sentAtMs)
          if (!lost) return Effect.void
          lost = false
          return Effect.logInfo("The database confirms this runner's shards again")
        }))

    const beat = (address: string, shards: ReadonlyArray<string>) =>
      confirming(answered(
        Effect.map(
          sql<{ readonly id: string }>`with me as (
            update hookline.members set heartbeat_at = clock_timestamp() where address = ${address}
          )
          select id from hookline.shards where address = ${address} and id = any(${array(shards)}::text[])`,
          (rows) => rows.map((row) => row.id)
        )
      ))

    interface UnderWay {
      readonly shards: ReadonlySet<string>
      readonly fiber: Fiber.Fiber<ReadonlyArray<string>, Failure>
    }
    let underWay: UnderWay | undefined

    const begin = (address: string, shards: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.forkIn(beat(address, shards), scope, { startImmediately: true })
        const begun: UnderWay = { shards: new Set(shards), fiber }
        underWay = begun
        fiber.addObserver(() => {
          if (underWay === begun) underWay = undefined
        })
        return begun
      })

    /** What is held, as far as is known: an answer that is late is waited for by the next heartbeat too. */
    const refresh = Effect.fnUntraced(function*(
      address: string,
      shards: ReadonlyArray<string>
    ): Effect.fn.Return<ReadonlyArray<string>, Failure> {
      // Asked without shards, whether the database answers.
      if (shards.length === 0) {
        return yield* Effect.timeout(beat(address, shards), limits.lockRefreshMs).pipe(
          Effect.mapError((cause) => new ClusterError.PersistenceError({ cause }))
        )
      }
      const begun = underWay ?? (yield* begin(address, shards))
      const answer = yield* Effect.timeoutOption(Fiber.await(begun.fiber), limits.lockAnswerMs)
      if (Option.isSome(answer) && Exit.isSuccess(answer.value)) {
        const held = new Set(answer.value.value)
        return shards.filter((shard) => held.has(shard) || !begun.shards.has(shard))
      }
      if ((yield* Monotonic.nowMs) - confirmedAtMs < limits.lockExpiryMs - limits.lockRefreshMs) return shards
      if (!lost) {
        lost = true
        yield* Effect.logWarning("The database does not confirm this runner's shards: it lets them go")
      }
      return yield* new ClusterError.PersistenceError({
        cause: new Error(`no heartbeat was confirmed for ${limits.lockExpiryMs - limits.lockRefreshMs} ms`)
      })
    })

    // -- giving back, as many at once as are there

    interface Release {
      readonly address: string
      readonly shard: string
      readonly done: Deferred.Deferred<void, Failure>
    }
    const releases = yield* Queue.unbounded<Release>()
    yield* Queue.takeAll(releases).pipe(
      Effect.flatMap((batch) =>
        Effect.forEach(Map.groupBy(batch, ({ address }) => address), ([address, of]) =>
          answered(sql`update hookline.shards set address = null
            where address = ${address} and id = any(${
            array(of.map(({ shard }) => shard))
          }::text[])`).pipe(
            Effect.exit,
            Effect.flatMap((exit) =>
              Effect.forEach(of, ({ done }) => Deferred.done(done, Exit.asVoid(exit)), { discard: true })
            )
          ), { discard: true })
      ),
      Effect.forever,
      Effect.forkScoped
    )

    return RunnerStorage.makeEncoded({
      getRunners: answered(Effect.map(
        sql<{ readonly runner: string; readonly healthy: boolean }>`select runner, healthy from hookline.members
          where registered and heartbeat_at > clock_timestamp() - ${expiry} order by address`,
        (rows) =>
          rows.map(({ healthy, runner }) => [runner, healthy] as const)
      )),
      register: (address, runner, healthy) =>
        confirming(answered(Effect.map(
          sql<{ readonly machine_id: number }>`
            insert into hookline.members (address, runner, healthy) values (${address}, ${runner}, ${healthy})
            on conflict (address) do update set runner = excluded.runner, healthy = excluded.healthy, registered = true,
              heartbeat_at = excluded.heartbeat_at
            returning machine_id`,
          ([row]) => row?.machine_id ?? 0
        ))),
      // Its shards stay its own until they are given back, or its heartbeat has expired.
      unregister: (address) =>
        answered(Effect.asVoid(sql`update hookline.members set registered = false where address = ${address}`)),
      setRunnerHealth: (address, healthy) =>
        answered(Effect.asVoid(sql`update hookline.members set healthy = ${healthy} where address = ${address}`)),
      acquire: (address, shards) =>
        confirming(answered(Effect.andThen(
          sql`insert into hookline.shards (id) select unnest(${array(shards)}::text[]) on conflict do nothing`,
          sql.withTransaction(Effect.gen(function*() {
            const [me] = yield* sql`update hookline.members set heartbeat_at = clock_timestamp()
              where address = ${address} returning address`
            if (me === undefined) return []
            const isFree = sql`(s.address is null or s.address = ${address} or not exists (
              select 1 from hookline.members m
              where m.address = s.address and m.heartbeat_at > clock_timestamp() - ${expiry}
            ))`
            const free = yield* sql<{ readonly id: string }>`select s.id from hookline.shards s
              where s.id = any(${array(shards)}::text[]) and ${isFree} for update skip locked`
            // Judged again now that nobody can take them: between what a statement sees and what it locks another may have.
            const taken = yield* sql<{ readonly id: string }>`update hookline.shards s set address = ${address}
              where s.id = any(${array(free.map((row) => row.id))}::text[]) and ${isFree} returning s.id`
            return taken.map((row) => row.id)
          }))
        ))),
      refresh,
      release: (address, shard) =>
        Effect.gen(function*() {
          const done = yield* Deferred.make<void, Failure>()
          yield* Queue.offer(releases, { address, shard, done })
          yield* Deferred.await(done)
        }),
      releaseAll: (address) =>
        answered(Effect.gen(function*() {
          yield* sql`update hookline.shards set address = null where address = ${address}`
          yield* sql`delete from hookline.members where address = ${address} and not registered
            or heartbeat_at < clock_timestamp() - interval '1 day'`
        }))
    })
  })
