/**
 * The storage's contract on retention. Each case has days of its own, long past, as the cases share one storage.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { AttemptRecord } from "../Delivery.ts"
import * as Id from "../Id.ts"
import { dayMs, dayOf } from "../Retention.ts"
import { Storage } from "../Storage.ts"
import { Backend, type Cases, failure, make, retryAt, success } from "./StorageSuiteWorld.ts"

/** Older than whatever other cases store. */
const keptDays = 400

const terms = { historyKeptMs: keptDays * dayMs, attemptsKeptMs: keptDays * dayMs }

/** Drops what has expired, and tells which of the days were dropped that a case is about. */
const drop = (days: ReadonlyArray<string>, given = terms) =>
  Effect.map(
    Storage.use((storage) => storage.dropExpired(given)),
    (dropped) => dropped.days.filter(({ day }) => days.includes(day))
  )

/** What holds a day back. */
const heldBy = (day: string) =>
  Effect.map(
    Storage.use((storage) => storage.retention(terms)),
    ({ expired }) => expired.find((one) => one.day === day)?.heldBy
  )

/**
 * A world whose messages and deliveries were made on a day that has expired, and that day: so many days before the first
 * that is kept.
 */
const aged = Effect.fnUntraced(function*(daysBefore: number) {
  const backend = yield* Backend
  // Virtual time begins in 1970.
  if (backend.virtualTime) yield* backend.advance(2 * keptDays * dayMs)
  const world = yield* make
  const { storage } = world
  const atMs = (yield* storage.now) - (keptDays + daysBefore) * dayMs
  const day = dayOf(atMs)
  yield* backend.prepareDay(day)
  const subscription = yield* world.subscription()
  yield* storage.createSubscription(subscription)
  const { owner } = yield* world.own()
  const old = Effect.flatMap(Id.messageId(atMs), (id) => world.message({ id }))
  /** Appends a message of that day and routes it to the subscription; its delivery is claimed. */
  const deliver = Effect.gen(function*() {
    const message = yield* old
    yield* storage.append([message])
    const id = yield* Id.deliveryId(atMs)
    yield* world.route(owner, [message], [{
      id,
      messageId: message.id,
      subscriptionId: subscription.id,
      claimed: true
    }], { transformedJson: "{\"a\":1}" })
    return { id, messageId: message.id }
  })
  return { ...world, owner, subscription, atMs, day, old, deliver }
})

const told: Partial<AttemptRecord> = {
  request: { method: "POST", url: "https://example.com/", headers: [], body: "{}" },
  response: { headers: {}, body: "no" }
}

const one = { cursor: undefined, limit: 10 }

/** @category constants @since 0.1.0 */
export const retaining: Cases = {
  "a day that has expired is dropped whole, and what was counted of it stays": Effect.gen(function*() {
    const { atMs, day, deliver, owner, record, storage, tenantId } = yield* aged(1)
    const { id, messageId } = yield* deliver
    yield* record(owner, id, success)
    assert.deepStrictEqual(yield* heldBy(day), [])
    assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
    assert.isTrue(Option.isNone(yield* storage.getMessage(messageId)))
    assert.isTrue(Option.isNone(yield* storage.getDelivery(id)))
    assert.deepStrictEqual(yield* storage.listDeliveries({ tenantId, fromMs: atMs - 1 }, one), [])
    assert.strictEqual(yield* storage.retryDelivery(id), "NotFound")
    assert.isUndefined(yield* heldBy(day))
    const counted = yield* storage.count({ tenantId }, { fromMs: 0, fine: false, counted: 10, top: 10 })
    assert.deepInclude(counted.totals, { success: 1, attempts: 1 })
    assert.deepStrictEqual(yield* drop([day]), [])
  }),
  "what has not expired is kept": Effect.gen(function*() {
    const { day, deliver, delivery, owner, record } = yield* aged(1)
    const { id } = yield* deliver
    yield* record(owner, id, success)
    assert.deepStrictEqual(
      yield* drop([day], { historyKeptMs: 2 * terms.historyKeptMs, attemptsKeptMs: 2 * terms.historyKeptMs }),
      []
    )
    assert.strictEqual((yield* delivery(id)).attempts.length, 1)
    yield* drop([day])
  }),
  "an unfinished delivery holds its message's day and its own, and can be recorded; it goes when it has ended": Effect
    .gen(function*() {
      const { day, deliver, delivery, owner, record, storage } = yield* aged(2)
      const { id, messageId } = yield* deliver
      assert.deepStrictEqual(yield* heldBy(day), [{ holder: "unfinished", count: 1 }])
      assert.deepStrictEqual(yield* drop([day]), [])
      yield* record(owner, id, retryAt(yield* storage.now))
      assert.deepStrictEqual(yield* drop([day]), [])
      assert.strictEqual((yield* delivery(id)).attempts.length, 1)
      assert.strictEqual((yield* storage.load([{ messageId }])).messages.length, 1)
      yield* storage.skipDelivery(id)
      assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
    }),
  "an unfinished delivery that was made on a later day holds its message's day": Effect.gen(function*() {
    const { day, old, owner, record, route, storage, subscription } = yield* aged(3)
    const message = yield* old
    yield* storage.append([message])
    const id = yield* Id.deliveryId(yield* storage.now)
    yield* route(owner, [message], [{
      id,
      messageId: message.id,
      subscriptionId: subscription.id,
      claimed: true
    }])
    assert.deepStrictEqual(yield* drop([day]), [])
    yield* record(owner, id, failure)
    assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
    const { delivery: kept } = yield* Effect.flatMap(storage.getDelivery(id), Effect.fromOption)
    assert.deepInclude(kept, { status: "failed", attemptCount: 1 })
    // Its message is gone: there is nothing to send.
    assert.strictEqual(yield* storage.retryDelivery(id), "NotKept")
    assert.isTrue(Option.isSome(yield* storage.getDelivery(id)))
  }),
  "a message that is unrouted or was set aside holds its day": Effect.gen(function*() {
    const { day, old, owner, route, storage } = yield* aged(4)
    const message = yield* old
    yield* storage.append([message])
    assert.deepStrictEqual(yield* heldBy(day), [{ holder: "unrouted", count: 1 }])
    assert.deepStrictEqual(yield* drop([day]), [])
    yield* route(owner, [message], [], { error: "no" })
    assert.deepStrictEqual(yield* heldBy(day), [{ holder: "set-aside", count: 1 }])
    assert.deepStrictEqual(yield* drop([day]), [])
    yield* storage.retryMessage(message.id)
    yield* route(owner, [message], [])
    assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
  }),
  "a message that was broadcast lately holds its day": Effect.gen(function*() {
    const { day, old, owner, route, storage } = yield* aged(5)
    yield* storage.listen([owner.workerGroup])
    const message = yield* old
    yield* storage.append([message])
    yield* route(owner, [message], [])
    assert.deepStrictEqual(yield* heldBy(day), [{ holder: "broadcast", count: 1 }])
    assert.deepStrictEqual(yield* drop([day]), [])
  }),
  "attempts may be kept for a shorter time: a delivery then has fewer than it counts, and those of a retry are kept":
    Effect.gen(function*() {
      const { claim, day, deliver, delivery, owner, record, storage, subscription } = yield* aged(6)
      const { id } = yield* deliver
      yield* record(owner, id, failure)
      const shorter = { historyKeptMs: 2 * terms.historyKeptMs, attemptsKeptMs: terms.attemptsKeptMs }
      assert.deepStrictEqual(yield* drop([day], shorter), [{ day, of: "attempts" }])
      assert.deepStrictEqual(yield* delivery(id).pipe(Effect.map(({ attempts }) => attempts)), [])
      assert.strictEqual((yield* delivery(id)).delivery.attemptCount, 1)
      assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
      assert.strictEqual((yield* claim(owner, subscription.id)).claimed.length, 1)
      assert.deepStrictEqual(yield* drop([day], shorter), [])
      assert.deepStrictEqual(yield* record(owner, id, success, { attemptCount: 1 }), [id])
      assert.deepStrictEqual(yield* drop([day], shorter), [])
      assert.deepStrictEqual((yield* delivery(id)).attempts.map(({ number }) => number), [2])
      assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
    }),
  "an unfinished delivery holds the attempts that its schedule goes by": Effect.gen(function*() {
    const { day, deliver, delivery, owner, record, storage } = yield* aged(7)
    const { id } = yield* deliver
    yield* record(owner, id, retryAt(yield* storage.now))
    const shorter = { historyKeptMs: 2 * terms.historyKeptMs, attemptsKeptMs: terms.attemptsKeptMs }
    assert.deepStrictEqual(yield* drop([day], shorter), [])
    assert.strictEqual((yield* delivery(id)).attempts.length, 1)
    yield* storage.skipDelivery(id)
  }),
  "a message that has yet to be routed holds its day's attempts, as its deliveries' are recorded there": Effect.gen(
    function*() {
      const { day, deliver, old, owner, record, route, storage } = yield* aged(10)
      yield* record(owner, (yield* deliver).id, failure)
      const message = yield* old
      yield* storage.append([message])
      const shorter = { historyKeptMs: 2 * terms.historyKeptMs, attemptsKeptMs: terms.attemptsKeptMs }
      const heldBy = Effect.map(
        storage.retention(shorter),
        ({ expired }) => expired.filter((one) => one.day === day).map(({ heldBy, of }) => ({ of, heldBy }))
      )
      assert.deepStrictEqual(yield* heldBy, [{ of: "attempts", heldBy: [{ holder: "unrouted", count: 1 }] }])
      assert.deepStrictEqual(yield* drop([day], shorter), [])
      yield* route(owner, [message], [], { error: "no" })
      assert.deepStrictEqual(yield* heldBy, [{ of: "attempts", heldBy: [{ holder: "set-aside", count: 1 }] }])
      assert.deepStrictEqual(yield* drop([day], shorter), [])
      yield* storage.retryMessage(message.id)
      yield* route(owner, [message], [])
      assert.deepStrictEqual(yield* drop([day], shorter), [{ day, of: "attempts" }])
      assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
    }
  ),
  "a tenant's shorter term empties the bodies of what is finished, in batches, and nothing else": Effect.gen(
    function*() {
      const { deliver, delivery, old, owner, record, storage, tenantId } = yield* aged(8)
      const [first, second, third] = [yield* deliver, yield* deliver, yield* deliver]
      yield* record(owner, first.id, failure, { attempt: told })
      yield* record(owner, second.id, success, { attempt: told })
      yield* record(owner, third.id, retryAt((yield* storage.now) + dayMs), { attempt: told })
      const unrouted = yield* old
      yield* storage.append([unrouted])
      const settled = { rows: 1, settledMs: 0 }
      const all = storage.emptyBodies(settled).pipe(Effect.repeat({ while: ({ more }) => more }))
      yield* all
      assert.isUndefined((yield* Effect.flatMap(storage.getMessage(first.messageId), Effect.fromOption)).bodyExpired)

      assert.isUndefined(yield* storage.setTenantTerm(tenantId, keptDays))
      assert.deepStrictEqual(
        (yield* storage.tenantTerms).filter((term) => term.tenantId === tenantId),
        [{ tenantId, keptDays }]
      )
      yield* storage.emptyBodies({ ...settled, settledMs: 1e12 })
      assert.isUndefined((yield* Effect.flatMap(storage.getMessage(first.messageId), Effect.fromOption)).bodyExpired)
      assert.strictEqual(yield* storage.setTenantTerm(tenantId, undefined), keptDays)
      assert.isUndefined(yield* storage.setTenantTerm(tenantId, keptDays))
      yield* all
      for (const { id, messageId } of [first, second]) {
        const message = yield* Effect.flatMap(storage.getMessage(messageId), Effect.fromOption)
        assert.deepInclude(message, { bodyExpired: true, payloadJson: "null" })
        const [attempt] = (yield* delivery(id)).attempts
        assert.deepInclude(attempt, { number: 1, durationMs: 12 })
        assert.isUndefined(attempt?.request ?? attempt?.response)
      }
      const kept = yield* Effect.flatMap(storage.getMessage(third.messageId), Effect.fromOption)
      assert.isUndefined(kept.bodyExpired)
      assert.isDefined((yield* delivery(third.id)).attempts[0]?.response)
      assert.strictEqual((yield* storage.load([{ messageId: third.messageId }])).messages[0]?.payloadJson, "{\"a\":1}")
      assert.isTrue(
        (yield* storage.listMessages({ tenantId }, { ...one, bytes: 1e6 })).items.some((item) =>
          item.id === unrouted.id && item.bodyExpired === undefined
        )
      )
      yield* storage.skipDelivery(third.id)
      yield* storage.setTenantTerm(tenantId, undefined)
    }
  ),
  "what can't be sent any more is not retried, and a replay skips it and says why": Effect.gen(function*() {
    const { day, deliver, delivery, owner, record, storage, subscription, tenantId } = yield* aged(9)
    const { id } = yield* deliver
    yield* record(owner, id, failure)
    yield* storage.setTenantTerm(tenantId, keptDays)
    yield* storage.emptyBodies({ rows: 10, settledMs: 0 })
    yield* storage.setTenantTerm(tenantId, undefined)
    assert.strictEqual(yield* storage.retryDelivery(id), "NotKept")
    const replayId = yield* Id.replayId(yield* storage.now)
    const filter = { status: "failed", subscriptionId: subscription.id } as const
    yield* storage.createReplay({ id: replayId, tenantId, filter, freshWebhookId: false }, 10)
    yield* storage.replaySome({ rows: 10, look: 10, waiting: 10, intervalMs: 0 }).pipe(
      Effect.repeat({ until: (found) => found._tag === "Portion" && found.replayId === replayId && found.isCompleted })
    )
    const replay = yield* Effect.flatMap(storage.getReplay(replayId), Effect.fromOption)
    assert.deepInclude(replay, { state: "completed", replayed: 0, skipped: 1, notKept: 1 })
    assert.deepInclude((yield* delivery(id)).delivery, { status: "failed", reason: "permanent" })
    assert.deepStrictEqual(yield* drop([day]), [{ day, of: "history" }])
  }),
  "what is stored is told by table, with its oldest day": Effect.gen(function*() {
    const { day, deliver, owner, record, storage } = yield* aged(20)
    const { id } = yield* deliver
    yield* record(owner, id, success)
    const { tables } = yield* storage.retention(terms)
    assert.deepStrictEqual(tables.map(({ table }) => table), ["messages", "routings", "deliveries", "attempts"])
    for (const { oldestDay, partitions } of tables) {
      assert.isAbove(partitions, 0)
      assert.isTrue(oldestDay !== undefined && oldestDay <= day)
    }
    yield* drop([day])
  })
}
