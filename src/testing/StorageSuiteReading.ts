/**
 * The storage's contract on reading and retrying: messages and deliveries, finished or not.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import { timestampMs } from "../Message.ts"
import type { DeliveryFilter, MessageFilter } from "../Storage.ts"
import { type Cases, failure, hourMs, idsOf, make, only, retryAt, routed, success } from "./StorageSuiteWorld.ts"

const newest = (items: ReadonlyArray<{ readonly id: string }>) =>
  items.map((item) => item.id).sort((a, b) => a < b ? 1 : -1)

/** A world with a delivery of each kind, and one of another event and subscription. */
const mixed = Effect.gen(function*() {
  const world = yield* routed(5, { claimed: true })
  const { append, deliveries, eventId, ids, own, owner, record, route, storage } = world
  const [succeeded, failed, retrying, pending, elsewhere] = ids
  if (!succeeded || !failed || !retrying || !pending || !elsewhere) {
    return yield* Effect.die("five deliveries were made")
  }
  yield* record(owner, succeeded, success)
  yield* record(owner, failed, failure)
  yield* record(owner, retrying, retryAt((yield* storage.now) + hourMs))
  yield* storage.release(owner, [pending])
  const second = yield* world.storage.getSubscription(world.subscription.id).pipe(Effect.flatMap(Effect.fromOption))
  const other = { ...second, id: yield* Id.subscriptionId(yield* storage.now), enabled: false }
  yield* storage.createSubscription(other)
  const otherEventId = `${eventId}-b`
  const messages = yield* append(1, { eventId: otherEventId })
  const made = yield* deliveries(messages, other.id, false)
  yield* route((yield* own({ eventId: otherEventId })).owner, messages, made)
  const held = yield* only(made)
  return { ...world, succeeded, failed, retrying, pending, elsewhere, other, otherEventId, held }
})

/** @category constants @since 0.1.0 */
export const reading: Cases = {
  "a message is read as it was appended, with where it is on its way": Effect.gen(function*() {
    const { append1, storage } = yield* make
    const message = yield* append1({ orderingKey: "k", payloadJson: `{ "spaces" : "are kept" }` })
    const stored = yield* Effect.fromOption(yield* storage.getMessage(message.id))
    assert.deepStrictEqual(stored, { ...message, seq: stored.seq, state: { _tag: "Unrouted" } })
    assert.deepStrictEqual(yield* storage.getMessage(yield* Id.messageId(yield* storage.now)), Option.none())
  }),
  "messages are listed newest first, by tenant and event, in pages without gaps or doubles": Effect.gen(function*() {
    const { append, eventId, storage, tenantId } = yield* make
    const messages = [...yield* append(4), ...yield* append(1, { eventId: `${eventId}-b` })]
    yield* append(1, { tenantId: `${tenantId}x` })
    const list = (filter: { readonly eventId?: string }, cursor?: string, limit = 10) =>
      Effect.map(
        storage.listMessages({ tenantId, ...filter }, { cursor, limit, bytes: 1e9 }),
        (found) => found.items.map((one) => one.id)
      )
    const all = newest(messages)
    assert.deepStrictEqual(yield* list({}), all)
    assert.deepStrictEqual(yield* list({}, undefined, 2), all.slice(0, 2))
    assert.deepStrictEqual(yield* list({}, all[1], 2), all.slice(2, 4))
    assert.deepStrictEqual(yield* list({}, all[3], 2), all.slice(4))
    assert.deepStrictEqual(yield* list({ eventId }), newest(messages.slice(0, 4)))
  }),
  "messages that were set aside are listed by themselves, until they are routed after all": Effect.gen(function*() {
    const { append, eventId, own, route, storage, tenantId } = yield* make
    const messages = yield* append(4)
    const other = yield* append(1, { eventId: `${eventId}-b` })
    const wrong = messages.filter((_, n) => n !== 1)
    yield* route((yield* own()).owner, wrong, [], { error: "thrown" })
    yield* route((yield* own({ eventId: `${eventId}-b` })).owner, other, [], { error: "thrown" })
    const list = (filter: MessageFilter, cursor?: string, limit = 10) =>
      Effect.map(
        storage.listMessages({ state: "set-aside", ...filter }, { cursor, limit, bytes: 1e9 }),
        (found) => found.items.map((one) => one.id)
      )
    const all = newest([...wrong, ...other])
    assert.deepStrictEqual(yield* list({ tenantId }), all)
    assert.deepStrictEqual(yield* list({ tenantId }, undefined, 2), all.slice(0, 2))
    assert.deepStrictEqual(yield* list({ tenantId }, all[1], 5), all.slice(2))
    assert.deepStrictEqual(yield* list({ tenantId, eventId }), newest(wrong))
    assert.deepStrictEqual(yield* list({ tenantId: `${tenantId}x` }), [])
    assert.includeMembers([...yield* list({}, undefined, 100)], [...all])
    for (const { id } of other) assert.strictEqual(yield* storage.retryMessage(id), "Retried")
    assert.deepStrictEqual(yield* list({ tenantId }), newest(wrong))
  }),
  "a page of messages ends before its payloads grow too large, and says whether there are more": Effect.gen(
    function*() {
      const { append, storage, tenantId } = yield* make
      const all = newest(yield* append(5, { payloadJson: JSON.stringify("x".repeat(98)) }))
      const list = (bytes: number, limit: number, cursor?: string) =>
        Effect.map(
          storage.listMessages({ tenantId }, { cursor, limit, bytes }),
          ({ items, more }) => [items.map((one) => one.id), more]
        )
      assert.deepStrictEqual(yield* list(300, 10), [all.slice(0, 3), true])
      assert.deepStrictEqual(yield* list(1, 10), [all.slice(0, 1), true])
      assert.deepStrictEqual(yield* list(1, 10, all[3]), [all.slice(4), false])
      assert.deepStrictEqual(yield* list(1000, 4), [all.slice(0, 4), true])
      assert.deepStrictEqual(yield* list(1000, 5), [all, false])
      assert.deepStrictEqual(yield* list(1000, 5, all[4]), [[], false])
    }
  ),
  "deliveries are found by every field, finished or not": Effect.gen(function*() {
    const world = yield* mixed
    const { elsewhere, failed, held, pending, retrying, storage, subscription, succeeded, tenantId } = world
    const find = (filter: DeliveryFilter) =>
      Effect.map(
        storage.listDeliveries({ tenantId, ...filter }, { cursor: undefined, limit: 100 }),
        (found) => found.map((delivery) => delivery.id)
      )
    const first = newest(world.ids.map((id) => ({ id })))
    assert.deepStrictEqual(yield* find({}), newest([...world.ids.map((id) => ({ id })), held]))
    assert.deepStrictEqual(yield* find({ tenantId: `${tenantId}x` }), [])
    assert.deepStrictEqual(yield* find({ subscriptionId: subscription.id }), first)
    assert.deepStrictEqual(yield* find({ subscriptionId: world.other.id }), [held.id])
    assert.deepStrictEqual(yield* find({ subscriptionIds: [world.other.id] }), [held.id])
    assert.deepStrictEqual(yield* find({ subscriptionIds: [subscription.id, world.other.id] }), yield* find({}))
    assert.deepStrictEqual(yield* find({ subscriptionIds: [] }), [])
    assert.deepStrictEqual(yield* find({ eventId: world.eventId }), first)
    assert.deepStrictEqual(yield* find({ eventId: world.otherEventId }), [held.id])
    for (const [i, message] of world.messages.entries()) {
      assert.deepStrictEqual(yield* find({ messageId: message.id }), world.ids.slice(i, i + 1))
    }
    assert.deepStrictEqual(yield* find({ status: "success" }), [succeeded])
    assert.deepStrictEqual(yield* find({ status: "failed" }), [failed])
    assert.deepStrictEqual(yield* find({ status: "retrying" }), [retrying])
    assert.deepStrictEqual(yield* find({ status: "cancelled" }), [])
    assert.deepStrictEqual(yield* find({ status: "pending" }), newest([{ id: pending }, { id: elsewhere }, held]))
    assert.deepStrictEqual(yield* find({ reason: "permanent" }), [failed])
    assert.deepStrictEqual(yield* find({ reason: "held" }), [held.id])
    assert.deepStrictEqual(yield* find({ status: "success", eventId: world.otherEventId }), [])
  }),
  "of a message's many deliveries those are found, each once, that all of what is asked for fits": Effect.gen(
    function*() {
      const { append, own, record, route, storage, subscription, tenantId } = yield* make
      const { owner } = yield* own()
      const [message] = yield* append(1)
      if (!message) return yield* Effect.die("a message was made")
      const now = yield* storage.now
      const made = yield* Effect.forEach(
        Array.from({ length: 12 }),
        (_, i) =>
          Effect.gen(function*() {
            const subscribed = yield* subscription()
            yield* storage.createSubscription(subscribed)
            const id = yield* Id.deliveryId(now + i)
            return { id, messageId: message.id, subscriptionId: subscribed.id, claimed: i === 0 }
          })
      )
      yield* route(owner, [message], made)
      const find = (filter: DeliveryFilter) =>
        Effect.map(
          storage.listDeliveries({ tenantId, messageId: message.id, ...filter }, { cursor: undefined, limit: 2 }),
          (found) => found.map((delivery) => delivery.id)
        )
      for (const { id, subscriptionId } of made) assert.deepStrictEqual(yield* find({ subscriptionId }), [id])
      const [first] = made
      if (!first) return yield* Effect.die("deliveries were made")
      yield* record(owner, first.id, failure)
      assert.deepStrictEqual(yield* find({ reason: "permanent" }), [first.id])
      assert.deepStrictEqual(yield* find({ status: "failed" }), [first.id])
      assert.deepStrictEqual(yield* find({ status: "cancelled" }), [])
      assert.deepStrictEqual(yield* find({ reason: "permanent", status: "cancelled" }), [])
    }
  ),
  "deliveries are found by when they were made, both ends included": Effect.gen(function*() {
    const { append, own, route, storage, subscription, tenantId } = yield* make
    const subscribed = yield* subscription()
    yield* storage.createSubscription(subscribed)
    const { owner } = yield* own()
    const now = yield* storage.now
    const messages = yield* append(3)
    const made = yield* Effect.forEach(
      messages,
      ({ id: messageId }, i) =>
        Effect.map(
          Id.deliveryId(now + i * 10),
          (id) => ({ id, messageId, subscriptionId: subscribed.id, claimed: false })
        )
    )
    yield* route(owner, messages, made)
    const find = (filter: DeliveryFilter) =>
      Effect.map(
        storage.listDeliveries({ tenantId, ...filter }, { cursor: undefined, limit: 100 }),
        (found) => found.map((delivery) => delivery.createdAtMs - now)
      )
    assert.deepStrictEqual(yield* find({ fromMs: now + 10 }), [20, 10])
    assert.deepStrictEqual(yield* find({ fromMs: now + 11 }), [20])
    assert.deepStrictEqual(yield* find({ toMs: now + 10 }), [10, 0])
    assert.deepStrictEqual(yield* find({ toMs: now + 9 }), [0])
    assert.deepStrictEqual(yield* find({ fromMs: now + 10, toMs: now + 10 }), [10])
  }),
  "deliveries are listed newest first in pages without gaps or doubles, finished ones among the others": Effect.gen(
    function*() {
      const { ids, owner, record, storage, tenantId } = yield* routed(9, { claimed: true })
      for (const id of ids.filter((_, i) => i % 3 === 1)) yield* record(owner, id, success)
      const seen: Array<string> = []
      let cursor: string | undefined
      do {
        const page = yield* storage.listDeliveries({ tenantId }, { cursor, limit: 2 })
        assert.isAtMost(page.length, 2)
        seen.push(...page.map((delivery) => delivery.id))
        cursor = page.at(-1)?.id
      } while (cursor !== undefined)
      assert.deepStrictEqual(seen, newest(ids.map((id) => ({ id }))))
    }
  ),
  "what is walked leads page by page to all that fits, each once, however few of what is looked at": Effect.gen(
    function*() {
      const world = yield* mixed
      const { storage, tenantId } = world
      for (
        const filter of [
          {},
          { status: "failed" },
          { status: "pending" },
          { reason: "held" },
          { eventId: world.otherEventId },
          { subscriptionId: world.subscription.id, status: "success" }
        ] satisfies ReadonlyArray<DeliveryFilter>
      ) {
        const all = yield* storage.listDeliveries({ tenantId, ...filter }, { cursor: undefined, limit: 100 })
        for (const look of [1, 2, 100]) {
          const seen: Array<string> = []
          let cursor: string | undefined
          do {
            const page = yield* storage.walkDeliveries({ tenantId, ...filter }, { cursor, limit: 2, look })
            assert.isAtMost(page.items.length, 2)
            assert.isTrue(page.next === undefined || cursor === undefined || page.next < cursor)
            seen.push(...page.items.map((delivery) => delivery.id))
            cursor = page.next
          } while (cursor !== undefined)
          assert.deepStrictEqual(seen, all.map((delivery) => delivery.id))
        }
      }
    }
  ),
  "an unfinished delivery shows what it waits for: nothing, an enabled subscription, or to be cancelled": Effect.gen(
    function*() {
      const { delivery, ids, storage, subscription } = yield* routed(1)
      const id = yield* only(ids)
      const { delivery: pending } = yield* delivery(id)
      assert.strictEqual(pending.status, "pending")
      assert.isDefined(pending.nextAttemptAtMs)
      assert.notProperty(pending, "reason")
      yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
      assert.deepInclude((yield* delivery(id)).delivery, { status: "pending", reason: "held" })
      yield* storage.deleteSubscription(subscription.id)
      const { delivery: deleted } = yield* delivery(id)
      assert.deepInclude(deleted, { status: "cancelled", reason: "deleted" })
      assert.notProperty(deleted, "nextAttemptAtMs")
    }
  ),
  "a delivery that was never made is not found": Effect.gen(function*() {
    const { storage } = yield* make
    const id = yield* Id.deliveryId(yield* storage.now)
    assert.deepStrictEqual(yield* storage.getDelivery(id), Option.none())
    assert.strictEqual(yield* storage.retryDelivery(id), "NotFound")
  }),
  "a failed delivery that is retried by hand is pending again, due now, its schedule anew": Effect.gen(function*() {
    const { claim, delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* record(owner, id, failure)
    assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
    const { attempts, delivery: pending } = yield* delivery(id)
    assert.deepInclude(pending, { status: "pending", attemptCount: 1 })
    assert.isAtMost(pending.nextAttemptAtMs ?? Number.POSITIVE_INFINITY, (yield* storage.now) + 1000)
    for (const key of ["reason", "completedAtMs", "lastError"]) assert.notProperty(pending, key)
    assert.strictEqual(attempts.length, 1)
    const claimed = yield* only((yield* claim(owner, subscription.id)).claimed)
    assert.deepInclude(claimed, { deliveryId: id, attemptCount: 1, retryBase: 1, claims: 1 })
    const transition = retryAt((yield* storage.now) + hourMs)
    assert.deepStrictEqual(yield* record(owner, id, transition, { attemptCount: 1 }), [id])
    const again = yield* delivery(id)
    assert.deepInclude(again.delivery, { status: "retrying", attemptCount: 2 })
    assert.deepStrictEqual(again.attempts.map((attempt) => attempt.number), [1, 2])
  }),
  "a failed delivery is retried once, however often it is asked for at a time": Effect.gen(function*() {
    const { claim, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* record(owner, id, failure)
    const answers = yield* Effect.all(Array.from({ length: 4 }, () => storage.retryDelivery(id)), {
      concurrency: "unbounded"
    })
    assert.deepStrictEqual([...answers].sort(), ["NotRetryable", "NotRetryable", "NotRetryable", "Retried"])
    assert.strictEqual((yield* claim(owner, subscription.id)).claimed.length, 1)
  }),
  "a delivery that waits for its next attempt is due now when it is retried by hand": Effect.gen(function*() {
    const { claim, delivery, owner, retrying, storage, subscription } = yield* mixed
    const before = yield* delivery(retrying)
    assert.strictEqual(yield* storage.retryDelivery(retrying), "Retried")
    const { delivery: after } = yield* delivery(retrying)
    assert.deepStrictEqual(after, { ...before.delivery, nextAttemptAtMs: after.nextAttemptAtMs ?? 0 })
    assert.include(idsOf((yield* claim(owner, subscription.id)).claimed), retrying)
  }),
  "a delivery that waits or is under way, succeeded, or whose subscription is deleted is not retried by hand": Effect
    .gen(
      function*() {
        const { claim, failed, owner, pending, retrying, storage, subscription, succeeded } = yield* mixed
        for (const id of [succeeded, pending]) assert.strictEqual(yield* storage.retryDelivery(id), "NotRetryable")
        yield* storage.retryDelivery(retrying)
        assert.include(idsOf((yield* claim(owner, subscription.id)).claimed), retrying)
        assert.strictEqual(yield* storage.retryDelivery(retrying), "NotRetryable")
        yield* storage.deleteSubscription(subscription.id)
        assert.strictEqual(yield* storage.retryDelivery(failed), "NotRetryable")
        assert.strictEqual(yield* storage.retryDelivery(pending), "NotRetryable")
      }
    ),
  "a delivery that waits can be skipped, and be retried afterwards; no other can": Effect.gen(function*() {
    const { claim, delivery, failed, message, owner, pending, retrying, storage, subscription, succeeded } =
      yield* mixed
    assert.strictEqual(yield* storage.skipDelivery(retrying), "Skipped")
    const { delivery: skipped } = yield* delivery(retrying)
    assert.strictEqual(`${skipped.status} ${skipped.reason} ${skipped.lastError}`, "cancelled skipped away")
    for (const id of [retrying, failed, succeeded]) {
      assert.strictEqual(yield* storage.skipDelivery(id), "NotSkippable")
    }
    yield* claim(owner, subscription.id)
    assert.strictEqual(yield* storage.skipDelivery(pending), "NotSkippable")
    const unknown = yield* Id.deliveryId(timestampMs(yield* message()))
    assert.strictEqual(yield* storage.skipDelivery(unknown), "NotFound")
    assert.strictEqual(yield* storage.retryDelivery(retrying), "Retried")
  })
}
