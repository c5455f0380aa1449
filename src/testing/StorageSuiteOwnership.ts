/**
 * The storage's contract on ownership: leases, take-overs, and the claims that a predecessor left.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { workerGroup } from "../Message.ts"
import type { Owner } from "../Storage.ts"
import { type Cases, hourMs, idsOf, make, only, retryAt, routed } from "./StorageSuiteWorld.ts"

/** Asserts a time, exactly where time is virtual. */
const assertAt = (actualMs: number, expectedMs: number, virtualTime: boolean) =>
  assert.isAtMost(Math.abs(actualMs - expectedMs), virtualTime ? 0 : 1000)

/** @category constants @since 0.1.0 */
export const ownership: Cases = {
  "a new owner has a higher epoch than any before, and may claim at once where there was none": Effect.gen(function*() {
    const { backend, eventId, own, storage } = yield* make
    const first = yield* own()
    const second = yield* own()
    const other = yield* own({ eventId: `${eventId}-b` })
    assert.isBelow(first.owner.epoch, second.owner.epoch)
    assert.isBelow(second.owner.epoch, other.owner.epoch)
    assert.deepInclude(first.owner, { workerGroup: workerGroup(eventId), partition: 0 })
    assertAt(first.claimableAtMs, yield* storage.now, backend.virtualTime)
  }),
  "the claims of another runner may be taken when its lease has run out": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    yield* own({ leaseMs: hourMs })
    const second = yield* own()
    assertAt(second.claimableAtMs, (yield* storage.now) + hourMs, backend.virtualTime)
  }),
  "a lease that has run out guards nothing": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    yield* own({ leaseMs: 1 })
    yield* backend.advance(5)
    assertAt((yield* own()).claimableAtMs, yield* storage.now, backend.virtualTime)
  }),
  "a lease that was prolonged guards until its new end": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    const { runnerId } = yield* own({ leaseMs: 1 })
    yield* storage.renewLease(runnerId, hourMs)
    assertAt((yield* own()).claimableAtMs, (yield* storage.now) + hourMs, backend.virtualTime)
  }),
  "after a runner gave the group or its lease back, its claims may be taken at once": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    const first = yield* own({ leaseMs: hourMs })
    yield* storage.giveBack([first.owner])
    const second = yield* own({ leaseMs: hourMs })
    assertAt(second.claimableAtMs, yield* storage.now, backend.virtualTime)
    yield* storage.returnLease(second.runnerId)
    assertAt((yield* own()).claimableAtMs, yield* storage.now, backend.virtualTime)
  }),
  "messages that were there at a take-over may have been under way with an owner before that gave nothing back": Effect
    .gen(
      function*() {
        const { append, own, storage } = yield* make
        const lastSeq = (owner: Owner) =>
          Effect.map(
            storage.unrouted([owner], { messages: 10, bytes: 1e6 }),
            ({ messages }) => messages.at(-1)?.seq ?? Number.NaN
          )
        yield* append(2)
        const first = yield* own()
        assert.strictEqual(first.doubtfulSeq, 0)
        const second = yield* own()
        const before = yield* lastSeq(second.owner)
        assert.isAtLeast(second.doubtfulSeq, before)
        yield* append(1)
        assert.isAbove(yield* lastSeq(second.owner), second.doubtfulSeq)
        yield* storage.giveBack([second.owner])
        assert.strictEqual((yield* own()).doubtfulSeq, second.doubtfulSeq)
      }
    ),
  "an owner that gives back does not end the guard of its predecessor's lease": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    yield* own({ leaseMs: hourMs })
    const second = yield* own()
    yield* storage.giveBack([second.owner])
    assertAt((yield* own()).claimableAtMs, (yield* storage.now) + hourMs, backend.virtualTime)
  }),
  "a runner that takes its own group over need not wait for itself": Effect.gen(function*() {
    const { backend, own, storage } = yield* make
    const { owner, runnerId } = yield* own({ leaseMs: hourMs })
    const again = yield* storage.takeOver(runnerId, owner, 2000)
    assert.isAbove(again.owner.epoch, owner.epoch)
    assertAt(again.claimableAtMs, yield* storage.now, backend.virtualTime)
  }),
  "a runner that renews its lease hears what it still owns": Effect.gen(function*() {
    const { eventId, own, storage } = yield* make
    const { owner, runnerId } = yield* own()
    const group = { workerGroup: workerGroup(`${eventId}-b`), partition: 0 }
    const second = (yield* storage.takeOver(runnerId, group, 2000)).owner
    const third = (yield* storage.takeOver(runnerId, { ...group, partition: 1 }, 2000)).owner
    const byEpoch = Effect.map(
      storage.renewLease(runnerId, 1000),
      ({ owners }) => [...owners].sort((a, b) => a.epoch - b.epoch)
    )
    assert.deepStrictEqual(yield* byEpoch, [owner, second, third])
    yield* own()
    yield* storage.giveBack([third])
    assert.deepStrictEqual(yield* byEpoch, [second])
  }),
  "a runner that renews its lease hears of every change of a subscription, also where it owns nothing": Effect.gen(
    function*() {
      const { storage, subscription } = yield* make
      const version = yield* storage.createSubscription(yield* subscription())
      const runnerId = yield* Id.runnerId
      // Somebody else's subscriptions may change in between.
      assert.isAtLeast((yield* storage.renewLease(runnerId, 1000)).version, version)
    }
  ),
  "a superseded owner gives nothing back": Effect.gen(function*() {
    const { own, storage } = yield* make
    const first = yield* own()
    const second = yield* own()
    yield* storage.giveBack([first.owner])
    assert.deepStrictEqual((yield* storage.renewLease(second.runnerId, 1000)).owners, [second.owner])
  }),
  "the claims of older epochs can be claimed after they were recovered, with their counts, and not before": Effect.gen(
    function*() {
      const { claim, ids, own, storage, subscription } = yield* routed(2, { claimed: true })
      const { owner } = yield* own()
      assert.deepStrictEqual(yield* claim(owner, subscription.id), { claimed: [], next: [], health: [] })
      yield* storage.recover([owner], 3)
      const { claimed } = yield* claim(owner, subscription.id)
      assert.deepStrictEqual(idsOf(claimed), [...ids].sort())
      assert.deepStrictEqual(claimed.map((one) => one.claims), [2, 2])
    }
  ),
  "nothing is recovered while the owner before may be within its lease, and the answer says for how long": Effect.gen(
    function*() {
      const { claim, own, storage, runnerId, subscription } = yield* routed(1, { claimed: true, leaseMs: hourMs })
      const { owner } = yield* own()
      const waitMs = yield* storage.recover([owner], 3)
      assert.isAtMost(waitMs, hourMs)
      assert.isAtLeast(waitMs, hourMs - 60_000)
      assert.deepStrictEqual(yield* claim(owner, subscription.id), { claimed: [], next: [], health: [] })
      // Once another owned the group, even the runner whose lease it is has to wait for its end.
      const again = yield* storage.takeOver(runnerId, owner, 2000)
      assert.isAtLeast(yield* storage.recover([again.owner], 3), hourMs - 60_000)
      assert.deepStrictEqual(yield* claim(again.owner, subscription.id), { claimed: [], next: [], health: [] })
    }
  ),
  "an owner recovers neither its own claims nor another group's": Effect.gen(function*() {
    const { eventId, ids, own, owner, storage } = yield* routed(1, { claimed: true })
    const neighbour = (yield* own({ eventId: `${eventId}-b` })).owner
    yield* storage.recover([owner, neighbour], 1)
    assert.deepStrictEqual(idsOf(yield* storage.held([owner])), ids)
  }),
  "a superseded owner recovers nothing": Effect.gen(function*() {
    const { claim, ids, own, storage, subscription } = yield* routed(1, { claimed: true })
    const second = (yield* own()).owner
    const third = (yield* own()).owner
    yield* storage.recover([second], 3)
    assert.deepStrictEqual(yield* claim(third, subscription.id), { claimed: [], next: [], health: [] })
    yield* storage.recover([second], 1)
    yield* storage.recover([third], 3)
    assert.deepStrictEqual(idsOf((yield* claim(third, subscription.id)).claimed), ids)
  }),
  "a delivery claimed too often without an outcome fails, because its owners crashed": Effect.gen(function*() {
    const { claim, delivery, ids, own, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    for (const claims of [2, 3]) {
      const { owner } = yield* own()
      yield* storage.recover([owner], 3)
      const claimed = yield* only((yield* claim(owner, subscription.id, { suspect: true })).claimed)
      assert.strictEqual(claimed.claims, claims)
    }
    const { owner } = yield* own()
    yield* storage.recover([owner], 3)
    assert.deepStrictEqual(yield* claim(owner, subscription.id, { suspect: true }), {
      claimed: [],
      next: [],
      health: []
    })
    const { delivery: found } = yield* delivery(id)
    assert.deepInclude(found, { status: "failed", reason: "crashed-owner", attemptCount: 0 })
    assert.isDefined(found.completedAtMs)
    assert.isDefined(found.lastError)
    assert.isUndefined(found.nextAttemptAtMs)
  }),
  "groups with unrouted messages or due lanes are found, later ones are not": Effect.gen(function*() {
    const { append, eventId, own, owner, record, storage, subscription, ids } = yield* routed(2, {
      claimed: true,
      leaseMs: hourMs
    })
    const unrouted = workerGroup(`${eventId}-b`)
    yield* append(1, { eventId: `${eventId}-b` })
    yield* own({ eventId: `${eventId}-c` })
    const workerGroups = [owner.workerGroup, unrouted, workerGroup(`${eventId}-c`)]
    const waiting = { workerGroup: unrouted, unrouted: true, orphaned: false, lanes: [] }
    const due = (aheadMs: number) =>
      Effect.map(
        storage.due({ aheadMs, workerGroups }),
        (found) => [...found].sort((a, b) => a.workerGroup < b.workerGroup ? -1 : 1)
      )
    assert.deepStrictEqual(yield* due(0), [waiting])
    const dueAtMs = (yield* storage.now) + hourMs
    for (const [i, id] of ids.entries()) yield* record(owner, id, retryAt(dueAtMs + i * 1000))
    assert.deepStrictEqual(yield* due(hourMs / 2), [waiting])
    const lane = { subscriptionId: subscription.id, dueAtMs }
    const both = [{ workerGroup: owner.workerGroup, unrouted: false, orphaned: false, lanes: [lane] }, waiting]
    assert.deepStrictEqual(yield* due(2 * hourMs), both)
    const all = yield* storage.due({ aheadMs: 2 * hourMs })
    const found = all.filter((one) => one.workerGroup.startsWith(owner.workerGroup))
    assert.deepStrictEqual([...found].sort((a, b) => a.workerGroup < b.workerGroup ? -1 : 1), both)
    assert.deepStrictEqual(yield* storage.due({ aheadMs: 2 * hourMs, workerGroups: [] }), [])
  }),
  "groups are not found for messages set aside or for disabled or deleted subscriptions": Effect.gen(function*() {
    const { append, owner, route, storage, subscription } = yield* routed(1)
    const due = storage.due({ aheadMs: 0, workerGroups: [owner.workerGroup] })
    assert.strictEqual((yield* due).length, 1)
    yield* route(owner, yield* append(1), [], { error: "thrown" })
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
    assert.deepStrictEqual(yield* due, [])
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: true }))
    assert.strictEqual((yield* due).length, 1)
    yield* storage.deleteSubscription(subscription.id)
    assert.deepStrictEqual(yield* due, [])
  }),
  "a group whose claims a gone runner left is found, so that somebody takes it over": Effect.gen(function*() {
    const { owner, runnerId, storage } = yield* routed(1, { claimed: true, leaseMs: hourMs })
    const due = storage.due({ aheadMs: 0, workerGroups: [owner.workerGroup] })
    assert.deepStrictEqual(yield* due, [])
    yield* storage.returnLease(runnerId)
    assert.deepStrictEqual(yield* due, [{ workerGroup: owner.workerGroup, unrouted: false, orphaned: true, lanes: [] }])
  })
}
