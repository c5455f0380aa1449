/**
 * The storage's contract on housekeeping. Other cases' rows share the database: nothing here expires what they just made.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { Storage } from "../Storage.ts"
import { withEnabled } from "../Subscription.ts"
import { type Cases, hourMs, make, only, retryAt, routed, success } from "./StorageSuiteWorld.ts"

const maintain = (rows = 1000, replaysKeptMs = 1e12) =>
  Effect.flatMap(
    Storage,
    (storage) =>
      storage.maintain({
        partitionsAheadDays: 2,
        heldMaxAgeMs: 6 * hourMs,
        broadcastKeptMs: 3_600_000,
        replaysKeptMs,
        rows
      }).pipe(
        Effect.repeat({ while: (more) => more })
      )
  )

/** A world with a subscription that holds one delivery made 12 hours ago, and one made now. */
const aged = Effect.gen(function*() {
  const world = yield* make
  const { append, own, route, storage } = world
  const subscription = yield* world.subscription()
  yield* storage.createSubscription(subscription)
  const { owner } = yield* own()
  const now = yield* storage.now
  const messages = yield* append(2)
  const made = yield* Effect.forEach(messages, ({ id: messageId }, i) =>
    Effect.map(
      Id.deliveryId(i === 0 ? now - 12 * hourMs : now),
      (id) => ({ id, messageId, subscriptionId: subscription.id, claimed: false })
    ))
  yield* route(owner, messages, made)
  const enable = (enabled: boolean, atMs: number) =>
    storage.updateSubscription(subscription.id, (current) => withEnabled(current, enabled, atMs))
  const statuses = Effect.forEach(made, ({ id }) => Effect.map(world.delivery(id), (found) => found.delivery.status))
  return { ...world, owner, subscription, made, statuses, now, enable }
})

/** @category constants @since 0.1.0 */
export const upkeep: Cases = {
  "the unfinished deliveries of a deleted subscription end as cancelled, in as many rounds as it takes": Effect.gen(
    function*() {
      const { delivery, ids, owner, storage, subscription } = yield* routed(5)
      yield* storage.deleteSubscription(subscription.id)
      yield* maintain(2)
      for (const id of ids) {
        const { delivery: found } = yield* delivery(id)
        assert.deepInclude(found, { status: "cancelled", reason: "deleted", attemptCount: 0 })
        assert.isDefined(found.completedAtMs)
      }
      assert.deepStrictEqual(yield* storage.due({ aheadMs: hourMs, workerGroups: [owner.workerGroup] }), [])
    }
  ),
  "clearing the queues and counting the tables takes nothing away that waits or is under way": Effect.gen(function*() {
    const { append, own, storage } = yield* make
    const { owner } = yield* own()
    const [waiting] = yield* append(1)
    const { delivery, ids } = yield* routed(1, { claimed: true })
    yield* storage.clear(0)
    yield* storage.recount(0)
    const unrouted = (yield* storage.unrouted([owner], { messages: 10, bytes: 1e9 })).messages
    assert.deepStrictEqual(unrouted.map(({ id }) => id), [waiting?.id])
    assert.strictEqual((yield* delivery(yield* only(ids))).delivery.status, "pending")
  }),
  "an attempt that is under way when its subscription is deleted can still be recorded": Effect.gen(function*() {
    const { delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* storage.deleteSubscription(subscription.id)
    yield* maintain()
    assert.deepStrictEqual(yield* record(owner, id, success), [id])
    assert.strictEqual((yield* delivery(id)).delivery.status, "success")
  }),
  "deliveries that were held for too long fail as expired, younger ones are held on": Effect.gen(function*() {
    const { delivery, enable, made, now, statuses } = yield* aged
    yield* enable(false, now - 12 * hourMs)
    yield* maintain()
    assert.deepStrictEqual(yield* statuses, ["failed", "pending"])
    const { delivery: expired } = yield* delivery(made[0]?.id ?? assert.fail("a delivery was made"))
    assert.strictEqual(expired.reason, "expired")
    assert.isDefined(expired.completedAtMs)
  }),
  "an old delivery is held from when its subscription was disabled": Effect.gen(function*() {
    const { enable, now, statuses } = yield* aged
    yield* enable(false, now)
    yield* maintain()
    assert.deepStrictEqual(yield* statuses, ["pending", "pending"])
  }),
  "what is replayed for a disabled subscription is held from then on": Effect.gen(function*() {
    const { enable, now, statuses, storage, tenantId } = yield* aged
    yield* enable(false, now - 12 * hourMs)
    yield* maintain()
    const id = yield* Id.replayId(yield* storage.now)
    yield* storage.createReplay({ id, tenantId, filter: { status: "failed" }, freshWebhookId: false }, 10)
    yield* storage.replaySome({ rows: 100, look: 1000, waiting: 1000, intervalMs: 0 }).pipe(
      Effect.repeat({ until: (found) => found._tag === "Portion" && found.replayId === id && found.isCompleted })
    )
    assert.deepStrictEqual(yield* statuses, ["pending", "pending"])
    yield* maintain()
    assert.deepStrictEqual(yield* statuses, ["pending", "pending"])
  }),
  "deliveries of an enabled subscription never expire": Effect.gen(function*() {
    const { statuses } = yield* aged
    yield* maintain()
    assert.deepStrictEqual(yield* statuses, ["pending", "pending"])
  }),
  "an expired delivery can be retried by hand": Effect.gen(function*() {
    const { claim, enable, made, now, owner, storage, subscription } = yield* aged
    yield* enable(false, now - 12 * hourMs)
    yield* maintain()
    yield* enable(true, now)
    const [expired] = made
    assert.strictEqual(yield* storage.retryDelivery(expired?.id ?? assert.fail("a delivery was made")), "Retried")
    assert.strictEqual((yield* claim(owner, subscription.id)).claimed.length, 2)
  }),
  "a delivery ends with the attempts and the last error it had": Effect.gen(function*() {
    const { delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* record(owner, id, retryAt((yield* storage.now) + hourMs))
    yield* storage.deleteSubscription(subscription.id)
    yield* maintain()
    const { attempts, delivery: found } = yield* delivery(id)
    assert.deepInclude(found, { status: "cancelled", attemptCount: 1, lastError: "away" })
    assert.strictEqual(attempts.length, 1)
  }),
  "replays that ended too long ago are forgotten, in as many rounds as it takes; those that have not ended are kept":
    Effect
      .gen(function*() {
        const { backend, storage, subscription, tenantId } = yield* routed(1)
        const create = Effect.gen(function*() {
          const id = yield* Id.replayId(yield* storage.now)
          const filter = { status: "failed", subscriptionId: subscription.id } as const
          yield* storage.createReplay({ id, tenantId, filter, freshWebhookId: false }, 10)
          return id
        })
        const change = (id: Id.ReplayId, to: "paused" | "cancelled") =>
          storage.changeReplay(id, { from: ["running"], to })
        const completed = yield* create
        yield* storage.replaySome({ rows: 10, look: 10, waiting: 10, intervalMs: 0 }).pipe(
          Effect.repeat({
            until: (found) => found._tag === "Portion" && found.replayId === completed && found.isCompleted
          })
        )
        const [first, second, paused, running] = [yield* create, yield* create, yield* create, yield* create]
        for (const id of [first, second]) yield* change(id, "cancelled")
        yield* change(paused, "paused")
        yield* backend.advance(20)
        const kept = Effect.map(
          storage.listReplays({ tenantId }, { cursor: undefined, limit: 10 }),
          (found) => found.map(({ id }) => id).sort()
        )
        yield* maintain(1, hourMs)
        assert.deepStrictEqual(yield* kept, [completed, first, second, paused, running].sort())
        yield* maintain(1, 0)
        assert.deepStrictEqual(yield* kept, [paused, running].sort())
        yield* change(running, "cancelled")
      }),
  "a key that is in force survives": Effect.gen(function*() {
    const { message, storage } = yield* make
    const first = yield* message()
    const options = { key: "k", contentHash: "a", ttlMs: hourMs }
    yield* storage.appendOnce(first, options)
    yield* maintain()
    const answer = yield* storage.appendOnce(yield* message(), options)
    assert.deepStrictEqual(answer, { _tag: "Repeated", messageId: first.id })
  })
}
