/**
 * The storage's contract on subscriptions: what is kept of them, their versions, and who holds claims of them.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import { allTenants, workerGroup } from "../Message.ts"
import type { Storage } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import { type Cases, hourMs, make, routed } from "./StorageSuiteWorld.ts"

/** The claimants of a subscription that own groups of a case, the oldest first: others have theirs in the same database. */
const claimantsOf = (storage: Storage["Service"], id: Id.SubscriptionId, eventId: string) =>
  Effect.map(
    storage.claimants(id),
    (found) => found.filter(({ workerGroup }) => workerGroup.includes(eventId)).sort((a, b) => a.epoch - b.epoch)
  )

/** @category constants @since 0.1.0 */
export const subscribing: Cases = {
  "a subscription is kept as it was created": Effect.gen(function*() {
    const { storage, subscription } = yield* make
    const plain = yield* subscription()
    const rich = yield* subscription({
      name: "ä\"b",
      description: "d",
      events: ["a.b", "c.*", "*"],
      config: { url: "https://example.com", nested: [1, null, { a: "é" }] },
      signingSecrets: [{ sealed: "s2", createdAtMs: 2, publicKey: "p" }, {
        sealed: "s1",
        createdAtMs: 1,
        expiresAtMs: 3
      }],
      retry: { type: "delays", delaysMs: [1000, 5000] },
      filter: { all: [{ field: "payload.a", equals: null }, { not: { field: "payload.b", atLeast: 1.5 } }] },
      enabled: false,
      disabledReason: "gone",
      disabledAtMs: 3
    })
    for (const created of [plain, rich]) {
      const version = yield* storage.createSubscription(created)
      assert.deepStrictEqual(yield* storage.getSubscription(created.id), Option.some({ ...created, version }))
    }
  }),
  "work queues are told from others, also when they are deleted": Effect.gen(function*() {
    const { storage, subscription } = yield* make
    const own = yield* subscription()
    const [queue, gone] = [yield* subscription({ tenantId: allTenants }), yield* subscription({ tenantId: allTenants })]
    for (const one of [own, queue, gone]) yield* storage.createSubscription(one)
    yield* storage.deleteSubscription(gone.id)
    assert.deepStrictEqual(yield* storage.workQueues([own.id, queue.id, gone.id]), new Set([queue.id, gone.id]))
    assert.deepStrictEqual(yield* storage.workQueues([]), new Set())
  }),
  "every change of a subscription raises the version that routing must find": Effect.gen(function*() {
    const { storage, subscription } = yield* make
    const created = yield* subscription()
    const version = Effect.map(storage.subscriptions, (all) => all.version)
    const before = yield* version
    const first = yield* storage.createSubscription(created)
    assert.isAbove(first, before)
    assert.isAtLeast(yield* version, first)
    const updated = yield* storage.updateSubscription(created.id, (current) => ({ ...current, name: "b" }))
    const second = Option.map(updated, (found) => found.version).pipe(Option.getOrElse(() => 0))
    assert.isAbove(second, first)
    const between = yield* version
    assert.isAtLeast(between, second)
    yield* storage.deleteSubscription(created.id)
    assert.isAbove(yield* version, between)
  }),
  "an update applies to the current state and answers with what came of it": Effect.gen(function*() {
    const { storage, subscription } = yield* make
    const created = yield* subscription()
    const version = yield* storage.createSubscription(created)
    const rename = (suffix: string) =>
      storage.updateSubscription(created.id, (current) => ({ ...current, name: current.name + suffix }))
    yield* Effect.all([rename("x"), rename("x"), rename("x")], { concurrency: "unbounded" })
    const found = yield* Effect.fromOption(yield* storage.getSubscription(created.id))
    assert.deepStrictEqual(found, { ...created, name: "axxx", version: found.version })
    assert.isAbove(found.version, version)
  }),
  "one of Hookline's own is made once, however many make it at once, and is changed afterwards": Effect.gen(
    function*() {
      const { storage, subscription, tenantId } = yield* make
      const own = { tenantId: "*", providerId: `suite.${tenantId}` }
      const made = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.flatMap(subscription(own), (one) => storage.ensureSubscription(one, (stored) => stored)),
        { concurrency: "unbounded" }
      )
      const [first] = made
      if (!first) {
        return yield* Effect.die("none was made")
      }
      assert.deepStrictEqual(made, [first, first, first])
      assert.deepStrictEqual(yield* storage.getSubscription(first.id), Option.some(first))
      const other = yield* subscription({ ...own, name: "b" })
      const changed = yield* storage.ensureSubscription(other, (stored) => ({ ...stored, name: "c" }))
      assert.deepStrictEqual(changed, { ...first, name: "c", version: changed.version })
      assert.isAbove(changed.version, first.version)
      yield* storage.deleteSubscription(first.id)
      const again = yield* storage.ensureSubscription(other, (stored) => stored)
      assert.deepStrictEqual(again, { ...other, version: again.version })
      yield* storage.deleteSubscription(again.id)
    }
  ),
  "an update that changes nothing leaves the version": Effect.gen(function*() {
    const { storage, subscription } = yield* make
    const created = yield* subscription()
    const version = yield* storage.createSubscription(created)
    const same = yield* storage.updateSubscription(created.id, (current) => current)
    assert.deepStrictEqual(same, Option.some({ ...created, version }))
  }),
  "what is deleted, or never was, is neither found nor changed nor deleted again": Effect.gen(function*() {
    const { storage, subscription, tenantId } = yield* make
    const created = yield* subscription()
    const unknown = yield* subscription()
    yield* storage.createSubscription(created)
    assert.isTrue(yield* storage.deleteSubscription(created.id))
    for (const { id } of [created, unknown]) {
      assert.deepStrictEqual(yield* storage.getSubscription(id), Option.none())
      assert.isFalse(yield* storage.deleteSubscription(id))
      const change = (): Subscription => assert.fail("there is nothing to change")
      assert.deepStrictEqual(yield* storage.updateSubscription(id, change), Option.none())
    }
    assert.deepStrictEqual(yield* storage.listSubscriptions({ tenantId }, { cursor: undefined, limit: 10 }), [])
    assert.isFalse((yield* storage.subscriptions).items.some((item) => item.id === created.id))
  }),
  "all subscriptions that are not deleted are matched, disabled ones too": Effect.gen(function*() {
    const { storage, subscription, tenantId } = yield* make
    const [on, off] = [yield* subscription(), yield* subscription({ enabled: false })]
    for (const created of [on, off]) yield* storage.createSubscription(created)
    const { items } = yield* storage.subscriptions
    const mine = items.filter((item) => item.tenantId === tenantId).map((item) => item.id)
    assert.deepStrictEqual(mine.sort(), [on.id, off.id].sort())
  }),
  "subscriptions are listed newest first, by tenant and state, in pages": Effect.gen(function*() {
    const { storage, subscription, tenantId } = yield* make
    const created = yield* Effect.forEach([true, false, true, false, true], (enabled) => subscription({ enabled }))
    for (const one of created) yield* storage.createSubscription(one)
    const newest = (items: ReadonlyArray<{ readonly id: string }>) =>
      items.map((item) => item.id).sort((a, b) => a < b ? 1 : -1)
    const list = (filter: { readonly enabled?: boolean }, cursor: string | undefined, limit: number) =>
      Effect.map(
        storage.listSubscriptions({ tenantId, ...filter }, { cursor, limit }),
        (found) => found.map((item) => item.id)
      )
    const all = newest(created)
    assert.deepStrictEqual(yield* list({}, undefined, 10), all)
    assert.deepStrictEqual(yield* list({}, undefined, 2), all.slice(0, 2))
    assert.deepStrictEqual(yield* list({}, all[1], 2), all.slice(2, 4))
    assert.deepStrictEqual(yield* list({}, all[4], 2), [])
    assert.deepStrictEqual(
      yield* list({ enabled: false }, undefined, 10),
      newest(created.filter((one) => !one.enabled))
    )
    assert.deepStrictEqual(
      yield* storage.listSubscriptions({ tenantId: `${tenantId}x` }, { cursor: undefined, limit: 9 }),
      []
    )
  }),
  "subscriptions are listed by the connection that they deliver through, with whatever else is asked for": Effect.gen(
    function*() {
      const { storage, subscription, tenantId } = yield* make
      const now = yield* storage.now
      const [connectionId, otherId] = [yield* Id.connectionId(now), yield* Id.connectionId(now)]
      const create = Effect.fnUntraced(function*(overrides: Parameters<typeof subscription>[0]) {
        const created = yield* subscription(overrides)
        yield* storage.createSubscription(created)
        return created.id
      })
      const [on, off] = [yield* create({ connectionId }), yield* create({ connectionId, enabled: false })]
      yield* create({ connectionId: otherId })
      yield* create({})
      const foreign = yield* create({ connectionId, tenantId: `${tenantId}x` })
      yield* storage.deleteSubscription(yield* create({ connectionId }))
      const list = (filter: Parameters<typeof storage.listSubscriptions>[0], cursor?: string, limit = 9) =>
        Effect.map(storage.listSubscriptions(filter, { cursor, limit }), (found) => found.map(({ id }) => id))
      const [newer, older] = [on, off].toSorted((a, b) => a < b ? 1 : -1)
      assert.deepStrictEqual(yield* list({ tenantId, connectionId }), [newer, older])
      assert.deepStrictEqual(yield* list({ tenantId, connectionId }, undefined, 1), [newer])
      assert.deepStrictEqual(yield* list({ tenantId, connectionId }, newer), [older])
      assert.deepStrictEqual(yield* list({ tenantId, connectionId, enabled: false }), [off])
      assert.sameMembers([...yield* list({ connectionId })], [on, off, foreign])
      assert.deepStrictEqual(yield* list({ tenantId: `${tenantId}x`, connectionId }), [foreign])
      assert.deepStrictEqual(yield* list({ tenantId: `${tenantId}y`, connectionId }), [])
    }
  ),
  "the owners that hold claims of a subscription are known": Effect.gen(function*() {
    const { append, claim, deliveries, eventId, ids, own, owner, route, storage, subscription } = yield* routed(2)
    const claimants = claimantsOf(storage, subscription.id, eventId)
    assert.deepStrictEqual(yield* claimants, [])
    yield* claim(owner, subscription.id, { free: 1 })
    assert.deepStrictEqual(yield* claimants, [owner])
    const other = (yield* own({ eventId: `${eventId}-b` })).owner
    const messages = yield* append(1, { eventId: `${eventId}-b` })
    yield* route(other, messages, yield* deliveries(messages, subscription.id, true))
    assert.deepStrictEqual(yield* claimants, [owner, other])
    yield* storage.release(owner, ids)
    assert.deepStrictEqual(yield* claimants, [other])
  }),
  "of each runner that owns groups of events, one is among them: it may have begun before anything was written": Effect
    .gen(
      function*() {
        const { eventId, own, storage, subscription } = yield* make
        const { id } = yield* subscription()
        const claimants = claimantsOf(storage, id, eventId)
        const first = yield* own({ leaseMs: hourMs })
        const group = { workerGroup: workerGroup(`${eventId}-b`), partition: 0 }
        const second = yield* storage.takeOver(first.runnerId, group, 2000)
        assert.deepStrictEqual(yield* claimants, [first.owner])
        yield* storage.giveBack([first.owner])
        assert.deepStrictEqual(yield* claimants, [second.owner])
        yield* own({ workerGroup: `subscription.${id}`, leaseMs: hourMs })
        assert.deepStrictEqual(yield* claimants, [second.owner])
        // Who is superseded within his lease may not know, and can't be asked.
        const next = yield* own({ eventId: `${eventId}-b`, leaseMs: hourMs })
        assert.deepStrictEqual(yield* claimants, [{ ...next.owner, epoch: 0 }, next.owner])
        yield* storage.returnLease(next.runnerId)
        assert.deepStrictEqual(yield* claimants, [{ ...next.owner, epoch: 0 }])
      }
    ),
  "an owner that was superseded is among those that hold claims, beside its successor": Effect.gen(function*() {
    const { claim, eventId, own, owner, storage, subscription } = yield* routed(2)
    yield* claim(owner, subscription.id, { free: 1 })
    const next = (yield* own()).owner
    yield* claim(next, subscription.id, { free: 1 })
    assert.deepStrictEqual(yield* claimantsOf(storage, subscription.id, eventId), [owner, next])
  })
}
