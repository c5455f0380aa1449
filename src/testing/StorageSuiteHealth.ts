/**
 * The storage's contract on circuits and on what is told of subscriptions: kept with the outcomes that say it, once.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import type { Outcome } from "../Storage.ts"
import { withEnabled } from "../Subscription.ts"
import {
  type Cases,
  failure,
  hourMs,
  outcome,
  retryAt,
  routed,
  routing as routingOf,
  success
} from "./StorageSuiteWorld.ts"

/** Claimed deliveries of one subscription, and how to record what became of one. */
const claimedOnes = (count: number) =>
  Effect.gen(function*() {
    const world = yield* routed(count, { claimed: true })
    const { claim, ids, message, owner, storage, subscription } = world
    const now = yield* storage.now
    /** Records an outcome of the n-th delivery, with what it says. */
    const say = (n: number, sign: Outcome["sign"], more: Partial<Outcome> = {}) =>
      Effect.gen(function*() {
        const id = ids[n]
        if (id === undefined) return yield* Effect.die(`there is no delivery ${n}`)
        const transition = sign === "accepted" ? success : sign === "failed" ? retryAt(now - 1000) : failure
        const made = { ...outcome(owner, id, transition, { attempt: { startedAtMs: now - 1000 + n } }) }
        return yield* storage.record([{ ...made, ...(sign === undefined ? {} : { sign }), ...more }])
      })
    const health = Effect.map(storage.health([subscription.id]), ([found]) => found)
    const told = Effect.map(
      storage.listMessages({ tenantId: world.tenantId, eventId: "hookline.told" }, {
        cursor: undefined,
        limit: 10,
        bytes: 1e6
      }),
      ({ items }) => items.length
    )
    const news = message({ eventId: "hookline.told" })
    const claimed = Effect.map(claim(owner, subscription.id), (claims) => claims.claimed.length)
    return { ...world, now, say, health, told, news, claimed }
  })

/** @category constants @since 0.1.0 */
export const healths: Cases = {
  "subscriptions that fail are listed by themselves, and so are the others": Effect.gen(function*() {
    const { say, storage, subscription, tenantId } = yield* claimedOnes(2)
    const list = (failing: boolean) =>
      Effect.map(
        storage.listSubscriptions({ tenantId, failing }, { cursor: undefined, limit: 10 }),
        (found) => found.map(({ id }) => id)
      )
    assert.deepStrictEqual([yield* list(true), yield* list(false)], [[], [subscription.id]])
    yield* say(0, "failed")
    assert.deepStrictEqual([yield* list(true), yield* list(false)], [[subscription.id], []])
    yield* say(1, "accepted")
    assert.deepStrictEqual([yield* list(true), yield* list(false)], [[], [subscription.id]])
  }),
  "failures in a row are counted from when the first began, until something is accepted": Effect.gen(function*() {
    const { health, now, say, storage, subscription } = yield* claimedOnes(4)
    yield* say(3, "accepted")
    assert.isUndefined(yield* health)
    yield* say(1, "failed")
    yield* say(0, "failed")
    assert.deepStrictEqual(yield* health, {
      subscriptionId: subscription.id,
      failures: 2,
      failingSinceMs: now - 1000,
      opens: 0,
      openUntilMs: undefined,
      warned: false
    })
    assert.deepStrictEqual(
      (yield* storage.subscriptions).health.filter((one) => one.subscriptionId === subscription.id),
      [yield* health]
    )
    yield* say(2, "accepted")
    assert.isUndefined(yield* health)
  }),
  "what an endpoint refuses ends failures in a row, not since when nothing was accepted": Effect.gen(function*() {
    const { health, now, say } = yield* claimedOnes(2)
    yield* say(0, "failed", { openUntilMs: now + hourMs })
    yield* say(1, "refused")
    const found = yield* health
    assert.deepInclude(found, { failures: 0, failingSinceMs: now - 1000, opens: 0, openUntilMs: undefined })
  }),
  "an outcome that is not recorded says nothing, and one without a sign neither": Effect.gen(function*() {
    const { health, say, told, news } = yield* claimedOnes(2)
    yield* say(0, undefined)
    assert.isUndefined(yield* health)
    yield* say(0, "failed", { telling: [{ message: yield* news, ifRecovered: false }] })
    assert.isUndefined(yield* health)
    assert.strictEqual(yield* told, 0)
  }),
  "while a circuit is open nothing is claimed, and one delivery at a time after that until it is closed": Effect.gen(
    function*() {
      const world = yield* claimedOnes(4)
      const { backend, claim, claimed, delivery, health, ids, now, owner, say, storage, subscription } = world
      yield* storage.release(owner, ids.slice(2))
      const [, , waiting] = ids
      yield* say(0, "failed", { openUntilMs: now + 250 })
      const { claimed: none, health: told } = yield* claim(owner, subscription.id)
      assert.deepStrictEqual([none, told], [[], [yield* health]])
      const shown = waiting === undefined ? undefined : (yield* delivery(waiting)).delivery
      assert.deepInclude(shown, { reason: "circuit-open", status: "pending" })
      assert.isAtLeast(shown?.nextAttemptAtMs ?? 0, now + 249)
      yield* backend.advance(300)
      assert.strictEqual(yield* claimed, 1)
      yield* say(1, "accepted")
      assert.strictEqual(yield* claimed, 2)
    }
  ),
  "what is routed to a subscription whose circuit is not closed waits, though its router would have it claimed": Effect
    .gen(function*() {
      const world = yield* claimedOnes(1)
      const { append, backend, deliveries, ids, now, owner, say, storage, subscription } = world
      const route = Effect.gen(function*() {
        const messages = yield* append(1)
        const { version } = yield* storage.subscriptions
        const made = yield* deliveries(messages, subscription.id, true)
        const answer = yield* storage.route(routingOf(version, owner, messages, made))
        const found = new Set((yield* storage.held([owner])).map(({ deliveryId }) => deliveryId))
        return {
          failing: answer._tag === "Routed" ? answer.failing : [],
          isClaimed: made.some(({ id }) => found.has(id))
        }
      })
      assert.deepStrictEqual(yield* route, { failing: [], isClaimed: true })
      yield* say(0, "failed", { openUntilMs: now + 250 })
      assert.deepStrictEqual(yield* route, { failing: [subscription.id], isClaimed: false })
      yield* backend.advance(300)
      assert.deepStrictEqual(yield* route, { failing: [subscription.id], isClaimed: false })
      assert.notInclude((yield* storage.held([owner])).map(({ deliveryId }) => deliveryId), ids[0])
    }),
  "of what is routed together each is its own subscription's, and waits where that one's circuit is not closed": Effect
    .gen(function*() {
      const { append, deliveries, now, owner, say, storage, subscription } = yield* claimedOnes(1)
      yield* say(0, "failed", { openUntilMs: now + hourMs })
      const other = Effect.tap(
        Effect.map(Id.subscriptionId(now), (id) => ({ ...subscription, id })),
        (made) => storage.createSubscription(made)
      )
      const [before, after] = [yield* other, yield* other]
      const messages = yield* append(2)
      const made = (yield* Effect.forEach(
        [after, subscription, before],
        ({ id }) => deliveries(messages.toReversed(), id, true)
      )).flat()
      const { version } = yield* storage.subscriptions
      const answer = yield* storage.route(routingOf(version, owner, messages, made))
      assert.deepStrictEqual(answer._tag === "Routed" ? answer.failing : [], [subscription.id])
      const found = yield* Effect.forEach(made, ({ id }) => Effect.map(storage.getDelivery(id), Option.getOrThrow))
      assert.deepStrictEqual(
        found.map(({ delivery: { messageId, subscriptionId } }) => ({ messageId, subscriptionId })),
        made.map(({ messageId, subscriptionId }) => ({ messageId, subscriptionId }))
      )
      const held = new Set((yield* storage.held([owner])).map(({ deliveryId }) => deliveryId))
      assert.deepStrictEqual(
        made.map(({ id }) => held.has(id)),
        made.map(({ subscriptionId }) => subscriptionId !== subscription.id)
      )
    }),
  "each time a circuit opens is counted": Effect.gen(function*() {
    const { health, now, say } = yield* claimedOnes(3)
    yield* say(0, "failed", { openUntilMs: now + hourMs })
    yield* say(1, "failed", { openUntilMs: now + 2 * hourMs })
    yield* say(2, "failed")
    const found = yield* health
    assert.deepStrictEqual([found?.failures, found?.opens], [3, 2])
    assert.isTrue(Math.abs((found?.openUntilMs ?? 0) - now - 2 * hourMs) < 1)
  }),
  "a subscription is told as failing once, and as recovered when something is accepted after that": Effect.gen(
    function*() {
      const { news, say, storage, subscription, told, health } = yield* claimedOnes(5)
      assert.isFalse(yield* storage.warn(subscription.id, yield* news))
      yield* say(0, "failed")
      yield* say(1, "accepted", { telling: [{ message: yield* news, ifRecovered: true }] })
      assert.strictEqual(yield* told, 0)
      yield* say(2, "failed")
      assert.isTrue(yield* storage.warn(subscription.id, yield* news))
      assert.isFalse(yield* storage.warn(subscription.id, yield* news))
      assert.deepInclude(yield* health, { warned: true })
      assert.strictEqual(yield* told, 1)
      yield* say(3, "accepted", { telling: [{ message: yield* news, ifRecovered: true }] })
      assert.strictEqual(yield* told, 2)
      yield* say(4, "refused", { telling: [{ message: yield* news, ifRecovered: false }] })
      assert.strictEqual(yield* told, 3)
    }
  ),
  "what is told is routed like any message": Effect.gen(function*() {
    const { news, own, say, storage } = yield* claimedOnes(1)
    const made = yield* news
    yield* say(0, "refused", { telling: [{ message: made, ifRecovered: false }] })
    const { owner } = yield* own({ eventId: "hookline.told" })
    const unrouted = (yield* storage.unrouted([owner], { messages: 100, bytes: 1e6 })).messages
    assert.include(unrouted.map(({ id }) => id), made.id)
  }),
  "a change is told with it, and nothing where there was none": Effect.gen(function*() {
    const { news, storage, subscription, told } = yield* claimedOnes(1)
    yield* storage.updateSubscription(subscription.id, (current) => current, yield* news)
    assert.strictEqual(yield* told, 0)
    yield* storage.updateSubscription(
      subscription.id,
      (current) => withEnabled(current, false, 1, "failing"),
      yield* news
    )
    assert.strictEqual(yield* told, 1)
  }),
  "a subscription begins anew when it is enabled, disabled or gets another configuration, and not when it is renamed":
    Effect.gen(function*() {
      const { health, say, storage, subscription } = yield* claimedOnes(3)
      const change = (to: Partial<typeof subscription>) =>
        storage.updateSubscription(subscription.id, (current) => ({ ...current, ...to }))
      yield* say(0, "failed")
      yield* change({ name: "b" })
      assert.isDefined(yield* health)
      yield* change({ config: { other: true } })
      assert.isUndefined(yield* health)
      yield* say(1, "failed")
      yield* change({ enabled: false })
      assert.isUndefined(yield* health)
      yield* say(2, "failed")
      yield* storage.deleteSubscription(subscription.id)
      assert.isUndefined(yield* health)
    }),
  "what an attempt says that ends after its subscription was deleted is not kept": Effect.gen(function*() {
    const { health, now, say, storage, subscription } = yield* claimedOnes(3)
    yield* say(0, "failed")
    yield* storage.deleteSubscription(subscription.id)
    assert.strictEqual((yield* say(1, "failed", { openUntilMs: now + hourMs })).length, 1)
    assert.strictEqual((yield* say(2, "refused")).length, 1)
    assert.isUndefined(yield* health)
  }),
  "of several outcomes at once one that is accepted says that the endpoint is there": Effect.gen(function*() {
    const { health, ids, owner, storage } = yield* claimedOnes(3)
    const all = (signs: ReadonlyArray<"accepted" | "failed">) =>
      storage.record(signs.flatMap((sign, n) => {
        const id: Id.DeliveryId | undefined = ids[n]
        return id === undefined
          ? []
          : [{ ...outcome(owner, id, sign === "accepted" ? success : failure), sign }]
      }))
    yield* all(["failed", "accepted", "failed"])
    assert.isUndefined(yield* health)
  })
}
