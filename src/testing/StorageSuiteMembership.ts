/**
 * The storage's contract on who is there: announcements, owners, and what is needed of runners.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import type { Announcement } from "../Member.ts"
import { workerGroup } from "../Message.ts"
import { type Cases, hourMs, make, routed } from "./StorageSuiteWorld.ts"

const words: Announcement = {
  address: "10.0.0.1:4000",
  version: "0.1.0",
  startedAtMs: 1_700_000_000_000,
  shards: 3,
  events: ["a.b"],
  providers: ["c.d"]
}

/** @category constants @since 0.1.0 */
export const membership: Cases = {
  "a runner with a lease is a member, alive until the lease has run out, with what it said last": Effect.gen(
    function*() {
      const { backend, own, storage } = yield* make
      const { runnerId } = yield* own({ leaseMs: hourMs })
      const other = yield* own({ leaseMs: 1 })
      const find = (id: Id.RunnerId) =>
        Effect.map(storage.members, (members) => members.find((member) => member.id === id))
      assert.deepInclude(yield* find(runnerId), { alive: true, announced: undefined })
      yield* storage.announce(runnerId, { ...words, shards: 1 })
      yield* storage.announce(runnerId, words)
      assert.deepInclude(yield* find(runnerId), { id: runnerId, alive: true, announced: words })
      yield* backend.advance(5)
      assert.deepInclude(yield* find(other.runnerId), { id: other.runnerId, alive: false })
    }
  ),
  "a runner that returned its lease is no member, and what it says then is not kept": Effect.gen(function*() {
    const { own, storage } = yield* make
    const { runnerId } = yield* own({ leaseMs: hourMs })
    yield* storage.returnLease(runnerId)
    yield* storage.announce(runnerId, words)
    assert.notInclude((yield* storage.members).map((member) => member.id), runnerId)
    yield* storage.renewLease(runnerId, hourMs)
    const member = (yield* storage.members).find((member) => member.id === runnerId)
    assert.deepInclude(member, { alive: true, announced: undefined })
  }),
  "owners are listed with their epochs in the order of the groups' names, page by page, all or a runner's": Effect.gen(
    function*() {
      const { eventId, own, storage } = yield* make
      const first = yield* own({ eventId: `${eventId}-1` })
      const second = yield* own({ eventId: `${eventId}-2`, leaseMs: hourMs })
      const before = workerGroup(eventId)
      const page = (cursor: string, limit: number) => storage.owners({}, { cursor, limit })
      const one = { ...first.owner, runnerId: first.runnerId }
      const two = { ...second.owner, runnerId: second.runnerId }
      assert.deepStrictEqual(yield* page(before, 2), [one, two])
      assert.deepStrictEqual(yield* page(before, 1), [one])
      assert.deepStrictEqual(yield* page(one.workerGroup, 1), [two])
      assert.deepStrictEqual(
        yield* storage.owners({ runnerId: second.runnerId }, { cursor: undefined, limit: 9 }),
        [two]
      )
      assert.strictEqual((yield* storage.members).find(({ id }) => id === second.runnerId)?.dispatchers, 1)
      yield* storage.giveBack([second.owner])
      assert.deepStrictEqual(yield* page(one.workerGroup, 1), [{ ...two, runnerId: undefined }])
    }
  ),
  "a delivery whose group's owner says that it lacks the provider waits for that reason": Effect.gen(function*() {
    const { delivery, ids: [id], runnerId, storage, subscription } = yield* routed(1, { leaseMs: hourMs })
    if (!id) return yield* Effect.die("no delivery was made")
    const reason = Effect.map(delivery(id), (found) => found.delivery.reason)
    assert.isUndefined(yield* reason)
    yield* storage.announce(runnerId, words)
    assert.strictEqual(yield* reason, "code-missing")
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
    assert.strictEqual(yield* reason, "held")
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: true }))
    yield* storage.announce(runnerId, { ...words, providers: [...words.providers, subscription.providerId] })
    assert.isUndefined(yield* reason)
  }),
  "the providers of enabled subscriptions are needed, with how many need each, in the order of their ids": Effect.gen(
    function*() {
      const { storage, subscription, tenantId } = yield* make
      const [first, second] = [`suite.${tenantId}-B`, `suite.${tenantId}-a`]
      const create = Effect.fnUntraced(function*(providerId: string, enabled = true) {
        const created = yield* subscription({ providerId, enabled })
        yield* storage.createSubscription(created)
        return created.id
      })
      const needed = Effect.map(
        storage.neededProviders,
        (found) => found.filter(({ providerId }) => providerId === first || providerId === second)
      )
      yield* create(second)
      yield* create(second)
      yield* create(second, false)
      const id = yield* create(first)
      assert.deepStrictEqual(yield* needed, [
        { providerId: first, subscriptions: 1 },
        { providerId: second, subscriptions: 2 }
      ])
      yield* storage.deleteSubscription(id)
      assert.deepStrictEqual(yield* needed, [{ providerId: second, subscriptions: 2 }])
    }
  ),
  "the oldest message that waits to be routed is no younger than any that waits": Effect.gen(function*() {
    const { append1, storage } = yield* make
    const { id } = yield* append1()
    assert.isAtMost((yield* storage.oldestUnroutedMs) ?? Number.POSITIVE_INFINITY, Id.timeOf(id))
  })
}
