/**
 * The storage's contract on claiming: what an owner may take, hold and give back.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { DeliveryId } from "../Id.ts"
import type { Owner } from "../Storage.ts"
import { type Cases, hourMs, idsOf, make, only, retryAt, routed, success } from "./StorageSuiteWorld.ts"

/** Makes each delivery of a world due at a time of its own, `ms` from now. */
const dueIn = (offsets: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const world = yield* routed(offsets.length, { claimed: true })
    const now = yield* world.storage.now
    for (const [i, id] of world.ids.entries()) {
      yield* world.record(world.owner, id, retryAt(now + (offsets[i] ?? 0)))
    }
    return { ...world, now }
  })

/** Lets a delivery be claimed by one owner after the other, none of which says what became of it. */
const crash = (times: number) =>
  Effect.gen(function*() {
    const world = yield* routed(2, { claimed: true })
    let { owner } = world
    for (let n = 1; n < times; n++) {
      owner = (yield* world.own()).owner
      yield* world.storage.recover([owner], 100)
      yield* world.claim(owner, world.subscription.id, { suspect: true })
      yield* world.claim(owner, world.subscription.id, { suspect: true })
    }
    owner = (yield* world.own()).owner
    yield* world.storage.recover([owner], 100)
    return { ...world, owner }
  })

/** @category constants @since 0.1.0 */
export const claiming: Cases = {
  "the first due is claimed first, and of those due at once the first emitted": Effect.gen(function*() {
    const { claim, ids, owner, subscription } = yield* dueIn([-1000, -3000, -2000, -2000])
    const order: Array<DeliveryId> = []
    for (const _ of ids) {
      order.push((yield* only((yield* claim(owner, subscription.id, { free: 1 })).claimed)).deliveryId)
    }
    assert.deepStrictEqual(order, [1, 2, 3, 0].map((i) => ids[i]))
  }),
  "what is routed at once is claimed in the order of the messages": Effect.gen(function*() {
    const { append, claim, deliveries, owner, route, subscription } = yield* routed(0)
    const messages = yield* append(6)
    const made = yield* deliveries(messages, subscription.id, false)
    yield* route(owner, messages, made.toReversed())
    const order: Array<DeliveryId> = []
    for (const _ of made) {
      order.push((yield* only((yield* claim(owner, subscription.id, { free: 1 })).claimed)).deliveryId)
    }
    assert.deepStrictEqual(order, made.map((delivery) => delivery.id))
  }),
  "a claim says what it found, and counts": Effect.gen(function*() {
    const { claim, ids, messages, owner, storage, subscription } = yield* routed(1)
    const { claimed, next } = yield* claim(owner, subscription.id)
    const found = yield* only(claimed)
    assert.deepStrictEqual(found, {
      workerGroup: owner.workerGroup,
      deliveryId: yield* only(ids),
      messageId: (yield* only(messages)).id,
      subscriptionId: subscription.id,
      subscriptionVersion: (yield* Effect.fromOption(yield* storage.getSubscription(subscription.id))).version,
      seq: (yield* Effect.fromOption(yield* storage.getMessage((yield* only(messages)).id))).seq,
      attemptCount: 0,
      retryBase: 0,
      claims: 1,
      size: 2
    })
    assert.deepStrictEqual(next, [])
  }),
  "a claim takes no more bytes of payloads than it is told, but one payload whatever its size": Effect.gen(function*() {
    const { claim, owner, subscription } = yield* routed(5, {
      message: { payloadJson: JSON.stringify("x".repeat(98)) }
    })
    const counts: Array<number> = []
    for (const bytes of [1, 250, 1000]) {
      const { claimed, next } = yield* claim(owner, subscription.id, { bytes })
      counts.push(claimed.length)
      assert.isTrue(claimed.every((one) => one.size === 100))
      assert.strictEqual(next.length, counts.length < 3 ? 1 : 0)
    }
    assert.deepStrictEqual(counts, [1, 2, 2])
  }),
  "what is claimed is not claimed again": Effect.gen(function*() {
    const { claim, ids, owner, subscription } = yield* routed(3)
    assert.deepStrictEqual(idsOf((yield* claim(owner, subscription.id)).claimed), [...ids].sort())
    assert.deepStrictEqual(yield* claim(owner, subscription.id), { claimed: [], next: [], health: [] })
  }),
  "a lane gives as many as it has room for, and says when the next is due": Effect.gen(function*() {
    const { claim, ids, now, owner, subscription } = yield* dueIn([-3000, -2000, -1000])
    const { claimed, next } = yield* claim(owner, subscription.id, { free: 2 })
    assert.deepStrictEqual(idsOf(claimed), ids.slice(0, 2).sort())
    const { subscriptionId, workerGroup } = { subscriptionId: subscription.id, workerGroup: owner.workerGroup }
    assert.deepStrictEqual(next, [{ subscriptionId, workerGroup, dueAtMs: now - 1000 }])
  }),
  "a claim over several lanes keeps to its limit, and leaves no lane with work unmentioned": Effect.gen(function*() {
    const { append, deliveries, owner, route, storage, subscription, tenantId } = yield* routed(3)
    const other = yield* (yield* make).subscription({ tenantId })
    yield* storage.createSubscription(other)
    const more = yield* append(3)
    yield* route(owner, more, yield* deliveries(more, other.id, false))
    const { workerGroup } = owner
    const lanes = [subscription.id, other.id]
    const { claimed, next } = yield* storage.claim({
      owners: [owner],
      lanes: lanes.map((subscriptionId) => ({ workerGroup, subscriptionId, free: 3 })),
      limit: 4,
      bytes: 1e9,
      suspectClaims: 2,
      suspectProviders: []
    })
    assert.strictEqual(claimed.length, 4)
    const taken = Map.groupBy(claimed, (claim) => claim.subscriptionId)
    const left = lanes.filter((id) => (taken.get(id)?.length ?? 0) < 3)
    assert.deepStrictEqual(next.map((lane) => lane.subscriptionId).sort(), left.sort())
    assert.deepStrictEqual(next.map((lane) => lane.workerGroup), left.map(() => workerGroup))
  }),
  "a lane that was not asked for gives nothing": Effect.gen(function*() {
    const { ids, owner, storage, subscription } = yield* routed(1)
    const other = (yield* (yield* make).subscription()).id
    const { workerGroup } = owner
    const claim = (lanes: ReadonlyArray<typeof other>) =>
      storage.claim({
        owners: [owner],
        lanes: lanes.map((subscriptionId) => ({ workerGroup, subscriptionId, free: 10 })),
        limit: 10,
        bytes: 1e9,
        suspectClaims: 2,
        suspectProviders: ["suite.provider"]
      })
    assert.deepStrictEqual(yield* claim([]), { claimed: [], next: [], health: [] })
    assert.deepStrictEqual(yield* claim([other]), { claimed: [], next: [], health: [] })
    assert.deepStrictEqual(idsOf((yield* claim([subscription.id])).claimed), ids)
  }),
  "a lane in another worker group is another lane": Effect.gen(function*() {
    const { append, claim, deliveries, eventId, own, owner, route, storage, subscription } = yield* routed(1)
    const other = (yield* own({ eventId: `${eventId}-b` })).owner
    const messages = yield* append(1, { eventId: `${eventId}-b` })
    const made = yield* deliveries(messages, subscription.id, false)
    yield* route(other, messages, made)
    assert.deepStrictEqual(idsOf((yield* claim(other, subscription.id)).claimed), made.map((one) => one.id))
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    assert.strictEqual((yield* claim(owner, subscription.id)).claimed.length, 1)
  }),
  "what is not due yet is not claimed, but told of": Effect.gen(function*() {
    const { claim, now, owner, subscription } = yield* dueIn([hourMs, 2 * hourMs])
    const { claimed, next } = yield* claim(owner, subscription.id)
    assert.deepStrictEqual(claimed, [])
    assert.deepStrictEqual(next.map((lane) => lane.dueAtMs), [now + hourMs])
  }),
  "deliveries of a disabled subscription are claimed when it is enabled again": Effect.gen(function*() {
    const { claim, ids, owner, storage, subscription } = yield* routed(1)
    const enable = (enabled: boolean) =>
      storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled }))
    yield* enable(false)
    assert.deepStrictEqual(yield* claim(owner, subscription.id), { claimed: [], next: [], health: [] })
    const enabled = yield* Effect.fromOption(yield* enable(true))
    const claimed = yield* only((yield* claim(owner, subscription.id)).claimed)
    assert.deepStrictEqual([claimed.deliveryId], ids)
    assert.strictEqual(claimed.subscriptionVersion, enabled.version)
  }),
  "deliveries of a deleted subscription are not claimed": Effect.gen(function*() {
    const { claim, owner, storage, subscription } = yield* routed(1)
    yield* storage.deleteSubscription(subscription.id)
    assert.deepStrictEqual(yield* claim(owner, subscription.id, { suspect: true }), {
      claimed: [],
      next: [],
      health: []
    })
  }),
  "a superseded owner claims nothing": Effect.gen(function*() {
    const { claim, ids, own, owner, subscription } = yield* routed(1)
    const successor = (yield* own()).owner
    assert.deepStrictEqual(yield* claim(owner, subscription.id, { suspect: true }), {
      claimed: [],
      next: [],
      health: []
    })
    assert.deepStrictEqual(idsOf((yield* claim(successor, subscription.id)).claimed), ids)
  }),
  "suspects are left out of a claim": Effect.gen(function*() {
    const { claim, owner, storage, subscription } = yield* crash(2)
    assert.deepStrictEqual((yield* claim(owner, subscription.id)).claimed, [])
    assert.deepStrictEqual(yield* storage.held([owner]), [])
  }),
  "a claim that asks for a suspect gets one, of any lane": Effect.gen(function*() {
    const { claim, ids, owner, storage, subscription } = yield* crash(2)
    const first = yield* only((yield* claim(owner, subscription.id, { suspect: true })).claimed)
    assert.strictEqual(first.claims, 3)
    const elsewhere = yield* storage.claim({
      owners: [owner],
      lanes: [],
      limit: 10,
      bytes: 1e9,
      suspectClaims: 2,
      suspectProviders: ["suite.provider"]
    })
    const second = yield* only(elsewhere.claimed)
    assert.deepStrictEqual(idsOf([first, second]), [...ids].sort())
  }),
  "a suspect of a provider that is not asked for is left out": Effect.gen(function*() {
    const { owner, storage } = yield* crash(2)
    const { claimed } = yield* storage.claim({
      owners: [owner],
      lanes: [],
      limit: 10,
      bytes: 1e9,
      suspectClaims: 2,
      suspectProviders: ["suite.other"]
    })
    assert.deepStrictEqual(claimed, [])
  }),
  "a suspect counts to a claim's limit, and no backlog keeps it waiting": Effect.gen(function*() {
    const { append, claim, deliveries, owner, route, subscription } = yield* crash(2)
    const messages = yield* append(3)
    yield* route(owner, messages, yield* deliveries(messages, subscription.id, false))
    const { claimed } = yield* claim(owner, subscription.id, { limit: 2, suspect: true })
    assert.deepStrictEqual(claimed.map((one) => one.claims).sort(), [1, 3])
    const suspect = yield* only((yield* claim(owner, subscription.id, { limit: 1, suspect: true })).claimed)
    assert.strictEqual(suspect.claims, 3)
  }),
  "no suspect of a disabled subscription is claimed": Effect.gen(function*() {
    const { claim, owner, storage, subscription } = yield* crash(2)
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
    assert.deepStrictEqual((yield* claim(owner, subscription.id, { suspect: true })).claimed, [])
  }),
  "claimed once before, a delivery is no suspect yet": Effect.gen(function*() {
    const { claim, ids, owner, subscription } = yield* crash(1)
    const { claimed } = yield* claim(owner, subscription.id)
    assert.deepStrictEqual(idsOf(claimed), [...ids].sort())
    assert.deepStrictEqual(claimed.map((one) => one.claims), [2, 2])
  }),
  "an owner finds what it holds, and nobody else does": Effect.gen(function*() {
    const { claim, ids, own, owner, storage, subscription } = yield* routed(3)
    const { claimed } = yield* claim(owner, subscription.id, { free: 2 })
    const byId = (a: { readonly deliveryId: string }, b: { readonly deliveryId: string }) =>
      a.deliveryId < b.deliveryId ? -1 : 1
    assert.deepStrictEqual([...yield* storage.held([owner])].sort(byId), [...claimed].sort(byId))
    const successor = (yield* own()).owner
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    assert.deepStrictEqual(yield* storage.held([successor]), [])
    assert.strictEqual((yield* claim(successor, subscription.id)).claimed.length, ids.length - 2)
  }),
  "a claim that is given back can be claimed again, and did not count": Effect.gen(function*() {
    const { claim, ids, owner, storage, subscription } = yield* routed(2)
    yield* claim(owner, subscription.id)
    yield* storage.release(owner, ids)
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    const { claimed } = yield* claim(owner, subscription.id)
    assert.deepStrictEqual(claimed.map((one) => one.claims), [1, 1])
  }),
  "a claim is given back once, and by its owner alone": Effect.gen(function*() {
    const { claim, ids, own, owner, storage, subscription } = yield* routed(1, { claimed: true })
    const release = (by: Owner) => storage.release(by, ids)
    const neighbour = (yield* own({ eventId: "suite.neighbour" })).owner
    yield* release(neighbour)
    assert.deepStrictEqual(idsOf(yield* storage.held([owner])), ids)
    yield* release(owner)
    yield* release(owner)
    assert.strictEqual((yield* only((yield* claim(owner, subscription.id)).claimed)).claims, 1)
    const successor = (yield* own()).owner
    yield* release(owner)
    assert.deepStrictEqual((yield* claim(successor, subscription.id)).claimed, [])
  }),
  "a recorded outcome ends suspicion": Effect.gen(function*() {
    const { claim, owner, record, storage, subscription } = yield* crash(2)
    const suspect = yield* only((yield* claim(owner, subscription.id, { suspect: true })).claimed)
    yield* record(owner, suspect.deliveryId, retryAt((yield* storage.now) - 1000))
    const again = yield* only((yield* claim(owner, subscription.id)).claimed)
    assert.strictEqual(again.deliveryId, suspect.deliveryId)
    assert.strictEqual(again.claims, 1)
    assert.deepStrictEqual(
      yield* record(owner, again.deliveryId, success, { attemptCount: 1 }),
      [again.deliveryId]
    )
  })
}
