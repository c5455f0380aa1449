/**
 * A storage that measures the statements of the pump: how long each took, how many rows it was for, and whether it was
 * answered. A statement is for many deliveries, so this costs nothing that is felt.
 */
import { Cause, Clock, Effect, Exit } from "effect"
import * as Metrics from "../Metrics.ts"
import { Storage } from "../Storage.ts"

/** Makes it of the storage that is there. */
export const make = Effect.gen(function*() {
  const storage = yield* Storage
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const seconds = Metrics.labelled(Metrics.statementSeconds, context, "statement")
  const rows = Metrics.labelled(Metrics.statementRows, context, "statement")
  const failed = Metrics.labelled(Metrics.statementFailures, context, "statement")
  const stale = Metrics.labelled(Metrics.routesStale, context)
  const takenOver = Metrics.labelled(Metrics.takeOvers, context)
  const fenced = Metrics.labelled(Metrics.outcomesFenced, context)
  const none = [stale, takenOver, fenced, Metrics.labelled(Metrics.ownershipsLost, context)]
  for (const count of none) count(0)

  const measured = <A, E>(
    statement: string,
    effect: Effect.Effect<A, E>,
    sizeOf: (answer: A) => number | undefined
  ): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const since = clock.monotonicTimeNanosUnsafe()
      return Effect.onExit(effect, (exit) =>
        Effect.sync(() => {
          seconds(Number(clock.monotonicTimeNanosUnsafe() - since) / 1e9, statement)
          if (Exit.isSuccess(exit)) {
            const size = sizeOf(exit.value)
            if (size !== undefined) rows(size, statement)
          } else if (!Cause.hasInterruptsOnly(exit.cause)) failed(1, statement)
        }))
    })
  const nothing = () => undefined

  return Storage.of({
    ...storage,
    subscriptions: measured("subscriptions", storage.subscriptions, nothing),
    renewLease: (...given) => measured("renew_lease", storage.renewLease(...given), nothing),
    takeOver: (...given) =>
      Effect.tap(
        measured("take_over", storage.takeOver(...given), nothing),
        () => Effect.sync(() => takenOver(1))
      ),
    recover: (...given) => measured("recover", storage.recover(...given), nothing),
    unrouted: (...given) => measured("unrouted", storage.unrouted(...given), ({ messages }) => messages.length),
    complete: (completed) =>
      measured("complete", storage.complete(completed), (ids) => {
        if (ids.length < completed.length) {
          const written = new Set(ids)
          const lost = completed.filter(({ messageId }) => !written.has(messageId))
          fenced(lost.reduce((sum, { deliveries }) => sum + deliveries.length, 0))
        }
        return ids.length
      }),
    route: (routing) =>
      measured("route", storage.route(routing), (answer) => {
        if (answer._tag === "Routed") return answer.messageIds.length
        if (answer._tag === "Stale") stale(1)
        return undefined
      }),
    claim: (options) => measured("claim", storage.claim(options), ({ claimed }) => claimed.length),
    load: (claimed) => measured("load", storage.load(claimed), () => claimed.length),
    held: (...given) => measured("held", storage.held(...given), (found) => found.length),
    release: (owner, ids) => measured("release", storage.release(owner, ids), () => ids.length),
    record: (outcomes) =>
      measured("record", storage.record(outcomes), (recorded) => {
        if (recorded.length < outcomes.length) fenced(outcomes.length - recorded.length)
        return outcomes.length
      })
  })
})
