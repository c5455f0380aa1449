/**
 * The storage's contract on completing: routing and outcomes of a message at once, as if the one had been written after the other.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import type { Completed, Owner } from "../Storage.ts"
import { type Cases, hourMs, make, outcome, retryAt, success } from "./StorageSuiteWorld.ts"

const all = { messages: 100, bytes: 1_000_000 }

/** A world with a subscription and an owner; and how its messages are completed. */
const world = Effect.gen(function*() {
  const made = yield* make
  const { storage } = made
  const subscription = yield* made.subscription()
  yield* storage.createSubscription(subscription)
  const { owner } = yield* made.own()
  const completed = Effect.fnUntraced(function*(
    by: Owner,
    messageId: Id.MessageId,
    overrides?: Partial<Completed>
  ) {
    const one: Completed = {
      owner: by,
      messageId,
      version: 1,
      filtered: 2,
      transformedJson: undefined,
      deliveries: [{
        id: yield* Id.deliveryId(yield* storage.now),
        subscriptionId: subscription.id,
        attempt: { ...accepted, statusCode: 202 },
        externalId: "X-1"
      }],
      ...overrides
    }
    return one
  })
  return { ...made, another: made.subscription, subscription, owner, completed }
})

const { attempt: accepted } = outcome(
  { workerGroup: "", partition: 0, epoch: 0 },
  Id.trusted.delivery("dlv_00000000000000000000000000000000"),
  success
)

/** @category constants @since 0.1.0 */
export const completing: Cases = {
  "what is completed is routed, and its deliveries have ended with their attempt": Effect.gen(function*() {
    const { append, completed, delivery, eventId, owner, storage, subscription, tenantId } = yield* world
    const [first, second] = yield* append(2, { orderingKey: "k" })
    if (!first || !second) return assert.fail("two messages were appended")
    const one = yield* completed(owner, first.id, { transformedJson: `{"b":1}`, version: 7 })
    const [made] = one.deliveries
    if (!made) return assert.fail("it has a delivery")
    assert.deepStrictEqual(yield* storage.complete([one]), [first.id])
    assert.deepStrictEqual((yield* storage.unrouted([owner], all)).messages.map(({ id }) => id), [second.id])
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    const { state } = yield* Effect.fromOption(yield* storage.getMessage(first.id))
    assert.deepInclude(state, { _tag: "Routed", version: 7, matched: 1, filtered: 2 })
    const { messages } = yield* storage.load([{ messageId: first.id }])
    assert.deepStrictEqual(messages.map(({ emittedJson, payloadJson }) => [emittedJson, payloadJson]), [[
      "{}",
      `{"b":1}`
    ]])
    const found = yield* delivery(made.id)
    assert.deepInclude(found.delivery, {
      messageId: first.id,
      eventId,
      subscriptionId: subscription.id,
      tenantId,
      status: "success",
      attemptCount: 1,
      externalId: "X-1"
    })
    assert.isDefined(found.delivery.completedAtMs)
    assert.deepStrictEqual(found.attempts, [{ ...accepted, statusCode: 202 }])
    const { totals } = yield* storage.count({ tenantId }, {
      fromMs: Math.floor((yield* storage.now) / hourMs - 1) * hourMs,
      fine: false,
      top: 1,
      counted: 10
    })
    assert.deepStrictEqual(totals, { success: 1, failed: 0, cancelled: 0, attempts: 1 })
  }),
  "a message with several deliveries is completed with all of them, and several at once": Effect.gen(function*() {
    const { another, append, completed, delivery, owner, storage } = yield* world
    const other = yield* another()
    yield* storage.createSubscription(other)
    const messages = yield* append(3)
    const two = yield* Effect.forEach(messages, ({ id }) =>
      Effect.gen(function*() {
        const [one, next] = [yield* completed(owner, id), yield* completed(owner, id)]
        return {
          ...one,
          deliveries: [...one.deliveries, ...next.deliveries.map((made) => ({ ...made, subscriptionId: other.id }))]
        }
      }))
    assert.deepStrictEqual(
      [...yield* storage.complete(two)].sort(),
      messages.map(({ id }) => id).sort()
    )
    for (const { deliveries, messageId } of two) {
      for (const { id } of deliveries) {
        assert.deepInclude((yield* delivery(id)).delivery, { messageId, status: "success" })
      }
    }
  }),
  "a message is completed once, by its owner, where it still waits": Effect.gen(function*() {
    const { append, completed, own, owner, route, storage, tenantId } = yield* world
    const [first, second, third] = yield* append(3)
    if (!first || !second || !third) return assert.fail("three messages were appended")
    const given = yield* completed(owner, first.id)
    assert.deepStrictEqual(yield* storage.complete([given, given]), [first.id])
    assert.deepStrictEqual(yield* storage.complete([yield* completed(owner, first.id)]), [])
    yield* route(owner, [second], [], { error: "thrown" })
    assert.deepStrictEqual(yield* storage.complete([yield* completed(owner, second.id)]), [])
    const { owner: next } = yield* own()
    assert.deepStrictEqual(yield* storage.complete([yield* completed(owner, third.id)]), [])
    const of = yield* storage.listDeliveries({ tenantId }, { cursor: undefined, limit: 10 })
    assert.deepStrictEqual(of.map(({ messageId }) => messageId), [first.id])
    assert.deepStrictEqual(yield* storage.complete([yield* completed(next, third.id)]), [third.id])
  }),
  "what is completed says that its endpoint accepts again": Effect.gen(function*() {
    const { append, completed, deliveries, own, owner, route, storage, subscription } = yield* world
    const [first, second] = yield* append(2)
    if (!first || !second) return assert.fail("two messages were appended")
    const [made] = yield* deliveries([first], subscription.id, true)
    if (!made) return assert.fail("a delivery was made")
    yield* route(owner, [first], [made])
    const failed = outcome(owner, made.id, retryAt((yield* storage.now) + hourMs))
    yield* storage.record([{ ...failed, sign: "failed" }])
    assert.strictEqual((yield* storage.health([subscription.id])).length, 1)
    const { owner: next } = yield* own()
    yield* storage.complete([yield* completed(owner, second.id)])
    assert.strictEqual((yield* storage.health([subscription.id])).length, 1)
    yield* storage.complete([yield* completed(next, second.id)])
    assert.deepStrictEqual(yield* storage.health([subscription.id]), [])
  }),
  "what is completed is heard by those who listen": Effect.gen(function*() {
    const { append, completed, owner, route, storage } = yield* world
    const [cursor] = yield* storage.listen([owner.workerGroup])
    if (!cursor) return assert.fail("the group is listened to")
    const [first, second] = yield* append(2)
    if (!first || !second) return assert.fail("two messages were appended")
    yield* storage.complete([yield* completed(owner, first.id, { transformedJson: `{"b":1}` })])
    yield* route(owner, [second], [])
    const heard = yield* storage.hear([cursor], 10)
    assert.deepStrictEqual(heard.map(({ message }) => message), [first, second])
  })
}
