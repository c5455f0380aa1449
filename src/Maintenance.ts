/**
 * Housekeeping of the cluster: coming partitions are made, deliveries of deleted subscriptions are cancelled, those held for
 * too long or of messages that have expired fail, idempotency keys and replays that ended long ago are purged, what waits is moved
 * to where it belongs. One runner does it at a time.
 */
import { Effect, type Layer, Schedule } from "effect"
import { type Sharding, Singleton } from "effect/cluster"
import { Limits } from "./Limits.ts"
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
    yield* Effect.forEach(
      [storage.expire, storage.move],
      (work) => work(limits.maintenanceRows).pipe(Effect.repeat({ while: (more) => more }), Effect.ignore),
      { discard: true }
    ).pipe(
      Effect.repeat(Schedule.spaced(limits.expireIntervalMs)),
      Effect.forkChild
    )
    yield* storage.maintain({
      partitionsAheadDays: limits.partitionsAheadDays,
      heldMaxAgeMs: limits.heldMaxAgeMs,
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
