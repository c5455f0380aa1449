/**
 * The storage's contract on the times of messages, and on whose turn it is where new deliveries and retries wait.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { DeliveryId } from "../Id.ts"
import { type Cases, hourMs, idsOf, make, only, retryAt, routed } from "./StorageSuiteWorld.ts"

/** One delivery of a message with times, in milliseconds from now. */
const timed = (inMs: { readonly due?: number; readonly expires?: number }, more: { readonly ordered?: boolean } = {}) =>
  Effect.gen(function*() {
    const world = yield* make
    const { append, claim, deliveries, own, route, storage } = world
    const subscription = yield* world.subscription(more)
    yield* storage.createSubscription(subscription)
    const { owner } = yield* own()
    const now = yield* storage.now
    const messages = yield* append(1)
    const made = yield* deliveries(messages, subscription.id, false)
    yield* route(owner, messages, made, {
      ...(inMs.due === undefined ? {} : { dueAtMs: now + inMs.due }),
      ...(inMs.expires === undefined ? {} : { expiresAtMs: now + inMs.expires })
    })
    const { id } = yield* only(made)
    const shown = Effect.map(world.delivery(id), ({ delivery }) => delivery)
    return { ...world, subscription, owner, now, id, shown, claims: claim(owner, subscription.id) }
  })

/** @category constants @since 0.1.0 */
export const times: Cases = {
  "a message is read with its times": Effect.gen(function*() {
    const { append1, storage, unrouted } = yield* Effect.map(make, (world) => ({
      ...world,
      unrouted: Effect.map(
        Effect.flatMap(world.own(), ({ owner }) => world.storage.unrouted([owner], { messages: 1, bytes: 1e6 })),
        ({ messages }) => messages
      )
    }))
    const times = { deliverAtMs: 1_800_000_000_123, expiresAtMs: 1_800_000_000_456 }
    const message = yield* append1(times)
    assert.deepInclude(yield* Effect.fromOption(yield* storage.getMessage(message.id)), times)
    assert.deepInclude(yield* only(yield* unrouted), times)
  }),
  "a delivery is due when its message is to be delivered": Effect.gen(function*() {
    const { claims, now, shown, subscription, owner } = yield* timed({ due: hourMs })
    assert.isTrue(Math.abs(((yield* shown).nextAttemptAtMs ?? 0) - now - hourMs) < 2)
    const { claimed, next } = yield* claims
    assert.deepStrictEqual([claimed, next.map((one) => one.subscriptionId)], [[], [subscription.id]])
    assert.isTrue(Math.abs((next[0]?.dueAtMs ?? 0) - now - hourMs) < 2)
    assert.isDefined(owner)
  }),
  "a time that has passed when its message is routed makes a delivery due at once": Effect.gen(function*() {
    const { claims, id } = yield* timed({ due: -hourMs })
    assert.deepStrictEqual(idsOf((yield* claims).claimed), [id])
  }),
  "a claim tells when its delivery expires": Effect.gen(function*() {
    const { claims, now } = yield* timed({ expires: hourMs })
    const { expiresAtMs = 0 } = yield* only((yield* claims).claimed)
    assert.isTrue(Math.abs(expiresAtMs - now - hourMs) < 2)
  }),
  "what has expired while it waits is not claimed, shows as failed at once and ends so": Effect.gen(function*() {
    const { backend, claims, shown, storage } = yield* timed({ expires: 50 })
    yield* backend.advance(60)
    assert.deepStrictEqual((yield* claims).claimed, [])
    const waiting = yield* shown
    assert.deepInclude(waiting, { status: "failed", reason: "expired", attemptCount: 0 })
    assert.isUndefined(waiting.nextAttemptAtMs)
    yield* storage.expire(1000)
    const ended = yield* shown
    assert.deepInclude(ended, { status: "failed", reason: "expired", attemptCount: 0 })
    assert.isDefined(ended.completedAtMs)
  }),
  "what is under way when it expires is its owner's to end": Effect.gen(function*() {
    const { backend, claims, id, owner, record, shown, storage } = yield* timed({ expires: 1000 })
    assert.deepStrictEqual(idsOf((yield* claims).claimed), [id])
    yield* backend.advance(1010)
    yield* storage.expire(1000)
    assert.deepInclude(yield* shown, { status: "pending" })
    assert.deepStrictEqual(yield* record(owner, id, retryAt(yield* storage.now)), [id])
    assert.deepInclude(yield* shown, { status: "failed", reason: "expired", attemptCount: 1 })
  }),
  "what has expired is attempted all the same when it is retried by hand": Effect.gen(function*() {
    const { backend, claims, id, storage } = yield* timed({ expires: 50 })
    yield* backend.advance(60)
    yield* storage.expire(1000)
    assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
    yield* storage.expire(1000)
    assert.deepStrictEqual(idsOf((yield* claims).claimed), [id])
  }),
  "what was never attempted and what is to be retried are claimed in turn, oldest due first of each": Effect.gen(
    function*() {
      const { append, claim, deliveries, ids: retries, owner, record, route, storage, subscription } = yield* routed(
        3,
        {
          claimed: true
        }
      )
      const now = yield* storage.now
      for (const [n, id] of retries.entries()) yield* record(owner, id, retryAt(now - 3000 + 1000 * n))
      const messages = yield* append(3)
      const fresh = (yield* deliveries(messages, subscription.id, false)).map((one) => one)
      yield* route(owner, messages, fresh)
      const order: Array<DeliveryId> = []
      for (let n = 0; n < 3; n++) order.push(...idsOf((yield* claim(owner, subscription.id, { free: 2 })).claimed))
      const expected = fresh.flatMap(({ id }, n) => [id, ...retries.slice(n, n + 1)].sort())
      assert.deepStrictEqual(order, expected)
    }
  ),
  "where only one kind is due it takes all the room": Effect.gen(function*() {
    const { claim, ids, owner, record, storage, subscription } = yield* routed(4, { claimed: true })
    const now = yield* storage.now
    for (const id of ids) yield* record(owner, id, retryAt(now - 1000))
    assert.deepStrictEqual(idsOf((yield* claim(owner, subscription.id, { free: 4 })).claimed), [...ids].sort())
  })
}
