/**
 * The storage's contract on measuring. Other cases' rows share the database: what counts is what changes.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Depths } from "../Storage.ts"
import { type Cases, make, only, retryAt, routed } from "./StorageSuiteWorld.ts"

const counted = 1_000_000

/** By how much each is more than it was. */
const more = (after: Depths, before: Depths) => ({
  unrouted: after.unrouted - before.unrouted,
  setAside: after.setAside - before.setAside,
  waiting: after.waiting - before.waiting,
  claimed: after.claimed - before.claimed,
  failing: after.failing - before.failing,
  open: after.open - before.open
})

const none = { unrouted: 0, setAside: 0, waiting: 0, claimed: 0, failing: 0, open: 0 }

/** @category constants @since 0.1.0 */
export const measuring: Cases = {
  "what waits is counted where it is: before the router, set aside, unclaimed, claimed": Effect.gen(function*() {
    const { append, own, route, storage } = yield* make
    const before = yield* storage.depths(counted)
    const messages = yield* append(2)
    assert.deepStrictEqual(more(yield* storage.depths(counted), before), { ...none, unrouted: 2 })
    const { owner } = yield* own()
    yield* route(owner, messages, [], { error: "it threw" })
    assert.deepStrictEqual(more(yield* storage.depths(counted), before), { ...none, setAside: 2 })
    yield* routed(3)
    yield* routed(1, { claimed: true })
    assert.deepStrictEqual(more(yield* storage.depths(counted), before), {
      ...none,
      setAside: 2,
      waiting: 3,
      claimed: 1
    })
  }),
  "a subscription that fails is counted, and its circuit while it is open": Effect.gen(function*() {
    const { ids, owner, storage } = yield* routed(1, { claimed: true })
    const before = yield* storage.depths(counted)
    const now = yield* storage.now
    const deliveryId = yield* only(ids)
    yield* storage.record([{
      owner,
      deliveryId,
      attemptCount: 0,
      attempt: { number: 1, startedAtMs: now, durationMs: 1, outcome: "retryable" },
      transition: retryAt(now + 1000),
      sign: "failed",
      openUntilMs: now + 60_000
    }])
    assert.deepStrictEqual(more(yield* storage.depths(counted), before), {
      ...none,
      claimed: -1,
      waiting: 1,
      failing: 1,
      open: 1
    })
  }),
  "nothing is counted beyond a bound": Effect.gen(function*() {
    const { storage } = yield* routed(3)
    assert.strictEqual((yield* storage.depths(2)).waiting, 2)
  }),
  "there are partitions for more than a day to come": Effect.gen(function*() {
    const { storage } = yield* make
    assert.isAbove((yield* storage.depths(1)).partitionsAheadSeconds, 24 * 60 * 60)
  })
}
