import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option } from "effect"
import * as Id from "../src/Id.ts"
import { workerGroup } from "../src/Message.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"

const eventId = "test.transaction"

const message = Effect.map(Id.messageId(0), (id) => ({
  id,
  eventId,
  tenantId: "t",
  orderingKey: undefined,
  payloadJson: "{}"
}))

const transact = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  StorageMemory.MemoryTransactions.use(({ withTransaction }) => withTransaction(effect))

describe("a transaction of the memory storage", () => {
  it.effect("gives a message its place when it is appended, whenever it commits", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const [slow, quick] = [yield* message, yield* message]
      const [appended, end] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const transaction = yield* Effect.forkChild(transact(Effect.gen(function*() {
        yield* storage.append([slow])
        yield* Deferred.succeed(appended, undefined)
        yield* Deferred.await(end)
      })))
      yield* Deferred.await(appended)
      yield* storage.append([quick])
      yield* Deferred.succeed(end, undefined)
      yield* Fiber.join(transaction)
      const runnerId = yield* Id.runnerId
      const { owner } = yield* storage.takeOver(runnerId, { workerGroup: workerGroup(eventId), partition: 0 }, 1000)
      const found = (yield* storage.unrouted([owner], { messages: 10, bytes: 100 })).messages
      assert.deepStrictEqual(found.map((one) => one.id), [slow.id, quick.id])
    }).pipe(Effect.provide(StorageMemory.layer)))

  it.effect("fails an append of a fiber that outlived it, and of no other", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const over = yield* Deferred.make<void>()
      const [late, later] = [yield* message, yield* message]
      const fiber = yield* transact(
        Effect.forkDetach(Effect.andThen(Deferred.await(over), Effect.flip(storage.append([late]))))
      )
      yield* Deferred.succeed(over, undefined)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "StorageUnavailable")
      assert.deepStrictEqual(yield* storage.getMessage(late.id), Option.none())
      yield* storage.append([later])
      assert.isTrue(Option.isSome(yield* storage.getMessage(later.id)))
    }).pipe(Effect.provide(StorageMemory.layer)))

  it.effect("refuses an id that another one has taken and not yet committed", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const one = yield* message
      const error = yield* transact(Effect.andThen(storage.append([one]), Effect.flip(storage.append([one]))))
      assert.strictEqual(error._tag, "RowRefused")
      assert.isTrue(Option.isSome(yield* storage.getMessage(one.id)))
    }).pipe(Effect.provide(StorageMemory.layer)))
})
