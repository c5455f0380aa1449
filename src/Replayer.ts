/**
 * Working replays: a loop in every runner takes portion after portion of those that are running, and tells the dispatchers
 * where deliveries are due again. Several may do so at once, and any of them goes on where one has stopped.
 */
import { Context, Effect, Layer, Queue } from "effect"
import { Dispatchers } from "./Dispatchers.ts"
import { Limits } from "./Limits.ts"
import { Storage } from "./Storage.ts"

/**
 * The loop of this process.
 *
 * @category services
 * @since 0.1.0
 */
export class Replayer extends Context.Service<Replayer, {
  /** Says that there may be a replay to work, which it would find within `Limits.replayPollMs`. */
  readonly wake: Effect.Effect<void>
}>()("hookline/Replayer") {}

/**
 * Layer of the loop.
 *
 * **Details**
 *
 * A portion is one transaction with what is noted of it, so that a loop may be stopped anywhere. A replay has one portion each
 * `Limits.replayIntervalMs`, whoever works it, and none while `Limits.replayWaiting` of its deliveries wait for their first
 * attempt: endpoints set its pace. Lanes take what is replayed in turn with what is new.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Replayer, never, Storage | Dispatchers> = Layer.effect(
  Replayer,
  Effect.gen(function*() {
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const { replayIntervalMs, replayLook, replayPollMs, replayRows, replayWaiting } = yield* Limits
    const woken = yield* Queue.sliding<void>(1)

    /** Works a portion; tells in how many milliseconds to look again. */
    const work = Effect.gen(function*() {
      const found = yield* storage.replaySome({
        rows: replayRows,
        look: replayLook,
        waiting: replayWaiting,
        intervalMs: replayIntervalMs
      })
      if (found._tag === "Idle") {
        // One that is due and was not found is in another runner's hands.
        return found.nextMs === undefined ? replayPollMs : found.nextMs > 0 ? found.nextMs : replayIntervalMs
      }
      for (const group of found.workerGroups) yield* dispatchers.wake(group)
      return 0
    }).pipe(
      Effect.catchTag(
        "StorageUnavailable",
        (error) => Effect.as(Effect.logWarning(`Replaying has to wait: ${error.message}`), replayPollMs)
      )
    )

    yield* work.pipe(
      Effect.flatMap((waitMs) =>
        waitMs > 0
          ? Effect.timeoutOption(Queue.take(woken), Math.min(Math.ceil(waitMs), replayPollMs))
          : Effect.yieldNow
      ),
      Effect.forever,
      Effect.forkScoped
    )
    return Replayer.of({ wake: Effect.asVoid(Queue.offer(woken, undefined)) })
  })
)
