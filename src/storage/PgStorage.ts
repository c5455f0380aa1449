/**
 * The storage on PostgreSQL 14 or newer. Emits go over the caller's `PgClient`, so that its transactions are joined; the
 * engine has connections of its own, with timeouts of its own.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schedule } from "effect"
import * as Deadlines from "../Deadlines.ts"
import { Limits } from "../Limits.ts"
import { Storage, type StorageUnavailable } from "../Storage.ts"
import { MigrationFailed } from "./MigrationFailed.ts"
import { latest as known } from "./Migrations.ts"
import * as PgAdministration from "./PgAdministration.ts"
import * as PgAppend from "./PgAppend.ts"
import * as PgAuditing from "./PgAuditing.ts"
import * as PgBroadcasting from "./PgBroadcasting.ts"
import * as PgClock from "./PgClock.ts"
import * as PgConnecting from "./PgConnecting.ts"
import * as PgCounting from "./PgCounting.ts"
import * as PgDispatching from "./PgDispatching.ts"
import * as PgErrors from "./PgErrors.ts"
import * as PgKeeping from "./PgKeeping.ts"
import * as PgListing from "./PgListing.ts"
import * as PgMeasuring from "./PgMeasuring.ts"
import * as PgMembership from "./PgMembership.ts"
import * as PgMigrating from "./PgMigrating.ts"
import * as PgOwnership from "./PgOwnership.ts"
import * as PgPool from "./PgPool.ts"
import * as PgReplaying from "./PgReplaying.ts"
import * as PgRetaining from "./PgRetaining.ts"
import { ms } from "./PgRows.ts"
import * as PgTexts from "./PgTexts.ts"
import * as PgUpkeep from "./PgUpkeep.ts"
import * as PgWalk from "./PgWalk.ts"

export { MigrationFailed } from "./MigrationFailed.ts"

/**
 * Brings the database's layout up to date while runners go on; several processes may do so at once. Returns how many migrations
 * it applied.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate: Effect.Effect<number, MigrationFailed | StorageUnavailable, PgClient.PgClient> = Effect.gen(
  function*() {
    const sql = yield* PgClient.PgClient
    const done = yield* PgMigrating.migrate(sql)
    yield* checkLayout
    // A start after a long stop finds no partition for today.
    const { partitionsAheadDays } = yield* Limits
    yield* PgErrors.engine(sql`select hookline.make_partitions(${partitionsAheadDays}::int)`)
    return done
  }
)

/**
 * Layer of the storage.
 *
 * **Details**
 *
 * `engine` overrides settings of the engine's own pools, that of deliveries and that of administration; `migrate: false`
 * leaves the layout to `hookline migrate`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  readonly engine?: Partial<PgClient.PgPoolConfig>
  readonly migrate?: boolean
}): Layer.Layer<Storage, MigrationFailed | StorageUnavailable, PgClient.PgClient> =>
  Layer.effect(
    Storage,
    Effect.gen(function*() {
      const client = yield* PgClient.PgClient
      const limits = yield* Limits
      const pool = (applicationName: string, maxConnections: number, settings: Readonly<Record<string, string>>) =>
        PgPool.make(client, {
          maxConnections,
          applicationName,
          ...options?.engine,
          startupParameters: {
            lock_timeout: String(limits.statementTimeoutMs),
            statement_timeout: String(limits.statementTimeoutMs),
            idle_in_transaction_session_timeout: String(limits.takeOverPatienceMs),
            ...settings,
            ...options?.engine?.startupParameters
          }
        })
      const sql = PgTexts.make(yield* pool("hookline", limits.engineConnections, PgPool.pump), limits.statementSteps)
      // Apart, so that many or long readings delay neither leases nor deliveries.
      const reading = yield* pool("hookline-admin", limits.adminConnections, PgPool.engine)
      const upkeep = yield* pool("hookline-upkeep", limits.upkeepConnections, { ...PgPool.engine, ...PgWalk.settings })
      const listing = yield* pool("hookline-lists", limits.listConnections, { ...PgPool.engine, ...PgWalk.settings })
      yield* (options?.migrate === false ? checkLayout : migrate).pipe(
        Effect.provideService(PgClient.PgClient, sql),
        Effect.retry({
          schedule: Schedule.spaced("500 millis"),
          times: options?.migrate === false ? 4 : 30,
          while: (error) => error._tag === "StorageUnavailable"
        })
      )
      const { measured, now } = yield* PgClock.make
      yield* PgErrors.engine(measured(sql<{ readonly now: number }>`
        select ${sql.literal(ms("clock_timestamp()"))} as now`))
      const deadlines = yield* Deadlines.make
      const answering = (timeoutMs: number) => PgErrors.answering(deadlines, timeoutMs)
      const engine = answering(limits.answerTimeoutMs)
      return Storage.of({
        ...PgAppend.make(PgTexts.make(client, limits.statementSteps), now, deadlines, limits.emitTimeoutMs),
        ...PgOwnership.make(sql, engine, measured),
        ...PgDispatching.make(sql, engine),
        ...PgAdministration.make(reading, answering(limits.statementTimeoutMs)),
        ...PgKeeping.make(reading, answering(limits.answerTimeoutMs)),
        ...PgConnecting.make(reading, answering(limits.statementTimeoutMs)),
        ...PgAuditing.make(reading, answering(limits.statementTimeoutMs)),
        ...PgReplaying.make(reading, answering(limits.statementTimeoutMs)),
        ...PgRetaining.make(
          reading,
          answering(limits.statementTimeoutMs),
          // By itself, and only as long as something is dropped: its statements wait, and give up sooner.
          PgPool.make(client, {
            maxConnections: 1,
            idleTimeout: undefined,
            multiplex: false,
            connectionTTL: undefined,
            applicationName: "hookline-retention",
            startupParameters: {
              default_transaction_isolation: "read committed",
              // Which would end the wait for those who read as well.
              lock_timeout: "0",
              statement_timeout: String(limits.retentionWaitMs),
              idle_in_transaction_session_timeout: String(limits.statementTimeoutMs)
            }
          }),
          limits.retentionLockMs
        ),
        ...PgCounting.make(reading, answering(limits.statementTimeoutMs)),
        ...PgUpkeep.make(upkeep, answering(limits.statementTimeoutMs)),
        ...PgListing.make(listing, answering(limits.statementTimeoutMs), limits.listLook),
        ...PgMeasuring.make(reading, answering(limits.answerTimeoutMs)),
        ...PgMembership.make(reading, answering(limits.answerTimeoutMs)),
        ...PgBroadcasting.make(reading, answering(limits.answerTimeoutMs))
      })
    })
  )

// --- internal ---

/** Refuses a layout that this program doesn't know, or that is behind it. */
const checkLayout: Effect.Effect<void, MigrationFailed | StorageUnavailable, PgClient.PgClient> = Effect.gen(
  function*() {
    const sql = yield* PgClient.PgClient
    const found = yield* PgMigrating.version(sql)
    if (found > known) {
      return yield* new MigrationFailed({
        message: `The database's layout is version ${found}, this program knows ${known}: run a newer Hookline.`
      })
    }
    if (found < known) {
      return yield* new MigrationFailed({
        message: `The database's layout is version ${found}, this program needs ${known}: run \`hookline migrate\`.`
      })
    }
  }
)
