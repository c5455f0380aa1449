/**
 * The storage's contract on subscriptions that are a worker group of their own: whose turn it is, where deliveries belong,
 * and what is kept of rate limits.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { DeliveryId } from "../Id.ts"
import type { Owner } from "../Storage.ts"
import { groupOf, ownGroup, type Subscription, withEnabled } from "../Subscription.ts"
import {
  type Cases,
  failure,
  hourMs,
  idsOf,
  make,
  only,
  outcome,
  retryAt,
  routed,
  routing,
  success
} from "./StorageSuiteWorld.ts"

/** Deliveries of an ordered subscription with these keys, in its own group, which an owner holds. */
const ordered = (keys: ReadonlyArray<string | undefined>, overrides?: Partial<Subscription>) =>
  Effect.gen(function*() {
    const world = yield* make
    const subscription = yield* world.subscription({ ordered: true, ...overrides })
    yield* world.storage.createSubscription(subscription)
    const group = groupOf(subscription, world.eventId)
    const router = (yield* world.own()).owner
    const { owner } = yield* world.own({ workerGroup: group })
    /** Appends messages with keys, and routes them to the subscription. */
    const emit = (...keys: ReadonlyArray<string | undefined>) =>
      Effect.gen(function*() {
        const messages = yield* Effect.forEach(keys, (orderingKey) => world.append1({ orderingKey }))
        const made = yield* world.deliveries(messages, subscription.id, false)
        yield* world.route(router, messages, made.map((one) => ({ ...one, workerGroup: group })))
        return made.map(({ id }) => id)
      })
    const ids = yield* emit(...keys)
    const claimed = (by: Owner = owner, options?: { readonly suspect?: boolean }) =>
      Effect.map(
        world.claim(by, subscription.id, options),
        (claims): ReadonlyArray<DeliveryId | undefined> => idsOf(claims.claimed)
      )
    const waitReason = (id: DeliveryId | undefined) =>
      id === undefined
        ? Effect.die("there is no such delivery")
        : Effect.map(world.delivery(id), ({ delivery }) => delivery.reason)
    return { ...world, subscription, group, router, owner, emit, ids, claimed, waitReason }
  })

/** As `ordered`, with one key and at least a first and a second delivery. */
const oneKey = (count: number, overrides?: Partial<Subscription>) =>
  Effect.gen(function*() {
    const world = yield* ordered(Array.from({ length: count }, () => "k"), overrides)
    const [first, second, third] = world.ids
    if (!first || !second) return yield* Effect.die("two deliveries were made")
    return { ...world, first, second, third: third ?? second }
  })

/** @category constants @since 0.1.0 */
export const ordering: Cases = {
  "of an ordered subscription the first delivery of each key is claimed, and the next when that has ended": Effect.gen(
    function*() {
      const { claim, claimed, ids: [a1, b1, a2, b2, a3], owner, record, subscription } = yield* ordered([
        "a",
        "b",
        "a",
        "b",
        "a"
      ])
      const first = yield* claim(owner, subscription.id)
      assert.deepStrictEqual([idsOf(first.claimed), first.next], [[a1, b1].sort(), []])
      assert.deepStrictEqual(yield* claimed(), [])
      if (!a1 || !a2) return yield* Effect.die("deliveries were made")
      yield* record(owner, a1, success)
      assert.deepStrictEqual(yield* claimed(), [a2])
      yield* record(owner, a2, failure)
      assert.deepStrictEqual(yield* claimed(), [a3])
      assert.isDefined(b2)
    }
  ),
  "a delivery that is tried again keeps its key waiting, and no other": Effect.gen(function*() {
    const { claimed, emit, owner, record, storage, first, second } = yield* oneKey(2)
    yield* claimed()
    const now = yield* storage.now
    yield* record(owner, first, retryAt(now + hourMs))
    const [other] = yield* emit("other")
    assert.deepStrictEqual(yield* claimed(), [other])
    yield* storage.retryDelivery(first)
    assert.deepStrictEqual(yield* claimed(), [first])
    yield* record(owner, first, success, { attemptCount: 1 })
    assert.deepStrictEqual(yield* claimed(), [second])
  }),
  "deliveries without a key are in no order": Effect.gen(function*() {
    const { claimed, ids } = yield* ordered([undefined, undefined, "k"])
    assert.deepStrictEqual(yield* claimed(), [...ids].sort())
  }),
  "what was emitted before and is not routed yet is waited for, of whichever event that the subscription wants": Effect
    .gen(function*() {
      const world = yield* ordered([], { events: ["suite.*"] })
      const { append1, claimed, emit, eventId, own, route, tenantId } = world
      const earlier = yield* append1({ eventId: `${eventId}-b`, orderingKey: "k" })
      yield* append1({ eventId: `${eventId}-b`, orderingKey: "k", tenantId: `${tenantId}x` })
      const [id, free] = yield* emit("k", "free")
      assert.deepStrictEqual(yield* claimed(), [free])
      const { owner } = yield* own({ eventId: `${eventId}-b` })
      yield* route(owner, [earlier], [], { matched: 0, filtered: 1 })
      yield* world.backend.advance(100)
      assert.deepStrictEqual(yield* claimed(), [id])
    }),
  "a message that was set aside, or of an event that the subscription does not want, is not waited for": Effect.gen(
    function*() {
      const { append1, claimed, emit, eventId, route, router } = yield* ordered([])
      yield* append1({ eventId: `${eventId}-b`, orderingKey: "k" })
      const aside = yield* append1({ orderingKey: "k" })
      yield* route(router, [aside], [], { error: "thrown" })
      const ids = yield* emit("k")
      assert.deepStrictEqual(yield* claimed(), ids)
    }
  ),
  "messages that are routed late come in their turn": Effect.gen(function*() {
    const {
      append1,
      claimed,
      deliveries,
      emit,
      eventId,
      first,
      group,
      own,
      owner,
      record,
      route,
      second,
      subscription
    } = yield* oneKey(2, { events: ["suite.*"] })
    assert.deepStrictEqual(yield* claimed(), [first])
    const late = yield* append1({ eventId: `${eventId}-b`, orderingKey: "k" })
    const [last] = yield* emit("k")
    yield* record(owner, first, success)
    assert.deepStrictEqual(yield* claimed(), [second])
    const { id } = yield* only(yield* deliveries([late], subscription.id, false))
    const made = { id, messageId: late.id, subscriptionId: subscription.id, workerGroup: group, claimed: false }
    yield* route((yield* own({ eventId: `${eventId}-b` })).owner, [late], [made])
    yield* record(owner, second, success)
    assert.deepStrictEqual(yield* claimed(), [id])
    yield* record(owner, id, success)
    assert.deepStrictEqual(yield* claimed(), [last])
  }),
  "what waits for an earlier delivery shows as blocked, and the blocked keys show what they wait for": Effect.gen(
    function*() {
      const { claimed, first, ids, owner, record, second, storage, subscription, waitReason } = yield* oneKey(4)
      const keys = storage.blockedKeys(subscription.id, { cursor: undefined, limit: 10, counted: 2 })
      assert.deepStrictEqual(yield* keys, [])
      assert.deepStrictEqual(yield* Effect.forEach(ids, waitReason), [undefined, "blocked", "blocked", "blocked"])
      yield* claimed()
      yield* record(owner, first, retryAt((yield* storage.now) + hourMs))
      const { head, orderingKey, waiting } = yield* only(yield* keys)
      assert.deepStrictEqual([orderingKey, head.id, head.attemptCount, waiting], ["k", first, 1, 2])
      assert.deepStrictEqual(yield* waitReason(first), undefined)
      assert.deepStrictEqual(yield* waitReason(second), "blocked")
      const page = (cursor: string) => storage.blockedKeys(subscription.id, { cursor, limit: 10, counted: 2 })
      assert.deepStrictEqual([(yield* page("j")).length, (yield* page("k")).length], [1, 0])
    }
  ),
  "a key goes on when its first delivery is skipped": Effect.gen(function*() {
    const { claimed, first, owner, record, second, storage } = yield* oneKey(3)
    yield* claimed()
    yield* record(owner, first, retryAt((yield* storage.now) + hourMs))
    assert.deepStrictEqual(yield* claimed(), [])
    assert.strictEqual(yield* storage.skipDelivery(first), "Skipped")
    assert.deepStrictEqual(yield* claimed(), [second])
  }),
  "a key goes on when its first delivery fails because its runner crashed": Effect.gen(function*() {
    const { claimed, first, group, own, second, storage } = yield* oneKey(3)
    assert.deepStrictEqual(yield* claimed(), [first])
    assert.deepStrictEqual(yield* claimed(), [])
    const { owner } = yield* own({ workerGroup: group })
    yield* storage.recover([owner], 1)
    assert.deepStrictEqual(yield* claimed(owner), [second])
  }),
  "a suspect is claimed when it is its turn": Effect.gen(function*() {
    const { claimed, first, group, own, owner, record, second, storage } = yield* oneKey(2)
    yield* claimed()
    yield* record(owner, first, success)
    let last = owner
    for (let n = 0; n < 2; n++) {
      assert.deepStrictEqual(yield* claimed(last), [second])
      last = (yield* own({ workerGroup: group })).owner
      yield* storage.recover([last], 100)
    }
    // It is in doubt, and so is nothing before it: what was retried by hand comes first.
    assert.deepStrictEqual(yield* claimed(last), [])
    assert.deepStrictEqual(yield* claimed(last, { suspect: true }), [second])
  }),
  "a subscription that is in order no more has what waited due": Effect.gen(function*() {
    const { claimed, first, storage, subscription, ids } = yield* oneKey(3, { maxConcurrency: 3 })
    assert.deepStrictEqual(yield* claimed(), [first])
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, ordered: false }))
    assert.deepStrictEqual(yield* claimed(), ids.filter((id) => id !== first).sort())
  }),
  "what is held while its subscription is disabled keeps its order": Effect.gen(function*() {
    const { claimed, first, owner, record, second, storage, subscription, waitReason } = yield* oneKey(2)
    yield* claimed()
    yield* storage.updateSubscription(subscription.id, (current) => withEnabled(current, false, 1))
    yield* record(owner, first, retryAt(yield* storage.now))
    assert.deepStrictEqual([yield* waitReason(first), yield* waitReason(second)], ["held", "held"])
    assert.deepStrictEqual(yield* claimed(), [])
    yield* storage.updateSubscription(subscription.id, (current) => withEnabled(current, true, 1))
    assert.deepStrictEqual(yield* claimed(), [first])
  }),
  "deliveries follow a subscription that becomes a worker group of its own, those that are claimed when they wait again":
    Effect.gen(function*() {
      const world = yield* routed(4, { claimed: true })
      const { claim, delivery, ids, own, owner, record, storage, subscription } = world
      const [released, retried, finished, recovered] = ids
      if (!released || !retried || !finished || !recovered) return yield* Effect.die("deliveries were made")
      const change = (maxConcurrency: number | undefined) =>
        storage.updateSubscription(subscription.id, (current) => ({ ...current, maxConcurrency }))
      const changed = yield* Effect.flatMap(change(3), Effect.fromOption)
      const group = ownGroup(changed) ?? ""
      const { owner: ours } = yield* own({ workerGroup: group })
      assert.deepStrictEqual(
        (yield* storage.claimants(subscription.id)).filter(({ workerGroup }) => workerGroup === owner.workerGroup),
        [owner]
      )
      yield* storage.release(owner, [released])
      // What others had claimed is waited for, so that no more are under way than may be.
      assert.deepStrictEqual((yield* claim(ours, subscription.id)).claimed, [])
      yield* record(owner, retried, retryAt((yield* storage.now) - 1000))
      yield* record(owner, finished, success)
      assert.deepStrictEqual((yield* claim(ours, subscription.id)).claimed, [])
      yield* storage.recover([(yield* own()).owner], 100)
      assert.deepStrictEqual(
        idsOf((yield* claim(ours, subscription.id)).claimed),
        [released, retried, recovered].sort()
      )
      assert.strictEqual((yield* delivery(finished)).delivery.status, "success")
      // And back.
      yield* storage.release(ours, [released])
      yield* change(undefined)
      yield* storage.release(ours, [recovered])
      const { owner: event } = yield* own()
      assert.deepStrictEqual(idsOf((yield* claim(event, subscription.id)).claimed), [released, recovered].sort())
    }),
  "what had gone ahead of its routing is waited for where its subscription has got a group of its own meanwhile": Effect
    .gen(function*() {
      for (const change of [{ ordered: true }, { maxConcurrency: 1 }]) {
        const world = yield* make
        const { append1, claim, deliveries, own, record, route, storage } = world
        const before = yield* world.subscription()
        yield* storage.createSubscription(before)
        const { owner } = yield* own()
        const ahead = yield* append1({ orderingKey: "k" })
        const { version } = yield* storage.subscriptions
        const updated = yield* storage.updateSubscription(before.id, (current) => ({ ...current, ...change }))
        const workerGroup = groupOf(yield* Effect.fromOption(updated), world.eventId)
        const { owner: ours } = yield* own({ workerGroup })
        const later = yield* append1({ orderingKey: "k" })
        const [made] = yield* deliveries([later], before.id, false)
        if (!made) return yield* Effect.die("a delivery was made")
        yield* route(owner, [later], [{ ...made, workerGroup }])
        const begun = yield* deliveries([ahead], before.id, true)
        const given = routing(version, owner, [ahead], begun)
        assert.strictEqual((yield* storage.route({ ...given, isBegun: true }))._tag, "Routed")
        const claimed = Effect.map(claim(ours, before.id), (claims) => idsOf(claims.claimed))
        assert.deepStrictEqual(yield* claimed, [])
        const [first] = begun
        if (!first) return yield* Effect.die("a delivery was made")
        yield* record(owner, first.id, success)
        assert.deepStrictEqual(yield* claimed, [made.id])
      }
    }),
  "a delivery that is retried by hand goes to its subscription's group": Effect.gen(function*() {
    const { claim, claimed, first, owner, record, router, storage, subscription } = yield* oneKey(2)
    yield* claimed()
    yield* record(owner, first, failure)
    yield* storage.retryDelivery(first)
    assert.deepStrictEqual((yield* claim(router, subscription.id)).claimed, [])
    assert.deepStrictEqual(yield* claimed(), [first])
  }),
  "work of a subscription's own group is found": Effect.gen(function*() {
    const { claimed, group, storage, subscription } = yield* oneKey(2)
    const found = storage.due({ aheadMs: 0, workerGroups: [group] })
    const { lanes, unrouted } = yield* only(yield* found)
    assert.deepStrictEqual([unrouted, lanes.map((lane) => lane.subscriptionId)], [false, [subscription.id]])
    yield* claimed()
    yield* claimed()
    // What waits for its turn is no work; a claim whose runner is gone is found without a lane.
    assert.deepStrictEqual((yield* found).flatMap((one) => one.lanes), [])
  }),
  "when a rate limit is filled up is kept, the latest": Effect.gen(function*() {
    const { claimed, ids: [a, b], owner, storage, subscription } = yield* ordered([undefined, undefined], {
      rateLimit: { messages: 1, intervalMs: 1000 }
    })
    if (!a || !b) return yield* Effect.die("deliveries were made")
    assert.deepStrictEqual([...yield* storage.filled([subscription.id])], [])
    yield* claimed()
    const atMs = 1_800_000_000_000
    yield* storage.record([{ ...outcome(owner, a, success), filledAtMs: atMs + 5 }])
    yield* storage.record([{ ...outcome(owner, b, success), filledAtMs: atMs }])
    assert.deepStrictEqual([...yield* storage.filled([subscription.id])], [[subscription.id, atMs + 5]])
  }),
  "what an owner had claimed counts against the rate limit when another takes over": Effect.gen(function*() {
    const { claimed, group, own, storage, subscription } = yield* ordered([undefined, undefined], {
      rateLimit: { messages: 1, intervalMs: hourMs }
    })
    yield* claimed()
    const now = yield* storage.now
    yield* storage.recover([(yield* own({ workerGroup: group })).owner], 100)
    const filledAtMs = (yield* storage.filled([subscription.id])).get(subscription.id) ?? 0
    assert.isTrue(Math.abs(filledAtMs - now - 2 * hourMs) < 60_000, `filled after ${filledAtMs - now} ms`)
  })
}
