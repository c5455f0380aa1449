import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option, Random } from "effect"
import type { Connection } from "../../src/Connection.ts"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import { outcome, retryAt } from "../../src/testing/StorageSuiteWorld.ts"
import { deliver, eventually, group, storage as layer, subscribe, waits } from "./support.ts"

const connect = Effect.gen(function*() {
  const storage = yield* Storage
  const now = yield* storage.now
  const made: Connection = {
    id: yield* Id.connectionId(now),
    tenantId: "default",
    providerId: "test.endpoint",
    name: "a",
    config: { n: 0 },
    version: 1,
    createdAtMs: now,
    updatedAtMs: now
  }
  yield* storage.createConnection(made)
  return made
})

const shuffled = <A>(items: ReadonlyArray<A>) =>
  Effect.map(
    Effect.forEach(items, (item) => Effect.map(Random.next, (at) => ({ at, item }))),
    (all) => all.sort((a, b) => a.at - b.at).map(({ item }) => item)
  )

describe("connections on PostgreSQL", () => {
  it.live(
    "are changed while their subscriptions are claimed and recorded: nobody waits for one who waits for him",
    () =>
      Effect.gen(function*() {
        const storage = yield* Storage
        const { id: connectionId } = yield* connect
        const ids = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => subscribe({ connectionId, events: ["none"] })
        )
        const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 2000)
        for (const id of ids) yield* Effect.replicateEffect(deliver(owner, id), 2)
        const done = yield* Deferred.make<void>()
        const isDone = Effect.map(Deferred.poll(done), Option.isSome)

        const work = Effect.gen(function*() {
          while (!(yield* isDone)) {
            const lanes = yield* shuffled(ids)
            const { claimed } = yield* storage.claim({
              owners: [owner],
              lanes: lanes.map((subscriptionId) => ({ workerGroup: owner.workerGroup, subscriptionId, free: 1 })),
              limit: 20,
              bytes: 1e9,
              suspectClaims: 2,
              suspectProviders: []
            })
            if (claimed.length === 0) continue
            const now = yield* storage.now
            const failed = claimed.map(({ attemptCount, deliveryId }) => ({
              ...outcome(owner, deliveryId, retryAt(now), { attemptCount }),
              sign: "failed" as const
            }))
            yield* storage.record(yield* shuffled(failed))
          }
        })
        const workers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(work))
        yield* Effect.forEach(
          Array.from({ length: 60 }),
          (_, n) => storage.updateConnection(connectionId, (current) => ({ ...current, config: { n } })),
          { concurrency: 2 }
        )
        yield* Deferred.succeed(done, undefined)
        // A deadlock would have ended one of them.
        yield* Effect.forEach(workers, Fiber.join)
        const found = yield* Effect.fromOption(yield* storage.getConnection(connectionId))
        assert.strictEqual(found.version, 61)
      }).pipe(Effect.provide(layer)),
    60_000
  )

  it.live("a deletion waits for a subscription that is about to name it, and sees it then", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const { id } = yield* connect
      const holding = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const subscribing = yield* Effect.forkChild(storage.atomically(Effect.gen(function*() {
        assert.isTrue(Option.isSome(yield* storage.holdConnection(id)))
        yield* Deferred.succeed(holding, undefined)
        yield* Deferred.await(go)
        return yield* subscribe({ connectionId: id })
      })))
      yield* Deferred.await(holding)
      const deleting = yield* Effect.forkChild(storage.deleteConnection(id))
      yield* eventually("the deletion waits", waits("hookline.connections"))
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(subscribing)
      assert.deepStrictEqual(yield* Fiber.join(deleting), Option.some(1))
    }).pipe(Effect.provide(layer)))

  it.live("a change that does not commit changes neither the connection nor its subscriptions", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const connection = yield* connect
      const subscriptionId = yield* subscribe({ connectionId: connection.id })
      const before = yield* storage.getSubscription(subscriptionId)
      yield* Effect.exit(storage.atomically(Effect.andThen(
        storage.updateConnection(connection.id, (current) => ({ ...current, config: { n: 1 } })),
        Effect.fail("abort")
      )))
      assert.deepStrictEqual(yield* storage.getConnection(connection.id), Option.some(connection))
      assert.deepStrictEqual(yield* storage.getSubscription(subscriptionId), before)
    }).pipe(Effect.provide(layer)))
})
