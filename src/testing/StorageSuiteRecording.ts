/**
 * The storage's contract on recording: what an attempt's outcome makes of a delivery, once, and what is kept of it.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type AttemptRecord, outline } from "../Delivery.ts"
import { type Cases, failure, hourMs, only, outcome, retryAt, routed, success } from "./StorageSuiteWorld.ts"

const full: AttemptRecord = {
  number: 1,
  startedAtMs: 1_700_000_000_123,
  durationMs: 45,
  outcome: "retryable",
  statusCode: 503,
  error: { tag: "HttpStatus", message: "HTTP 503 ä" },
  request: {
    method: "POST",
    url: "https://example.com/ä?a=\"b\"",
    headers: [{ name: "content-type", value: "application/json" }, { name: "x-empty", value: "" }],
    body: "{\"a\":\"\\u0000\"}"
  },
  response: { headers: { "content-type": "text/plain" }, body: "busy" },
  retryAfterMs: 1500,
  phases: { lookupMs: 0.25, connectMs: 1, tlsMs: 12.5, firstByteMs: 30, totalMs: 45 }
}

/** @category constants @since 0.1.0 */
export const recording: Cases = {
  "a success ends its delivery": Effect.gen(function*() {
    const { claim, delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    const before = yield* storage.now
    const recorded = yield* record(owner, id, { ...success, externalId: "X-1" })
    assert.deepStrictEqual(recorded, [id])
    const { attempts, delivery: found } = yield* delivery(id)
    assert.deepInclude(found, { status: "success", externalId: "X-1", attemptCount: 1 })
    assert.isAtLeast(found.completedAtMs ?? 0, before - 1000)
    for (const key of ["reason", "lastError", "nextAttemptAtMs"]) assert.notProperty(found, key)
    assert.deepStrictEqual(attempts.map((attempt) => attempt.outcome), ["success"])
    assert.deepStrictEqual(yield* claim(owner, subscription.id), { claimed: [], next: [], health: [] })
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    assert.deepStrictEqual(yield* storage.due({ aheadMs: hourMs, workerGroups: [owner.workerGroup] }), [])
  }),
  "a failure for good ends its delivery with a reason and the last error": Effect.gen(function*() {
    const { delivery, ids, owner, record } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* record(owner, id, failure)
    const { delivery: found } = yield* delivery(id)
    assert.deepInclude(found, { status: "failed", reason: "permanent", lastError: "refused", attemptCount: 1 })
    assert.isDefined(found.completedAtMs)
  }),
  "a delivery to be retried waits until it is due": Effect.gen(function*() {
    const { claim, delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    const dueAtMs = (yield* storage.now) + hourMs
    yield* record(owner, id, retryAt(dueAtMs))
    const { delivery: found } = yield* delivery(id)
    assert.deepInclude(found, { status: "retrying", attemptCount: 1, nextAttemptAtMs: dueAtMs, lastError: "away" })
    assert.notProperty(found, "completedAtMs")
    const { claimed, next } = yield* claim(owner, subscription.id)
    assert.deepStrictEqual(claimed, [])
    assert.deepStrictEqual(next.map((lane) => lane.dueAtMs), [dueAtMs])
  }),
  "a retry that is due is claimed with its attempts counted": Effect.gen(function*() {
    const { claim, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* record(owner, id, retryAt((yield* storage.now) - 1000))
    const claimed = yield* only((yield* claim(owner, subscription.id)).claimed)
    assert.deepInclude(claimed, { deliveryId: id, attemptCount: 1, retryBase: 0, claims: 1 })
  }),
  "an outcome is recorded once, however often it is sent": Effect.gen(function*() {
    const { claim, delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    const transition = retryAt((yield* storage.now) - 1000)
    assert.deepStrictEqual(yield* record(owner, id, transition), [id])
    assert.deepStrictEqual(yield* record(owner, id, transition), [])
    yield* claim(owner, subscription.id)
    assert.deepStrictEqual(yield* record(owner, id, transition), [])
    assert.deepStrictEqual(yield* record(owner, id, success, { attemptCount: 1 }), [id])
    assert.deepStrictEqual(yield* record(owner, id, failure, { attemptCount: 1 }), [])
    const { attempts, delivery: found } = yield* delivery(id)
    assert.strictEqual(found.status, "success")
    assert.deepStrictEqual(attempts.map((attempt) => attempt.number), [1, 2])
  }),
  "many outcomes are recorded at once, those that can be": Effect.gen(function*() {
    const { delivery, ids, owner, storage } = yield* routed(3, { claimed: true })
    const [first, second, third] = ids
    if (!first || !second || !third) return assert.fail("three deliveries were made")
    const recorded = yield* storage.record([
      outcome(owner, first, success),
      outcome(owner, second, failure, { attemptCount: 7 }),
      outcome(owner, third, retryAt((yield* storage.now) + hourMs))
    ])
    assert.deepStrictEqual([...recorded].sort(), [first, third].sort())
    const statuses = yield* Effect.forEach(ids, (id) => Effect.map(delivery(id), (found) => found.delivery.status))
    assert.deepStrictEqual(statuses, ["success", "pending", "retrying"])
  }),
  "an outcome that stands twice among others is recorded once, as it stands first": Effect.gen(function*() {
    const { delivery, ids, owner, storage } = yield* routed(2, { claimed: true })
    const [first, second] = ids
    if (!first || !second) return assert.fail("two deliveries were made")
    const recorded = yield* storage.record([
      outcome(owner, first, success),
      outcome(owner, second, success),
      outcome(owner, first, failure)
    ])
    assert.deepStrictEqual([...recorded].sort(), [first, second].sort())
    const { attempts, delivery: found } = yield* delivery(first)
    assert.strictEqual(found.status, "success")
    assert.strictEqual(attempts.length, 1)
  }),
  "outcomes of an owner and of the one it superseded are recorded each by its own": Effect.gen(function*() {
    const { claim, delivery, ids, own, owner, storage, subscription } = yield* routed(3, { claimed: true })
    const [first, second, third] = ids
    if (!first || !second || !third) return assert.fail("three deliveries were made")
    const successor = (yield* own()).owner
    yield* storage.recover([successor], 3)
    yield* claim(successor, subscription.id)
    const recorded = yield* storage.record([
      outcome(owner, first, success),
      outcome(successor, second, success),
      outcome(owner, third, success)
    ])
    assert.deepStrictEqual(recorded, [second])
    const statuses = yield* Effect.forEach(ids, (id) => Effect.map(delivery(id), (found) => found.delivery.status))
    assert.deepStrictEqual(statuses, ["pending", "success", "pending"])
  }),
  "a superseded owner records nothing": Effect.gen(function*() {
    const { delivery, ids, own, owner, record } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* own()
    assert.deepStrictEqual(yield* record(owner, id, success), [])
    const { attempts, delivery: found } = yield* delivery(id)
    assert.strictEqual(found.status, "pending")
    assert.deepStrictEqual(attempts, [])
  }),
  "an owner records nothing that it did not claim": Effect.gen(function*() {
    const { ids, own, owner, record, storage } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    const successor = (yield* own()).owner
    assert.deepStrictEqual(yield* record(successor, id, success), [])
    yield* storage.recover([successor], 3)
    assert.deepStrictEqual(yield* record(successor, id, success), [])
    assert.deepStrictEqual(yield* record(owner, id, success), [])
  }),
  "of a deleted subscription a delivery to be retried is cancelled, one that succeeded has succeeded": Effect.gen(
    function*() {
      const { delivery, ids, owner, record, storage, subscription } = yield* routed(2, { claimed: true })
      const [first, second] = ids
      if (!first || !second) return assert.fail("two deliveries were made")
      yield* storage.deleteSubscription(subscription.id)
      assert.deepStrictEqual(yield* record(owner, first, retryAt((yield* storage.now) + hourMs)), [first])
      assert.deepStrictEqual(yield* record(owner, second, success), [second])
      const { attempts, delivery: cancelled } = yield* delivery(first)
      assert.deepInclude(cancelled, { status: "cancelled", reason: "deleted", attemptCount: 1, lastError: "away" })
      assert.isDefined(cancelled.completedAtMs)
      assert.strictEqual(attempts.length, 1)
      assert.strictEqual((yield* delivery(second)).delivery.status, "success")
    }
  ),
  "of a disabled subscription outcomes are recorded": Effect.gen(function*() {
    const { delivery, ids, owner, record, storage, subscription } = yield* routed(1, { claimed: true })
    const id = yield* only(ids)
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
    const dueAtMs = (yield* storage.now) + hourMs
    assert.deepStrictEqual(yield* record(owner, id, retryAt(dueAtMs)), [id])
    assert.deepInclude((yield* delivery(id)).delivery, { status: "retrying", reason: "held", nextAttemptAtMs: dueAtMs })
  }),
  "attempts are kept as they were recorded, oldest first, and are loaded with a claim in outline": Effect.gen(
    function*() {
      const { claim, delivery, ids, messages, owner, record, storage, subscription } = yield* routed(1, {
        claimed: true
      })
      const id = yield* only(ids)
      const second: AttemptRecord = { number: 2, startedAtMs: 1_700_000_001_000, durationMs: 0, outcome: "interrupted" }
      const dueAtMs = (yield* storage.now) - 1000
      yield* record(owner, id, retryAt(dueAtMs), { attempt: full })
      yield* claim(owner, subscription.id)
      yield* record(owner, id, retryAt(dueAtMs), { attemptCount: 1, attempt: second })
      assert.deepStrictEqual((yield* delivery(id)).attempts, [full, second])
      const { claimed } = yield* claim(owner, subscription.id)
      const loaded = yield* storage.load(claimed)
      assert.deepStrictEqual(loaded.messages, messages)
      assert.deepStrictEqual(
        loaded.attempts,
        [full, second].map((attempt) => ({ deliveryId: id, attempt: outline(attempt) }))
      )
    }
  )
}
