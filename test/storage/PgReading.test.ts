import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import { withEnabled } from "../../src/Subscription.ts"
import { claim, deliver, group, message, record, routing, storage as layer, subscribe, success } from "./support.ts"

const page = { cursor: undefined, limit: 100 }

const owned = Effect.gen(function*() {
  const storage = yield* Storage
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
  return { storage, owner }
})

describe("reading on PostgreSQL", () => {
  it.live("a delivery is read with its attempts, unfinished and finished", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId, true)
      const before = Option.getOrThrow(yield* storage.getDelivery(id))
      assert.strictEqual(before.delivery.status, "pending")
      const response = { headers: { a: "b" }, body: "\0" }
      yield* record(owner, id, { ...success, externalId: "x" }, { statusCode: 200, response })
      const after = Option.getOrThrow(yield* storage.getDelivery(id))
      assert.strictEqual(after.delivery.status, "success")
      assert.strictEqual(after.delivery.externalId, "x")
      assert.deepStrictEqual(after.attempts.map((attempt) => attempt.response), [response])
      assert.isTrue(Option.isNone(yield* storage.getDelivery(yield* Id.deliveryId(1))))
    }).pipe(Effect.provide(layer)))

  it.live("what an endpoint answered does not keep an outcome from being recorded", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId, true)
      const recorded = yield* record(
        owner,
        id,
        { _tag: "Final", status: "failed", reason: "permanent", externalId: "\0", lastError: "bad \0 byte" },
        {
          outcome: "permanent",
          statusCode: 99_999,
          error: { tag: "T\0", message: "bad \0 byte" },
          retryAfterMs: Number.MAX_VALUE
        }
      )
      assert.deepStrictEqual(recorded, [id])
      const found = Option.getOrThrow(yield* storage.getDelivery(id))
      assert.strictEqual(found.delivery.lastError, "bad \uFFFD byte")
      assert.strictEqual(found.attempts[0]?.statusCode, 99_999)
    }).pipe(Effect.provide(layer)))

  it.live("a message is set aside whatever its error says, and can be put back", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const appended = yield* message()
      yield* storage.append([appended])
      const { version } = yield* storage.subscriptions
      yield* storage.route(routing(owner, version, appended.id, [], "broken \0 transform"))
      const aside = Option.getOrThrow(yield* storage.getMessage(appended.id))
      assert.strictEqual(aside.state._tag, "SetAside")
      assert.deepStrictEqual((yield* storage.unrouted([owner], { messages: 10, bytes: 1000 })).messages, [])
      assert.strictEqual(yield* storage.retryMessage(appended.id), "Retried")
      assert.strictEqual(yield* storage.retryMessage(appended.id), "NotRetryable")
      assert.strictEqual((yield* storage.unrouted([owner], { messages: 10, bytes: 1000 })).messages.length, 1)
    }).pipe(Effect.provide(layer)))

  it.live("pages of finished and unfinished deliveries hold each one once, newest first", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const ids: Array<Id.DeliveryId> = []
      for (let n = 0; n < 7; n++) {
        const { id } = yield* deliver(owner, subscriptionId, true)
        if (n % 2 === 0) yield* record(owner, id, success)
        ids.push(id)
      }
      const seen: Array<string> = []
      let cursor: string | undefined
      while (true) {
        const items = yield* storage.listDeliveries({ subscriptionId }, { cursor, limit: 2 })
        if (items.length === 0) break
        seen.push(...items.map((item) => item.id))
        cursor = items.at(-1)?.id
      }
      assert.deepStrictEqual(seen, ids.toSorted().toReversed())
      assert.strictEqual((yield* storage.listDeliveries({ status: "success" }, page)).length, 4)
    }).pipe(Effect.provide(layer)))

  it.live("deliveries are held by a disabled subscription, and expire after their age to the millisecond", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId)
      const now = yield* storage.now
      yield* storage.updateSubscription(subscriptionId, (current) => withEnabled(current, false, now - 1000))
      const [held] = yield* storage.listDeliveries({ reason: "held" }, page)
      assert.strictEqual(held?.id, id)
      const house = { partitionsAheadDays: 7, broadcastKeptMs: 3_600_000, replaysKeptMs: 1e12, rows: 100 }
      yield* storage.maintain({ ...house, heldMaxAgeMs: 60_000 })
      assert.strictEqual((yield* storage.listDeliveries({ reason: "held" }, page)).length, 1)
      yield* storage.maintain({ ...house, heldMaxAgeMs: 0 })
      const [expired] = yield* storage.listDeliveries({ reason: "expired" }, page)
      assert.strictEqual(expired?.id, id)
      assert.strictEqual(expired?.status, "failed")
    }).pipe(Effect.provide(layer)))

  it.live("a failed delivery is retried once, its schedule anew; one of a deleted subscription is not", () =>
    Effect.gen(function*() {
      const { owner, storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const { id } = yield* deliver(owner, subscriptionId, true)
      assert.strictEqual(yield* storage.retryDelivery(id), "NotRetryable")
      const failed = { ...success, status: "failed", reason: "exhausted" } as const
      yield* record(owner, id, failed)
      assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
      const { claimed } = yield* claim(owner, subscriptionId)
      assert.deepStrictEqual(claimed.map((found) => [found.attemptCount, found.retryBase, found.claims]), [[1, 1, 1]])
      const other = yield* subscribe()
      const second = yield* deliver(owner, other, true)
      yield* record(owner, second.id, failed)
      assert.isTrue(yield* storage.deleteSubscription(other))
      assert.strictEqual(yield* storage.retryDelivery(second.id), "NotRetryable")
    }).pipe(Effect.provide(layer)))

  it.live("a change of a subscription that changes nothing leaves the version that routing must find", () =>
    Effect.gen(function*() {
      const { storage } = yield* owned
      const subscriptionId = yield* subscribe()
      const before = yield* storage.subscriptions
      yield* storage.updateSubscription(subscriptionId, (current) => current)
      yield* storage.updateSubscription(yield* Id.subscriptionId(1), (current) => current)
      assert.isFalse(yield* storage.deleteSubscription(yield* Id.subscriptionId(1)))
      assert.strictEqual((yield* storage.subscriptions).version, before.version)
    }).pipe(Effect.provide(layer)))

  it.live("housekeeping forgets runners that ended long ago, and no other", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const [ended, live] = [yield* Id.runnerId, yield* Id.runnerId]
      yield* storage.renewLease(ended, 1000)
      yield* storage.renewLease(live, 1000)
      yield* sql`update hookline.runners set lease_until = clock_timestamp() - interval '2 days'
        where id = ${Id.toUuid(ended)}::uuid`
      yield* storage.maintain({
        partitionsAheadDays: 7,
        heldMaxAgeMs: 1000,
        broadcastKeptMs: 3_600_000,
        replaysKeptMs: 1e12,
        rows: 100
      })
      const rows = yield* sql<{ readonly id: string }>`select id::text as id from hookline.runners`
      assert.deepStrictEqual(rows.map((row) => Id.fromUuid(row.id)), [Id.toUuid(live)])
    }).pipe(Effect.provide(layer)))
})
