/**
 * Housekeeping of the cluster: coming partitions are made and expired days dropped, bodies emptied whose tenant keeps them
 * for a shorter time, deliveries of deleted subscriptions cancelled, those held for too long or of messages that have
 * expired fail, idempotency keys and replays that ended long ago are purged, what waits is moved to where it belongs, the
 * queues are cleared of what was removed from them, what has grown is counted. One runner does it at a time.
 */
import { Effect, type Layer, Schedule } from "effect"
import { type Sharding, Singleton } from "effect/cluster"
import { Limits } from "./Limits.ts"
import * as Retention from "./Retention.ts"
import { Storage } from "./Storage.ts"

/**
 * Layer that keeps house while it is up.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, Storage | Sharding.Sharding> = Singleton.make(
  "hookline/maintenance",
  Effect.gen(function*() {
    const storage = yield* Storage
    const limits = yield* Limits
    const { heldMaxAgeMs } = Retention.within(limits)
    yield* Effect.forEach(
      [storage.expire, storage.move],
      (work) => work(limits.maintenanceRows).pipe(Effect.repeat({ while: (more) => more }), Effect.ignore),
      { discard: true }
    ).pipe(
      Effect.repeat(Schedule.spaced(limits.expireIntervalMs)),
      Effect.forkChild
    )
    yield* Effect.andThen(
      Effect.ignore(storage.clear(limits.clearRows)),
      Effect.ignore(storage.recount(limits.recountRows))
    ).pipe(
      Effect.repeat(Schedule.spaced(limits.clearIntervalMs)),
      Effect.forkChild
    )
    // By itself, as it may wait for others.
    yield* retain(storage, limits).pipe(
      Effect.catch((error) => Effect.logWarning(`Dropping expired history has to wait: ${error.message}`)),
      Effect.repeat(Schedule.spaced(limits.maintenanceIntervalMs)),
      Effect.forkChild
    )
    yield* storage.maintain({
      partitionsAheadDays: limits.partitionsAheadDays,
      heldMaxAgeMs,
      broadcastKeptMs: limits.broadcastKeptMs,
      replaysKeptMs: limits.replaysKeptMs,
      rows: limits.maintenanceRows
    }).pipe(
      Effect.repeat({ while: (more) => more }),
      Effect.catch((error) => Effect.logWarning(`Housekeeping has to wait: ${error.message}`)),
      Effect.repeat(Schedule.spaced(limits.maintenanceIntervalMs))
    )
  })
)

// --- internal ---

const retain = Effect.fnUntraced(function*(storage: Storage["Service"], limits: Limits) {
  const { days, waiting } = yield* storage.dropExpired(Retention.termsOf(limits))
  for (const { day, of } of days) yield* Effect.logInfo(`Dropped the ${of} of ${day}`)
  if (waiting !== undefined) {
    yield* Effect.logInfo(`Dropping the history of ${waiting} waits for a long transaction, and goes on later`)
  }
  yield* storage.emptyBodies({ rows: limits.retentionBodies, settledMs: limits.broadcastKeptMs }).pipe(
    Effect.repeat({ while: ({ more }) => more })
  )
})
