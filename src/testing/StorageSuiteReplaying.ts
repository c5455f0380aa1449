/**
 * The storage's contract on replays. A portion is of any replay that runs: each case sees its own through, or stops them.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Id from "../Id.ts"
import { allTenants } from "../Message.ts"
import type { NewReplay, Replay, ReplayFilter } from "../Replay.ts"
import type { ReplaySome, Storage } from "../Storage.ts"
import { groupOf } from "../Subscription.ts"
import { type Cases, failure, hourMs, idsOf, make, only, retryAt, routed, success } from "./StorageSuiteWorld.ts"

type Seam = Storage["Service"]

const portion = { rows: 100, look: 1000, waiting: 1000, intervalMs: 0 }

const replaying = (world: { readonly storage: Seam; readonly tenantId: string }) => {
  const { storage, tenantId } = world
  const create = Effect.fnUntraced(function*(filter: Partial<ReplayFilter>, overrides?: Partial<NewReplay>) {
    const id = yield* Id.replayId(yield* storage.now)
    const made = { id, tenantId, filter: { status: "failed", ...filter }, freshWebhookId: false, ...overrides } as const
    return yield* Effect.flatMap(storage.createReplay(made, 10), Effect.fromOption)
  })
  const get = (id: Id.ReplayId) => Effect.flatMap(storage.getReplay(id), Effect.fromOption)
  return {
    create,
    get,
    some: (options?: Partial<typeof portion>) => storage.replaySome({ ...portion, ...options }),
    /** Works a replay to its end. */
    through: Effect.fnUntraced(function*(id: Id.ReplayId, options?: Partial<typeof portion>) {
      for (let n = 0; n < 100; n++) {
        const found = yield* storage.replaySome({ ...portion, ...options })
        if (found._tag === "Portion" && found.replayId === id && found.isCompleted) return yield* get(id)
      }
      return yield* Effect.die(new Error(`the replay ${id} did not come to its end`))
    })
  }
}

/** A world whose deliveries have failed. */
const failed = (count: number, overrides?: Parameters<typeof routed>[1]) =>
  Effect.gen(function*() {
    const world = yield* routed(count, { claimed: true, ...overrides })
    for (const id of world.ids) yield* world.record(world.owner, id, failure)
    return { ...world, ids: world.ids.toSorted(), ...replaying(world) }
  })

const replayed = (found: ReplaySome) => found._tag === "Portion" ? found.replayed : found

const counts = ({ replayed, skipped, state }: Replay) => ({ replayed, skipped, state })

/** @category constants @since 0.1.0 */
export const replays: Cases = {
  "a replay makes again what failed before it, oldest first, in portions, each delivery once": Effect.gen(function*() {
    const { claim, create, get, ids, owner, record, some, storage, subscription, through } = yield* failed(5)
    const { id } = yield* create({ subscriptionId: subscription.id })
    assert.deepStrictEqual(yield* some({ rows: 2 }), {
      _tag: "Portion",
      replayId: id,
      replayed: 2,
      skipped: 0,
      isCompleted: false,
      workerGroups: [owner.workerGroup]
    })
    const begun = yield* get(id)
    assert.deepInclude(begun, {
      state: "running",
      replayed: 2,
      reachedMs: Id.timeOf(ids[1] ?? ""),
      completedAtMs: undefined
    })
    const { claimed } = yield* claim(owner, subscription.id)
    assert.deepStrictEqual(idsOf(claimed), ids.slice(0, 2))
    for (const one of claimed) assert.deepInclude(one, { attemptCount: 1, retryBase: 1, claims: 1 })
    // They fail again before the replay has come to its end.
    for (const id of ids.slice(0, 2)) yield* record(owner, id, failure, { attemptCount: 1 })
    const done = yield* through(id, { rows: 2 })
    assert.deepStrictEqual(counts(done), { replayed: 5, skipped: 0, state: "completed" })
    assert.isDefined(done.completedAtMs)
    assert.deepStrictEqual(idsOf((yield* claim(owner, subscription.id)).claimed), ids.slice(2))
    assert.deepInclude(yield* storage.replaySome(portion), { _tag: "Idle", nextMs: undefined })
  }),
  "what succeeded is delivered again where a replay asks for it, and its attempts go on": Effect.gen(function*() {
    const world = yield* routed(1, { claimed: true })
    const { claim, delivery, ids, owner, record, subscription } = world
    const id = yield* only(ids)
    yield* record(owner, id, success)
    const { create, through } = replaying(world)
    assert.strictEqual((yield* through((yield* create({ subscriptionId: subscription.id })).id)).replayed, 0)
    const replay = yield* create({ subscriptionId: subscription.id, status: "success" })
    assert.strictEqual((yield* through(replay.id)).replayed, 1)
    const before = yield* delivery(id)
    assert.strictEqual(before.delivery.status, "pending")
    assert.isUndefined(before.delivery.completedAtMs)
    assert.deepStrictEqual(idsOf((yield* claim(owner, subscription.id)).claimed), [id])
    yield* record(owner, id, success, { attemptCount: 1 })
    const { attempts } = yield* delivery(id)
    assert.deepStrictEqual(attempts.map(({ number }) => number), [1, 2])
  }),
  "what is to be delivered again does not count as ended any more, and its attempts stay counted": Effect.gen(
    function*() {
      const { create, storage, subscription, tenantId, through } = yield* failed(3)
      const totals = Effect.map(
        storage.count({ tenantId }, { fromMs: 0, fine: false, top: 10, counted: 100 }),
        (found) => found.totals
      )
      assert.deepInclude(yield* totals, { failed: 3, attempts: 3 })
      yield* through((yield* create({ subscriptionId: subscription.id })).id)
      assert.deepInclude(yield* totals, { failed: 0, attempts: 3 })
    }
  ),
  "what is meant is told by subscription, event, message, status, reason, tenant and time together": Effect.gen(
    function*() {
      const world = yield* failed(3)
      const { append, deliveries, eventId, messages, own, record, route, storage, subscription, tenantId } = world
      // Another event of another tenant, half an hour earlier.
      const otherEventId = `${eventId}-b`
      const fromMs = (yield* storage.now) - hourMs
      const others = yield* append(2, { eventId: otherEventId, tenantId: `${tenantId}x` })
      const made = (yield* deliveries(others, subscription.id, true)).map((one, n) => ({
        ...one,
        id: Id.DeliveryId.make(`dlv_${(fromMs + n).toString(16).padStart(12, "0")}${one.id.slice(16)}`)
      }))
      const { owner } = yield* own({ eventId: otherEventId })
      yield* route(owner, others, made)
      yield* record(owner, made[0]?.id ?? assert.fail("two were made"), { ...failure, reason: "exhausted" })
      yield* record(owner, made[1]?.id ?? assert.fail("two were made"), success)
      const count = (filter: Partial<ReplayFilter>, of: string = allTenants) =>
        Effect.map(
          storage.countReplay({ tenantId: of, filter: { status: "failed", ...filter } }, 1000),
          ({ matched }) => matched
        )
      const subscriptionId = subscription.id
      const cases: ReadonlyArray<readonly [Partial<ReplayFilter>, number, string?]> = [
        [{ subscriptionId }, 4],
        [{ subscriptionId, status: "success" }, 1],
        [{ subscriptionId, status: "cancelled" }, 0],
        [{ subscriptionId, reason: "exhausted" }, 1],
        [{ subscriptionId }, 3, tenantId],
        [{ subscriptionId }, 1, `${tenantId}x`],
        [{ subscriptionId, status: "success" }, 1, `${tenantId}x`],
        [{ eventId }, 3],
        [{ eventId: otherEventId, status: "success" }, 1],
        [{ eventId: otherEventId }, 0, tenantId],
        [{ messageId: messages[0]?.id ?? assert.fail("three were made") }, 1],
        [{ subscriptionId, toMs: fromMs }, 1],
        [{ subscriptionId, fromMs, toMs: fromMs }, 1],
        [{ subscriptionId, fromMs: fromMs + 1 }, 3],
        [{ fromMs: fromMs + 1 }, 3, tenantId],
        [{ fromMs, status: "success" }, 1, `${tenantId}x`],
        [{ subscriptionId: yield* Id.subscriptionId(fromMs) }, 0]
      ]
      for (const [filter, expected, of] of cases) {
        assert.strictEqual(yield* count(filter, of), expected, JSON.stringify({ filter, of }))
      }
      // And the same is replayed.
      const { create, through } = replaying(world)
      const { id } = yield* create({ subscriptionId, reason: "exhausted" }, { tenantId: allTenants })
      assert.strictEqual((yield* through(id)).replayed, 1)
      assert.strictEqual(yield* count({ subscriptionId }), 3)
    }
  ),
  "a tenant's replay leaves out what work queues did with its messages, unless it names one": Effect.gen(function*() {
    const world = yield* routed(2, { claimed: true, subscription: { tenantId: allTenants } })
    for (const id of world.ids) yield* world.record(world.owner, id, failure)
    const { eventId, storage, subscription: { id: subscriptionId }, tenantId } = world
    const matched = (filter: Partial<ReplayFilter>, of: string) =>
      Effect.map(
        storage.countReplay({ tenantId: of, filter: { status: "failed", eventId, ...filter } }, 1000),
        (counted) => counted.matched
      )
    assert.strictEqual(yield* matched({}, tenantId), 0)
    assert.strictEqual(yield* matched({ subscriptionId }, tenantId), 2)
    assert.strictEqual(yield* matched({}, allTenants), 2)
    const { create, through } = replaying(world)
    const { id } = yield* create({ eventId }, { tenantId })
    assert.strictEqual((yield* through(id)).replayed, 0)
  }),
  "a count looks at so many deliveries, and says that there may be more": Effect.gen(function*() {
    const { storage, subscription, tenantId } = yield* failed(5)
    const scope = { tenantId, filter: { status: "failed", subscriptionId: subscription.id } } as const
    assert.deepStrictEqual(yield* storage.countReplay(scope, 3), { matched: 3, isAtLeast: true })
    assert.deepStrictEqual(yield* storage.countReplay(scope, 10), { matched: 5, isAtLeast: false })
  }),
  "a replay finds what is meant however far apart it lies": Effect.gen(function*() {
    const world = yield* routed(7, { claimed: true })
    const ids = world.ids.toSorted()
    for (const [n, id] of ids.entries()) {
      yield* world.record(world.owner, id, n === 5 ? { ...failure, reason: "exhausted" } : failure)
    }
    const { create, through } = replaying(world)
    const { id } = yield* create({ subscriptionId: world.subscription.id, reason: "exhausted" })
    assert.deepStrictEqual(counts(yield* through(id, { look: 2 })), { replayed: 1, skipped: 0, state: "completed" })
    const { claimed } = yield* world.claim(world.owner, world.subscription.id)
    assert.deepStrictEqual(idsOf(claimed), ids.slice(5, 6))
  }),
  "deliveries of a deleted subscription are skipped and counted": Effect.gen(function*() {
    const { create, delivery, ids, storage, subscription, through } = yield* failed(3)
    const { id } = yield* create({ subscriptionId: subscription.id })
    yield* storage.deleteSubscription(subscription.id)
    assert.deepStrictEqual(counts(yield* through(id, { rows: 2 })), { replayed: 0, skipped: 3, state: "completed" })
    for (const id of ids) assert.strictEqual((yield* delivery(id)).delivery.status, "failed")
  }),
  "what had not ended when a replay was made is left alone, also when it ends before the replay": Effect.gen(
    function*() {
      const world = yield* routed(3, { claimed: true })
      const { backend, claim, delivery, owner, record, storage, subscription } = world
      const [first, second, third] = world.ids.toSorted()
      if (!first || !second || !third) return yield* Effect.die("three were made")
      yield* record(owner, third, failure)
      yield* backend.advance(20)
      const { create, through } = replaying(world)
      const { id } = yield* create({ subscriptionId: subscription.id })
      yield* backend.advance(20)
      yield* record(owner, second, failure)
      assert.strictEqual((yield* through(id)).replayed, 1)
      assert.deepStrictEqual(idsOf((yield* claim(owner, subscription.id)).claimed), [third])
      assert.strictEqual((yield* delivery(second)).delivery.status, "failed")
      assert.strictEqual((yield* storage.held([owner])).length, 2)
    }
  ),
  "a replay is not worked while it is paused, goes on where it was, and ends for good when it is cancelled": Effect.gen(
    function*() {
      const { create, get, some, storage, subscription } = yield* failed(4)
      const { id } = yield* create({ subscriptionId: subscription.id })
      const change = (from: Replay["state"], to: Replay["state"]) =>
        Effect.map(storage.changeReplay(id, { from: [from], to }), Option.map(({ state }) => state))
      assert.strictEqual(replayed(yield* some({ rows: 1 })), 1)
      assert.deepStrictEqual(yield* change("paused", "running"), Option.none())
      assert.deepStrictEqual(yield* change("running", "paused"), Option.some("paused"))
      assert.deepStrictEqual(yield* some(), { _tag: "Idle", nextMs: undefined })
      assert.deepStrictEqual(yield* change("paused", "running"), Option.some("running"))
      assert.strictEqual(replayed(yield* some({ rows: 2 })), 2)
      assert.deepStrictEqual(yield* change("running", "cancelled"), Option.some("cancelled"))
      assert.deepStrictEqual(yield* some(), { _tag: "Idle", nextMs: undefined })
      assert.deepStrictEqual(counts(yield* get(id)), { replayed: 3, skipped: 0, state: "cancelled" })
      const none = yield* Id.replayId(yield* storage.now)
      assert.deepStrictEqual(yield* storage.changeReplay(none, { from: ["running"], to: "paused" }), Option.none())
    }
  ),
  "a webhook-id of the replay's own stays through retries, until a replay asks for the message's": Effect.gen(
    function*() {
      const { claim, create, ids, owner, record, storage, subscription, through } = yield* failed(1)
      const delivery = yield* only(ids)
      const webhookOf = Effect.flatMap(
        claim(owner, subscription.id),
        ({ claimed }) => Effect.map(only(claimed), (one) => one.webhookOf)
      )
      const first = yield* create({ subscriptionId: subscription.id }, { freshWebhookId: true })
      yield* through(first.id)
      assert.strictEqual(yield* webhookOf, first.id)
      yield* record(owner, delivery, retryAt((yield* storage.now) - 1), { attemptCount: 1 })
      assert.strictEqual(yield* webhookOf, first.id)
      assert.deepStrictEqual((yield* storage.held([owner])).map((one) => one.webhookOf), [first.id])
      yield* record(owner, delivery, failure, { attemptCount: 2 })
      assert.strictEqual(yield* storage.retryDelivery(delivery), "Retried")
      assert.strictEqual(yield* webhookOf, first.id)
      yield* record(owner, delivery, failure, { attemptCount: 3 })
      yield* through((yield* create({ subscriptionId: subscription.id })).id)
      assert.isUndefined(yield* webhookOf)
    }
  ),
  "a replay takes no more while enough of it waits for a first attempt that could begin": Effect.gen(function*() {
    const { claim, create, owner, record, some, storage, subscription, through } = yield* failed(6)
    const { id } = yield* create({ subscriptionId: subscription.id })
    const few = { rows: 2, waiting: 2 }
    assert.strictEqual(replayed(yield* some(few)), 2)
    assert.strictEqual(replayed(yield* some(few)), 0)
    // What waits for its next attempt, or for its subscription, holds nothing up.
    for (const { deliveryId } of (yield* claim(owner, subscription.id)).claimed) {
      yield* record(owner, deliveryId, retryAt((yield* storage.now) + hourMs), { attemptCount: 1 })
    }
    assert.strictEqual(replayed(yield* some(few)), 2)
    assert.strictEqual(replayed(yield* some(few)), 0)
    yield* storage.updateSubscription(subscription.id, (current) => ({ ...current, enabled: false }))
    assert.strictEqual((yield* through(id, few)).replayed, 6)
  }),
  "what waits for code that its runner lacks holds no replay up: it comes to its end, and the code finds all of it":
    Effect
      .gen(function*() {
        const { create, delivery, ids, runnerId, some, storage, subscription, through } = yield* failed(6, {
          leaseMs: hourMs
        })
        const announce = (providers: ReadonlyArray<string>) =>
          storage.announce(runnerId, { address: "a:1", version: "0", startedAtMs: 0, shards: 1, events: [], providers })
        const { id } = yield* create({ subscriptionId: subscription.id })
        const few = { rows: 2, waiting: 2 }
        assert.strictEqual(replayed(yield* some(few)), 2)
        assert.strictEqual(replayed(yield* some(few)), 0)
        yield* announce(["another.provider"])
        assert.deepStrictEqual(counts(yield* through(id, few)), { replayed: 6, skipped: 0, state: "completed" })
        for (const one of ids) {
          assert.deepInclude((yield* delivery(one)).delivery, { status: "pending", reason: "code-missing" })
        }
        yield* announce([subscription.providerId])
        for (const one of ids) assert.notProperty((yield* delivery(one)).delivery, "reason")
      }),
  "a replay is not asked again for a while after it took some": Effect.gen(function*() {
    const { backend, create, some, subscription, through } = yield* failed(3)
    const { id } = yield* create({ subscriptionId: subscription.id })
    assert.strictEqual(replayed(yield* some({ rows: 1, intervalMs: 500 })), 1)
    const idle = yield* some()
    const nextMs = idle._tag === "Idle" ? idle.nextMs ?? 0 : 0
    assert.isAbove(nextMs, 0)
    assert.isAtMost(nextMs, 500)
    yield* backend.advance(Math.ceil(nextMs) + 5)
    assert.strictEqual((yield* through(id)).replayed, 3)
  }),
  "what is replayed and what is new are claimed in turn": Effect.gen(function*() {
    const world = yield* failed(4)
    const { append, claim, create, deliveries, ids, owner, route, subscription, through } = world
    yield* through((yield* create({ subscriptionId: subscription.id })).id)
    yield* world.backend.advance(5)
    const messages = yield* append(4)
    const fresh = yield* deliveries(messages, subscription.id, false)
    yield* route(owner, messages, fresh)
    const { claimed } = yield* claim(owner, subscription.id, { free: 4 })
    assert.strictEqual(claimed.filter(({ deliveryId }) => ids.includes(deliveryId)).length, 2)
  }),
  "a replayed delivery of an ordered subscription takes its place before those that were emitted later": Effect.gen(
    function*() {
      const world = yield* make
      const subscription = yield* world.subscription({ ordered: true })
      const { append, claim, deliveries, own, record, route, storage } = world
      yield* storage.createSubscription(subscription)
      const group = groupOf(subscription, world.eventId)
      const router = (yield* own()).owner
      const { owner } = yield* own({ workerGroup: group })
      const messages = [...yield* append(1, { orderingKey: "k" }), ...yield* append(1, { orderingKey: "k" })]
      const made = (yield* deliveries(messages, subscription.id, false)).map((one) => ({ ...one, workerGroup: group }))
      const [first, second] = made.map(({ id }) => id)
      if (!first || !second) return yield* Effect.die("two were made")
      yield* route(router, messages, made)
      const claimed = Effect.map(claim(owner, subscription.id), (claims) => idsOf(claims.claimed))
      assert.deepStrictEqual(yield* claimed, [first])
      yield* record(owner, first, failure)
      const { create, some } = replaying(world)
      const { id } = yield* create({ subscriptionId: subscription.id })
      const found = yield* some()
      assert.deepInclude(found, { replayId: id, replayed: 1, workerGroups: [group] })
      assert.deepStrictEqual(yield* claimed, [first])
      yield* record(owner, first, success, { attemptCount: 1 })
      assert.deepStrictEqual(yield* claimed, [second])
    }
  ),
  "a tenant has so many replays that are not through, and no more": Effect.gen(function*() {
    const { storage, subscription, tenantId, through } = yield* failed(1)
    const create = (of = tenantId) =>
      Effect.gen(function*() {
        const id = yield* Id.replayId(yield* storage.now)
        const filter = { status: "failed", subscriptionId: subscription.id } as const
        return yield* storage.createReplay({ id, tenantId: of, filter, freshWebhookId: false }, 2)
      })
    const first = yield* Effect.flatMap(create(), Effect.fromOption)
    yield* storage.changeReplay(first.id, { from: ["running"], to: "paused" })
    const second = yield* Effect.flatMap(create(), Effect.fromOption)
    assert.deepStrictEqual(yield* create(), Option.none())
    const other = yield* Effect.flatMap(create(`${tenantId}x`), Effect.fromOption)
    yield* storage.changeReplay(first.id, { from: ["paused"], to: "cancelled" })
    yield* storage.changeReplay(other.id, { from: ["running"], to: "cancelled" })
    assert.isTrue(Option.isSome(
      yield* storage.changeReplay((yield* Effect.flatMap(create(), Effect.fromOption)).id, {
        from: ["running"],
        to: "cancelled"
      })
    ))
    yield* through(second.id)
  }),
  "replays are read as they were made, and listed newest first by tenant and state": Effect.gen(function*() {
    const world = yield* make
    const { storage, tenantId } = world
    const { create, get, through } = replaying(world)
    const filter = { status: "cancelled", eventId: world.eventId, reason: "skipped", fromMs: 1, toMs: 2 } as const
    const first = yield* create(filter, { freshWebhookId: true })
    assert.deepInclude(first, { tenantId, filter, freshWebhookId: true, state: "running", replayed: 0, skipped: 0 })
    assert.deepStrictEqual(yield* get(first.id), first)
    yield* world.backend.advance(5)
    const second = yield* create(filter)
    const list = (by: Parameters<Seam["listReplays"]>[0], cursor?: string, limit = 10) =>
      Effect.map(storage.listReplays(by, { cursor, limit }), (found) => found.map(({ id }) => id))
    yield* storage.changeReplay(second.id, { from: ["running"], to: "paused" })
    assert.deepStrictEqual(yield* list({ tenantId }), [second.id, first.id])
    assert.deepStrictEqual(yield* list({ tenantId }, undefined, 1), [second.id])
    assert.deepStrictEqual(yield* list({ tenantId }, second.id), [first.id])
    assert.deepStrictEqual(yield* list({ tenantId, state: "paused" }), [second.id])
    assert.deepStrictEqual(yield* list({ tenantId: `${tenantId}x` }), [])
    yield* through(first.id)
    assert.deepStrictEqual(yield* storage.getReplay(yield* Id.replayId(yield* storage.now)), Option.none())
  })
}
