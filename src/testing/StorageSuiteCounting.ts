/**
 * The storage's contract on counting: the sums say what was recorded, no more and no less, whoever recorded it and whatever
 * housekeeping does meanwhile.
 */
import { assert } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as Id from "../Id.ts"
import { allTenants } from "../Message.ts"
import { type CountFilter, type Counts, type Owner, Storage } from "../Storage.ts"
import { add, none, type Tally } from "../Tally.ts"
import {
  type Cases,
  failure,
  hourMs,
  make,
  only,
  outcome,
  retryAt,
  routed,
  routing,
  success
} from "./StorageSuiteWorld.ts"

const count = (
  filter: CountFilter,
  options?: { readonly top?: number; readonly counted?: number; readonly fine?: boolean; readonly fromMs?: number }
) =>
  Effect.gen(function*() {
    const storage = yield* Storage
    const fromMs = Math.floor((yield* storage.now) / hourMs - 1) * hourMs
    return yield* storage.count(filter, { fromMs, fine: false, top: 100, counted: 1000, ...options })
  })

const maintain = (rows: number) =>
  Effect.flatMap(
    Storage,
    (storage) =>
      storage.maintain({
        partitionsAheadDays: 2,
        heldMaxAgeMs: 6 * hourMs,
        broadcastKeptMs: hourMs,
        replaysKeptMs: 1e12,
        rows
      }).pipe(
        Effect.repeat({ while: (more) => more })
      )
  )

const tally = (some: Partial<Tally>): Tally => ({ ...none, ...some })

/** Whether what is counted in parts comes to what is counted in all. */
const agree = ({ byEvent, byProvider, bySubscription, series, totals }: Counts): void => {
  for (const part of [byEvent, byProvider, bySubscription, series]) {
    assert.deepStrictEqual(part.reduce<Tally>((sum, one) => add(sum, one), none), totals)
  }
}

/** A world with one delivery of each end, one to be retried and one that waits. */
const mixed = Effect.gen(function*() {
  const world = yield* routed(5, { claimed: true })
  const { ids, owner, storage } = world
  const [succeeded, failed, retried, skipped] = ids
  if (!succeeded || !failed || !retried || !skipped) return yield* Effect.die("five deliveries were made")
  yield* storage.release(owner, [skipped])
  yield* storage.record([
    outcome(owner, succeeded, success),
    outcome(owner, failed, failure),
    outcome(owner, retried, retryAt((yield* storage.now) + hourMs))
  ])
  yield* storage.skipDelivery(skipped)
  return { ...world, succeeded, failed, retried, skipped }
})

const ofMixed = tally({ success: 1, failed: 1, cancelled: 1, attempts: 3 })

/** @category constants @since 0.1.0 */
export const counting: Cases = {
  "what ended and what was attempted is counted by event, provider, subscription and time": Effect.gen(function*() {
    const { eventId, storage, subscription, tenantId } = yield* mixed
    const found = yield* count({ tenantId })
    assert.deepStrictEqual(found.totals, ofMixed)
    assert.deepStrictEqual(found.byEvent, [{ eventId, ...ofMixed }])
    assert.deepStrictEqual(found.byProvider, [{ providerId: "suite.provider", ...ofMixed }])
    const { id: subscriptionId, name, providerId } = subscription
    assert.deepStrictEqual(found.bySubscription, [{ subscriptionId, providerId, name, ...ofMixed }])
    agree(found)
    for (const { atMs } of found.series) assert.strictEqual(atMs % hourMs, 0)
    const fine = yield* count({ tenantId }, { fine: true })
    assert.deepStrictEqual(fine.totals, ofMixed)
    agree(fine)
    const minutesMs = 5 * 60_000
    for (const { atMs } of fine.series) {
      assert.strictEqual(atMs % minutesMs, 0)
      assert.isBelow(Math.abs((yield* storage.now) - atMs), 2 * minutesMs)
    }
  }),
  "what waits is counted as it is now, up to as many as are looked at": Effect.gen(function*() {
    const { tenantId } = yield* mixed
    assert.deepStrictEqual((yield* count({ tenantId })).unfinished, { pending: 1, retrying: 1, atLeast: false })
    const { atLeast, pending, retrying } = (yield* count({ tenantId }, { counted: 1 })).unfinished
    assert.deepStrictEqual([atLeast, pending + retrying], [true, 1])
  }),
  "what is counted can be asked for by tenant, event, provider and subscription, and all of them": Effect.gen(
    function*() {
      const { append, deliveries, eventId, own, route, storage, subscription, tenantId } = yield* mixed
      const id = yield* Id.subscriptionId(yield* storage.now)
      const other = { ...subscription, id, providerId: "suite.other", events: [`${eventId}-b`] }
      yield* storage.createSubscription(other)
      const { owner } = yield* own({ eventId: `${eventId}-b` })
      const messages = yield* append(2, { eventId: `${eventId}-b` })
      const made = yield* deliveries(messages, other.id, true)
      yield* route(owner, messages, made)
      const [first] = made
      yield* storage.record(first ? [outcome(owner, first.id, success)] : [])
      const ofOther = tally({ success: 1, attempts: 1 })
      const totals = (filter: CountFilter) => Effect.map(count({ tenantId, ...filter }), (found) => found.totals)
      assert.deepStrictEqual(yield* totals({}), add(ofMixed, ofOther))
      assert.deepStrictEqual(yield* totals({ eventId }), ofMixed)
      assert.deepStrictEqual(yield* totals({ eventId: `${eventId}-b` }), ofOther)
      assert.deepStrictEqual(yield* totals({ providerId: "suite.other" }), ofOther)
      assert.deepStrictEqual(yield* totals({ subscriptionId: subscription.id }), ofMixed)
      assert.deepStrictEqual(yield* totals({ subscriptionId: other.id, eventId }), none)
      assert.deepStrictEqual(yield* totals({ tenantId: `${tenantId}x` }), none)
      const unfinished = (filter: CountFilter) => Effect.map(count(filter), (found) => found.unfinished)
      const one = { pending: 1, retrying: 0, atLeast: false }
      assert.deepStrictEqual(yield* unfinished({ tenantId, providerId: "suite.other" }), one)
      assert.deepStrictEqual(yield* unfinished({ tenantId, eventId: `${eventId}-b` }), one)
      assert.deepStrictEqual(yield* unfinished({ subscriptionId: other.id }), one)
      assert.deepStrictEqual(yield* unfinished({ subscriptionId: other.id, tenantId: "x" }), { ...one, pending: 0 })
      const all = yield* count({ tenantId })
      agree(all)
      assert.deepStrictEqual(all.byEvent.map((one) => one.eventId), [eventId, `${eventId}-b`])
      const top = yield* count({ tenantId }, { top: 1 })
      assert.deepStrictEqual(top.totals, all.totals)
      assert.deepStrictEqual(top.bySubscription.map((one) => one.subscriptionId), [subscription.id])
      const later = yield* count({ tenantId }, { fromMs: (Math.floor((yield* storage.now) / hourMs) + 2) * hourMs })
      assert.deepStrictEqual([later.totals, later.series], [none, []])
    }
  ),
  "a delivery is counted for its message's tenant, also where its subscription hears of all tenants": Effect.gen(
    function*() {
      const { ids, owner, record, tenantId } = yield* routed(1, {
        claimed: true,
        subscription: { tenantId: allTenants }
      })
      yield* record(owner, yield* only(ids), success)
      assert.deepStrictEqual((yield* count({ tenantId })).totals, tally({ success: 1, attempts: 1 }))
    }
  ),
  "what work queues do is left out where that is asked for": Effect.gen(function*() {
    const { ids, owner, record, tenantId } = yield* routed(2, { claimed: true, subscription: { tenantId: allTenants } })
    yield* record(owner, ids[0] ?? assert.fail("two were made"), success)
    const waiting = { pending: 1, retrying: 0, atLeast: false }
    assert.deepStrictEqual((yield* count({ tenantId })).unfinished, waiting)
    const left = yield* count({ tenantId, withoutWorkQueues: true })
    assert.deepStrictEqual([left.totals, left.byEvent, left.bySubscription, left.series], [none, [], [], []])
    assert.deepStrictEqual(left.unfinished, { ...waiting, pending: 0 })
    const other = yield* routed(1, { claimed: true })
    yield* other.record(other.owner, yield* only(other.ids), success)
    const all = yield* count({ tenantId: other.tenantId, withoutWorkQueues: true })
    assert.deepStrictEqual(all.totals, tally({ success: 1, attempts: 1 }))
  }),
  "an outcome is counted once, and none of an owner that was superseded": Effect.gen(function*() {
    const { ids, own, owner, record, storage, tenantId } = yield* routed(2, { claimed: true })
    const [first, second] = ids
    if (!first || !second) return assert.fail("two deliveries were made")
    yield* record(owner, first, success)
    yield* record(owner, first, success)
    yield* record(owner, second, failure, { attemptCount: 3 })
    const successor = (yield* own()).owner
    yield* record(owner, second, failure)
    yield* storage.recover([successor], 3)
    assert.deepStrictEqual((yield* count({ tenantId })).totals, tally({ success: 1, attempts: 1 }))
  }),
  "what ends without an attempt is counted too: skipped, cancelled, expired, given up": Effect.gen(function*() {
    const { ids, own, owner, record, storage, subscription, tenantId } = yield* routed(4, { claimed: true })
    const [given, retried, deleted, skipped] = ids
    if (!given || !retried || !deleted || !skipped) return assert.fail("four deliveries were made")
    yield* storage.release(owner, [skipped, deleted])
    yield* storage.skipDelivery(skipped)
    yield* storage.deleteSubscription(subscription.id)
    yield* record(owner, retried, retryAt(yield* storage.now))
    assert.deepStrictEqual((yield* count({ tenantId })).totals, tally({ cancelled: 2, attempts: 1 }))
    const successor = (yield* own()).owner
    yield* storage.recover([successor], 1)
    assert.deepStrictEqual((yield* count({ tenantId })).totals, tally({ cancelled: 2, failed: 1, attempts: 1 }))
    yield* maintain(1000)
    assert.deepStrictEqual((yield* count({ tenantId })).totals, tally({ cancelled: 3, failed: 1, attempts: 1 }))
    const soon = yield* routed(1)
    const messages = yield* soon.append(2)
    const made = yield* soon.deliveries(messages, soon.subscription.id, false)
    yield* soon.route(soon.owner, messages, made, { expiresAtMs: (yield* storage.now) - 1000 })
    yield* storage.expire(1000).pipe(Effect.repeat({ while: (more) => more }))
    assert.deepStrictEqual((yield* count({ tenantId: soon.tenantId })).totals, tally({ failed: 2 }))
  }),
  "what is retried by hand is no longer counted as ended, its attempts stay": Effect.gen(function*() {
    const { failed, skipped, storage, tenantId } = yield* mixed
    yield* storage.retryDelivery(failed)
    assert.deepStrictEqual((yield* count({ tenantId })).totals, { ...ofMixed, failed: 0 })
    yield* maintain(1000)
    yield* storage.retryDelivery(skipped)
    yield* storage.retryDelivery(skipped)
    const after = yield* count({ tenantId })
    assert.deepStrictEqual(after.totals, { ...ofMixed, failed: 0, cancelled: 0 })
    agree(after)
    assert.deepStrictEqual(after.unfinished, { pending: 3, retrying: 1, atLeast: false })
    yield* storage.skipDelivery(failed)
    assert.deepStrictEqual((yield* count({ tenantId })).totals, { ...ofMixed, failed: 0 })
  }),
  "the sums are what was recorded, by several owners at once and in whatever batches, while house is kept": Effect
    .forEach(
      [1, 2, 3],
      (seed) => random.pipe(Random.withSeed(seed)),
      { discard: true }
    )
}

// --- internal ---

/** Draws some of a list. */
const some = Effect.fnUntraced(function*<A>(items: ReadonlyArray<A>) {
  const drawn = yield* Effect.forEach(items, (item) => Effect.map(Random.nextIntBetween(0, 3), (n) => ({ item, n })))
  return drawn.filter(({ n }) => n > 0).map(({ item }) => item)
})

/** Three owners record what they have claimed for two subscriptions, until all has ended; a model counts along. */
const random = Effect.gen(function*() {
  const world = yield* make
  const { eventId, storage, tenantId } = world
  const events = [eventId, `${eventId}-b`, `${eventId}-c`]
  const subscriptions = yield* Effect.replicateEffect(world.subscription({ events }), 2)
  yield* Effect.forEach(subscriptions, (one) => storage.createSubscription(one), { discard: true })
  const model = new Map<string, Tally>()
  const note = (key: string, by: Partial<Tally>) => model.set(key, add(model.get(key) ?? none, tally(by)))
  const open = new Map<Id.DeliveryId, { readonly owner: Owner; readonly key: string; attempts: number }>()
  for (const event of events) {
    const { owner } = yield* world.own({ eventId: event })
    const messages = yield* world.append(8, { eventId: event })
    const made = (yield* Effect.forEach(subscriptions, ({ id }) => world.deliveries(messages, id, true))).flat()
    while (true) {
      const { version } = yield* storage.subscriptions
      if ((yield* storage.route(routing(version, owner, messages, made)))._tag === "Routed") break
    }
    for (const { id, subscriptionId } of made) open.set(id, { owner, key: `${event} ${subscriptionId}`, attempts: 0 })
  }
  let again = 6
  while (open.size > 0) {
    const batches = Map.groupBy(yield* some([...open]), ([, { owner }]) => owner)
    const drawn = yield* Effect.forEach(
      [...batches],
      ([owner, items]) =>
        Effect.forEach(items, ([id, one]) =>
          Effect.map(Random.nextIntBetween(0, 5), (n) => ({
            id,
            one,
            end: n < 2 ? "success" as const : n === 2 ? "failed" as const : undefined,
            outcome: outcome(owner, id, n < 2 ? success : n === 2 ? failure : retryAt(0), {
              attemptCount: one.attempts
            })
          })))
    )
    const recorded = yield* Effect.forEach(drawn, (batch) => storage.record(batch.map((one) => one.outcome)), {
      concurrency: "unbounded"
    })
    assert.deepStrictEqual(recorded.flat().length, drawn.flat().length)
    const failed: Array<Id.DeliveryId> = []
    for (const { end, id, one } of drawn.flat()) {
      one.attempts++
      note(one.key, { attempts: 1, ...(end === undefined ? {} : { [end]: 1 }) })
      if (end === undefined) continue
      const isAgain = end === "failed" && again-- > 0
      if (isAgain) failed.push(id)
      else open.delete(id)
    }
    for (const id of failed) {
      yield* storage.retryDelivery(id)
      note(open.get(id)?.key ?? "", { failed: -1 })
    }
    // What waits is claimed again by whoever owns it.
    const owners = [...new Set([...open.values()].map(({ owner }) => owner))]
    yield* storage.claim({
      owners,
      lanes: owners.flatMap(({ workerGroup }) =>
        subscriptions.map(({ id: subscriptionId }) => ({ workerGroup, subscriptionId, free: 100 }))
      ),
      limit: 1000,
      bytes: 1e9,
      suspectClaims: 2,
      suspectProviders: []
    })
    if ((yield* Random.nextIntBetween(0, 3)) === 0) yield* maintain(4)
  }
  const found = yield* count({ tenantId })
  agree(found)
  const expected = (isMeant: (key: string) => boolean) =>
    [...model].filter(([key]) => isMeant(key)).reduce<Tally>((sum, [, one]) => add(sum, one), none)
  assert.deepStrictEqual(found.totals, expected(() => true))
  for (const { eventId, ...sum } of found.byEvent) {
    assert.deepStrictEqual(sum, expected((key) => key.startsWith(`${eventId} `)))
  }
  for (const { name: _, providerId: __, subscriptionId, ...sum } of found.bySubscription) {
    assert.deepStrictEqual(sum, expected((key) => key.endsWith(subscriptionId)))
  }
  assert.strictEqual(found.byEvent.length + found.bySubscription.length, 5)
})
