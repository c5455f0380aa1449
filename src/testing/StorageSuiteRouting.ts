/**
 * The storage's contract on routing: what waits, and what a batch's routing writes.
 */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Id from "../Id.ts"
import { partitionGroup, workerGroup } from "../Message.ts"
import { type Cases, idsOf, make, only, routed, routing as routingOf } from "./StorageSuiteWorld.ts"

const all = { messages: 100, bytes: 1_000_000 }

/** @category constants @since 0.1.0 */
export const routing: Cases = {
  "messages of an event that has dispatcher partitions are put in one by their key; those before stay where they are":
    Effect.gen(function*() {
      const { deliveries, delivery, eventId, message, own, route, storage, subscription } = yield* make
      const made = yield* subscription()
      yield* storage.createSubscription(made)
      const append = (orderingKey: string) =>
        Effect.flatMap(
          message({ orderingKey }),
          (one) => Effect.map(storage.append([one]), ([placed]) => ({ message: one, group: placed?.workerGroup }))
        )
      const before = yield* append("k")
      assert.strictEqual(before.group, workerGroup(eventId))
      yield* storage.setPartitions(eventId, 4)
      assert.strictEqual((yield* storage.partitions).get(eventId), 4)
      const shared = yield* Effect.forEach(["k", "l", "m", "n", "o", "p", "q", "k"], append)
      for (const { group, message } of shared) assert.strictEqual(group, partitionGroup(message, 4))
      assert.strictEqual(shared[0]?.group, shared[7]?.group)
      assert.isAbove(new Set(shared.map(({ group }) => group)).size, 1)
      yield* storage.setPartitions(eventId, 1)
      assert.strictEqual((yield* append("k")).group, workerGroup(eventId))
      const groups = [...new Set([before, ...shared].map(({ group }) => group ?? ""))]
      const found = yield* storage.due({ aheadMs: 0, workerGroups: groups })
      assert.deepStrictEqual(found.map((one) => one.workerGroup).sort(), [...groups].sort())
      // Each is routed by the owner of its partition, and delivered by it.
      for (const group of groups) {
        const { owner } = yield* own({ workerGroup: group })
        const unrouted = (yield* storage.unrouted([owner], { messages: 100, bytes: 1e6 })).messages
        const expected = [before, ...shared].filter((one) => one.group === group).map((one) => one.message.id)
        assert.includeMembers(unrouted.map(({ id }) => id), expected)
        const all = yield* deliveries(unrouted, made.id, true)
        yield* route(owner, unrouted, all)
        yield* storage.release(owner, all.map(({ id }) => id))
        const claims = yield* storage.claim({
          owners: [owner],
          lanes: [{ workerGroup: group, subscriptionId: made.id, free: 100 }],
          limit: 100,
          bytes: 1e9,
          suspectClaims: 2,
          suspectProviders: []
        })
        assert.deepStrictEqual(idsOf(claims.claimed), all.map(({ id }) => id).sort())
        for (const { id } of all) assert.strictEqual((yield* delivery(id)).delivery.eventId, eventId)
      }
    }),
  "unrouted messages of several tenants are taken in turn, each tenant's in their order": Effect.gen(function*() {
    const { append, own, storage, tenantId } = yield* make
    const many = yield* append(5)
    const others = yield* append(2, { tenantId: `${tenantId}-b` })
    const [last] = yield* append(1, { tenantId: `${tenantId}-c` })
    const { owner } = yield* own()
    const read = (options: { readonly messages: number; readonly tenants?: number; readonly afterTenant?: string }) =>
      Effect.map(
        storage.unrouted([owner], {
          bytes: 1e6,
          messages: options.messages,
          ...(options.tenants === undefined ? {} : { tenants: options.tenants }),
          ...(options.afterTenant === undefined
            ? {}
            : { afterTenants: new Map([[owner.workerGroup, options.afterTenant]]) })
        }),
        ({ messages }) => messages.map(({ id }) => id)
      )
    const ids = (messages: ReadonlyArray<{ readonly id: string } | undefined>) => messages.map((one) => one?.id)
    assert.deepStrictEqual(yield* read({ messages: 5 }), ids([...many.slice(0, 2), ...others, last]))
    assert.deepStrictEqual(yield* read({ messages: 3, tenants: 2 }), ids([...many.slice(0, 2), others[0]]))
    assert.deepStrictEqual(yield* read({ messages: 9, afterTenant: tenantId }), ids([...others, last]))
    assert.deepStrictEqual(yield* read({ messages: 9, afterTenant: `${tenantId}-c` }), [])
  }),
  "no group waits for the tenants of another": Effect.gen(function*() {
    const { append, eventId, own, storage, tenantId } = yield* make
    for (const tenant of ["a", "b", "c"]) yield* append(2, { tenantId: `${tenantId}-${tenant}` })
    const other = `${eventId}-b`
    const [alone] = yield* append(1, { eventId: other, tenantId: `${tenantId}-z` })
    const owners = [(yield* own()).owner, (yield* own({ eventId: other })).owner]
    const found = (yield* storage.unrouted(owners, { ...all, messages: 2 })).messages
    assert.strictEqual(found.length, 2)
    assert.include(found.map(({ id }) => id), alone?.id)
  }),
  "what a batch has bytes for is the first message of each tenant, in the order of their ids": Effect.gen(function*() {
    const { append, own, storage, tenantId } = yield* make
    const payloadJson = `"${"x".repeat(98)}"`
    const [last] = yield* append(2, { payloadJson, tenantId: `${tenantId}-c` })
    const [second] = yield* append(2, { payloadJson, tenantId: `${tenantId}-b` })
    const [first] = yield* append(2, { payloadJson })
    const { owner } = yield* own()
    const read = (bytes: number, afterTenant: string) =>
      Effect.map(
        storage.unrouted([owner], { bytes, messages: 9, afterTenants: new Map([[owner.workerGroup, afterTenant]]) }),
        ({ messages }) => messages.map(({ id }) => id)
      )
    const ids = (...messages: ReadonlyArray<{ readonly id: string } | undefined>) => messages.map((one) => one?.id)
    assert.deepStrictEqual(yield* read(200, ""), ids(second, first))
    assert.deepStrictEqual((yield* read(200, `${tenantId}-b`)).slice(0, 1), ids(last))
  }),
  "unrouted messages are read up to a count and a size of payloads, at least one": Effect.gen(function*() {
    const { append, own, storage } = yield* make
    // 12 bytes each, though 7 characters.
    const messages = yield* append(4, { payloadJson: `"äöüßé"` })
    const { owner } = yield* own()
    const read = (count: number, bytes: number) =>
      Effect.map(storage.unrouted([owner], { messages: count, bytes }), (found) => found.messages.map((one) => one.id))
    const first = (count: number) => messages.slice(0, count).map((message) => message.id)
    assert.deepStrictEqual(yield* read(3, 1000), first(3))
    assert.deepStrictEqual(yield* read(10, 1000), first(4))
    assert.deepStrictEqual(yield* read(10, 24), first(2))
    assert.deepStrictEqual(yield* read(10, 35), first(2))
    assert.deepStrictEqual(yield* read(10, 1), first(1))
  }),
  "the messages of several groups are read in the order of all": Effect.gen(function*() {
    const { append1, eventId, own, storage } = yield* make
    const other = `${eventId}-b`
    const sent = [
      yield* append1(),
      yield* append1({ eventId: other }),
      yield* append1(),
      yield* append1({ eventId: other })
    ]
    const owners = [(yield* own({ eventId: other })).owner, (yield* own()).owner]
    const ids = sent.map((message) => message.id)
    assert.deepStrictEqual((yield* storage.unrouted(owners, all)).messages.map((one) => one.id), ids)
    const limited = (yield* storage.unrouted(owners, { ...all, messages: 3 })).messages
    assert.deepStrictEqual(limited.map((one) => one.id), ids.slice(0, 3))
    const one = (yield* storage.unrouted(owners.slice(0, 1), all)).messages
    assert.deepStrictEqual(one.map((message) => message.workerGroup), [workerGroup(other), workerGroup(other)])
  }),
  "routing takes messages from before the router, keeps their counts and makes their deliveries": Effect.gen(
    function*() {
      const { append, claim, deliveries, delivery, own, route, storage, subscription, tenantId } = yield* make
      const subscribed = yield* subscription()
      yield* storage.createSubscription(subscribed)
      const { owner } = yield* own()
      const [claimedOnes, waitingOnes] = [yield* append(1), yield* append(1)]
      const made = [
        ...yield* deliveries(claimedOnes, subscribed.id, true),
        ...yield* deliveries(waitingOnes, subscribed.id, false)
      ]
      const messages = [...claimedOnes, ...waitingOnes]
      const before = (yield* storage.unrouted([owner], all)).messages
      const answer = yield* route(owner, messages, made, { matched: 3, filtered: 2 })
      assert.deepStrictEqual([...answer].sort(), messages.map((message) => message.id).sort())
      assert.deepStrictEqual((yield* storage.unrouted([owner], all)).messages, [])
      for (const message of messages) {
        const { state } = yield* Effect.fromOption(yield* storage.getMessage(message.id))
        assert.deepInclude(state, { _tag: "Routed", matched: 3, filtered: 2 })
      }
      const [first, second] = made
      if (!first || !second) return assert.fail("two deliveries were made")
      const view = yield* delivery(first.id)
      assert.deepInclude(view.delivery, {
        id: first.id,
        messageId: first.messageId,
        subscriptionId: subscribed.id,
        tenantId,
        status: "pending",
        attemptCount: 0
      })
      assert.deepStrictEqual(view.attempts, [])
      assert.deepStrictEqual(yield* storage.held([owner]), [{
        workerGroup: owner.workerGroup,
        deliveryId: first.id,
        messageId: first.messageId,
        subscriptionId: subscribed.id,
        subscriptionVersion: (yield* Effect.fromOption(yield* storage.getSubscription(subscribed.id))).version,
        seq: before[0]?.seq ?? 0,
        attemptCount: 0,
        retryBase: 0,
        claims: 1,
        size: 2
      }])
      assert.deepStrictEqual(idsOf((yield* claim(owner, subscribed.id)).claimed), [second.id])
    }
  ),
  "what the event's transform made of a payload is what is sent, the message keeps its own": Effect.gen(function*() {
    const { append1, own, route, storage } = yield* make
    const { owner } = yield* own()
    const [plain, transformed] = [yield* append1({ orderingKey: "k" }), yield* append1()]
    yield* route(owner, [plain], [])
    yield* route(owner, [transformed], [], { transformedJson: `{"b":1}` })
    const deliveryId = yield* Id.deliveryId(yield* storage.now)
    const claims = [plain, transformed, plain].map(({ id: messageId }) => ({ deliveryId, messageId, attemptCount: 0 }))
    const loaded = yield* storage.load(claims)
    assert.deepStrictEqual(
      [...loaded.messages].sort((a, b) => a.id < b.id ? -1 : 1),
      [plain, { ...transformed, payloadJson: `{"b":1}`, emittedJson: "{}" }].sort((a, b) => a.id < b.id ? -1 : 1)
    )
    assert.deepStrictEqual(loaded.attempts, [])
    const stored = yield* Effect.fromOption(yield* storage.getMessage(transformed.id))
    assert.strictEqual(stored.payloadJson, "{}")
  }),
  "a routing that was matched by an older version of the subscriptions is stale and writes nothing": Effect.gen(
    function*() {
      const { append, deliveries, own, storage, subscription } = yield* make
      const { owner } = yield* own()
      const messages = yield* append(1)
      const changes: ReadonlyArray<(id: Id.SubscriptionId) => Effect.Effect<unknown, unknown>> = [
        (id) => storage.updateSubscription(id, (current) => ({ ...current, enabled: false })),
        (id) => storage.deleteSubscription(id)
      ]
      const subscribed = yield* subscription()
      const first = yield* storage.subscriptions
      yield* storage.createSubscription(subscribed)
      const stale = Effect.fnUntraced(function*(version: number) {
        const made = yield* deliveries(messages, subscribed.id, true)
        assert.deepStrictEqual(yield* storage.route(routingOf(version, owner, messages, made)), { _tag: "Stale" })
      })
      yield* stale(first.version)
      for (const change of changes) {
        const { version } = yield* storage.subscriptions
        yield* change(subscribed.id)
        yield* stale(version)
      }
      assert.deepStrictEqual(
        (yield* storage.unrouted([owner], all)).messages.map((one) => one.id),
        messages.map((one) => one.id)
      )
      assert.deepStrictEqual(yield* storage.held([owner]), [])
    }
  ),
  "a superseded owner reads nothing and routes nothing; the messages of the others in its batch are routed": Effect.gen(
    function*() {
      const { append, deliveries, eventId, own, route, storage, subscription } = yield* make
      const other = `${eventId}-b`
      const subscribed = yield* subscription()
      yield* storage.createSubscription(subscribed)
      const superseded = (yield* own()).owner
      const present = (yield* own()).owner
      const neighbour = (yield* own({ eventId: other })).owner
      const [mine, theirs] = [yield* append(1), yield* append(1, { eventId: other })]
      assert.deepStrictEqual((yield* storage.unrouted([superseded], all)).messages, [])
      const made = yield* deliveries([...mine, ...theirs], subscribed.id, true)
      assert.deepStrictEqual(yield* route(superseded, mine, made.slice(0, 1)), [])
      const { version } = yield* storage.subscriptions
      const answer = yield* storage.route({
        version,
        messages: [superseded, neighbour].flatMap((owner, i) =>
          routingOf(version, owner, i === 0 ? mine : theirs, []).messages
        ),
        deliveries: made
      })
      assert.deepStrictEqual(answer, { _tag: "Routed", messageIds: theirs.map((one) => one.id), failing: [] })
      assert.deepStrictEqual(
        (yield* storage.unrouted([present], all)).messages.map((one) => one.id),
        mine.map((one) => one.id)
      )
      assert.deepStrictEqual(idsOf(yield* storage.held([neighbour])), made.slice(1).map((one) => one.id))
      assert.deepStrictEqual(yield* storage.held([present]), [])
    }
  ),
  "of an owner's messages and those of the one it superseded in one batch, its own are routed": Effect.gen(function*() {
    const { append, deliveries, own, storage, subscription } = yield* make
    const subscribed = yield* subscription()
    yield* storage.createSubscription(subscribed)
    const superseded = (yield* own()).owner
    const present = (yield* own()).owner
    const messages = yield* append(3)
    const { version } = yield* storage.subscriptions
    const owners = [superseded, present, superseded]
    const answer = yield* storage.route({
      version,
      messages: messages.flatMap((one, i) => routingOf(version, owners[i] ?? present, [one], []).messages),
      deliveries: yield* deliveries(messages, subscribed.id, true)
    })
    assert.deepStrictEqual(answer, {
      _tag: "Routed",
      messageIds: messages.slice(1, 2).map((one) => one.id),
      failing: []
    })
    assert.strictEqual((yield* storage.held([present])).length, 1)
    assert.strictEqual((yield* storage.unrouted([present], all)).messages.length, 2)
  }),
  "what is excepted is not read, and neither counts nor takes any room": Effect.gen(function*() {
    const { append, own, storage, tenantId } = yield* make
    const [first, second, third] = yield* append(3)
    const [other] = yield* append(1, { tenantId: `${tenantId}-b` })
    const { owner } = yield* own()
    const { messages } = yield* storage.unrouted([owner], all)
    const except = messages.flatMap(({ id, seq }) => id === first?.id || id === other?.id ? [seq] : [])
    const read = (count: number, bytes: number) =>
      Effect.map(
        storage.unrouted([owner], { messages: count, bytes, except }),
        ({ messages }) => messages.map(({ id }) => id)
      )
    assert.deepStrictEqual(yield* read(9, 1e6), [second?.id, third?.id])
    assert.deepStrictEqual(yield* read(1, 1e6), [second?.id])
    assert.deepStrictEqual(yield* read(9, 1), [second?.id])
  }),
  "with what waits comes the version of the subscriptions, and who listens, also where nothing waits": Effect.gen(
    function*() {
      const { append, eventId, own, storage, subscription } = yield* make
      const { owner } = yield* own()
      const { owner: neighbour } = yield* own({ eventId: `${eventId}-b` })
      const before = yield* storage.unrouted([owner, neighbour], all)
      assert.deepStrictEqual([before.messages, before.listened], [[], []])
      yield* storage.createSubscription(yield* subscription())
      yield* storage.listen([owner.workerGroup])
      yield* append(1)
      const after = yield* storage.unrouted([owner, neighbour], all)
      assert.isAbove(after.version, before.version)
      assert.deepStrictEqual(after.listened, [owner.workerGroup])
      assert.deepStrictEqual((yield* storage.unrouted([neighbour], all)).listened, [])
    }
  ),
  "what an owner before may have begun counts as claimed once, but for what goes to a group of its own": Effect.gen(
    function*() {
      const { append, claim, deliveries, own, route, storage, subscription } = yield* make
      const { owner } = yield* own()
      const subscribed = yield* subscription()
      yield* storage.createSubscription(subscribed)
      const [first, second] = yield* append(2)
      if (!first || !second) return assert.fail("messages were appended")
      yield* route(owner, [first], yield* deliveries([first], subscribed.id, true), { isDoubtful: true })
      assert.deepStrictEqual((yield* storage.held([owner])).map(({ claims }) => claims), [2])
      yield* route(owner, [second], yield* deliveries([second], subscribed.id, false), { isDoubtful: true })
      assert.deepStrictEqual((yield* claim(owner, subscribed.id)).claimed.map(({ claims }) => claims), [2])
      const [third] = yield* append(1)
      if (!third) return assert.fail("a message was appended")
      const { owner: other } = yield* own({ workerGroup: `subscription.${subscribed.id}` })
      const made = yield* deliveries([third], subscribed.id, false)
      const ownMade = made.map((one) => ({ ...one, workerGroup: other.workerGroup }))
      yield* route(owner, [third], ownMade, { isDoubtful: true })
      assert.deepStrictEqual((yield* claim(other, subscribed.id)).claimed.map(({ claims }) => claims), [1])
    }
  ),
  "what may have begun is routed as claimed, whatever became of subscriptions and circuits meanwhile": Effect.gen(
    function*() {
      const { append, deliveries, own, storage, subscription } = yield* make
      const { owner } = yield* own()
      const subscribed = yield* subscription()
      yield* storage.createSubscription(subscribed)
      const { version } = yield* storage.subscriptions
      const messages = yield* append(1)
      yield* storage.createSubscription(yield* subscription())
      const made = yield* deliveries(messages, subscribed.id, true)
      const given = routingOf(version, owner, messages, made)
      assert.deepStrictEqual(yield* storage.route(given), { _tag: "Stale" })
      assert.strictEqual((yield* storage.route({ ...given, isBegun: true }))._tag, "Routed")
      assert.deepStrictEqual(idsOf(yield* storage.held([owner])), made.map(({ id }) => id))
    }
  ),
  "a message is routed once": Effect.gen(function*() {
    const { deliveries, ids, messages, owner, route, storage, subscription, tenantId } = yield* routed(1)
    const again = yield* deliveries(messages, subscription.id, false)
    assert.deepStrictEqual(yield* route(owner, messages, again), [])
    const found = yield* storage.listDeliveries({ tenantId }, { cursor: undefined, limit: 10 })
    assert.deepStrictEqual(found.map((delivery) => delivery.id), ids)
  }),
  "a message that is set aside can be seen, has no deliveries and holds up no other": Effect.gen(function*() {
    const { append, deliveries, own, route, storage, subscription } = yield* make
    const subscribed = yield* subscription()
    yield* storage.createSubscription(subscribed)
    const { owner } = yield* own()
    const [bad, good] = yield* append(2)
    if (!bad || !good) return assert.fail("two messages were appended")
    const made = yield* deliveries([bad], subscribed.id, true)
    assert.deepStrictEqual(yield* route(owner, [bad], made, { error: "thrown" }), [bad.id])
    const { state } = yield* Effect.fromOption(yield* storage.getMessage(bad.id))
    assert.deepInclude(state, { _tag: "SetAside", error: "thrown" })
    assert.deepStrictEqual(yield* storage.held([owner]), [])
    assert.deepStrictEqual((yield* storage.unrouted([owner], all)).messages.map((one) => one.id), [good.id])
  }),
  "a message that was set aside goes back to its place before the router": Effect.gen(function*() {
    const { append, own, route, storage } = yield* make
    const { owner } = yield* own()
    const messages = yield* append(3)
    const [first, second] = messages
    if (!first || !second) return assert.fail("messages were appended")
    yield* route(owner, [first, second], [], { error: "thrown" })
    assert.strictEqual(yield* storage.retryMessage(second.id), "Retried")
    assert.strictEqual(yield* storage.retryMessage(first.id), "Retried")
    const found = (yield* storage.unrouted([owner], all)).messages
    assert.deepStrictEqual(found.map((one) => one.id), messages.map((one) => one.id))
    assert.strictEqual((yield* only((yield* storage.unrouted([owner], { ...all, messages: 1 })).messages)).id, first.id)
    const { state } = yield* Effect.fromOption(yield* storage.getMessage(first.id))
    assert.deepStrictEqual(state, { _tag: "Unrouted" })
    assert.deepStrictEqual(yield* route(owner, [first], []), [first.id])
  }),
  "only a message that is set aside can be routed anew": Effect.gen(function*() {
    const { append, own, route, storage } = yield* make
    const { owner } = yield* own()
    const waiting = yield* only(yield* append(1))
    assert.strictEqual(yield* storage.retryMessage(waiting.id), "NotRetryable")
    yield* route(owner, [waiting], [])
    assert.strictEqual(yield* storage.retryMessage(waiting.id), "NotRetryable")
    assert.strictEqual(yield* storage.retryMessage(yield* Id.messageId(yield* storage.now)), "NotFound")
  }),
  "a message that nothing matches is routed without deliveries": Effect.gen(function*() {
    const { append, own, route, storage } = yield* make
    const { owner } = yield* own()
    const message = yield* only(yield* append(1))
    assert.deepStrictEqual(yield* route(owner, [message], [], { matched: 0, filtered: 0 }), [message.id])
    const { state } = yield* Effect.fromOption(yield* storage.getMessage(message.id))
    assert.deepInclude(state, { _tag: "Routed", matched: 0, filtered: 0 })
  })
}
