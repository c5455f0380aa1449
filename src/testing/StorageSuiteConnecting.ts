/**
 * The storage's contract on connections: what is kept of them, who uses them, and that a change of one is a change of those.
 */
import { assert } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import type { Connection } from "../Connection.ts"
import * as Id from "../Id.ts"
import { type Cases, make as makeWorld, outcome, retryAt, routed } from "./StorageSuiteWorld.ts"

const make = Effect.gen(function*() {
  const world = yield* makeWorld
  const { storage, tenantId } = world
  const connection = Effect.fnUntraced(function*(overrides?: Partial<Connection>) {
    const now = yield* storage.now
    const made: Connection = {
      id: yield* Id.connectionId(now),
      tenantId,
      providerId: "suite.provider",
      name: "a",
      config: { token: "sealed", nested: [1, null, { a: "é" }] },
      version: 1,
      createdAtMs: now,
      updatedAtMs: now,
      ...overrides
    }
    yield* storage.createConnection(made)
    return made
  })
  return { ...world, connection }
})

const other = (current: Connection): Connection => ({ ...current, config: { token: "another" } })

/** @category constants @since 0.1.0 */
export const connecting: Cases = {
  "a connection is kept as it was created": Effect.gen(function*() {
    const { connection, storage } = yield* make
    const created = yield* connection({ name: "ä\"b" })
    assert.deepStrictEqual(yield* storage.getConnection(created.id), Option.some(created))
    assert.deepStrictEqual(yield* storage.holdConnection(created.id), Option.some(created))
  }),
  "connections are listed newest first, by tenant and provider, in pages": Effect.gen(function*() {
    const { connection, storage, tenantId } = yield* make
    const made = yield* Effect.forEach(
      ["a.a", "b.b", "a.a", "b.b", "a.a"],
      (providerId) => connection({ providerId })
    )
    const list = (filter: { readonly providerId?: string }, cursor: string | undefined, limit: number) =>
      Effect.map(
        storage.listConnections({ tenantId, ...filter }, { cursor, limit }),
        (found) => found.map(({ id }) => id)
      )
    const newest = (items: ReadonlyArray<Connection>) => items.map(({ id }) => id).sort((a, b) => a < b ? 1 : -1)
    const all = newest(made)
    assert.deepStrictEqual(yield* list({}, undefined, 10), all)
    assert.deepStrictEqual(yield* list({}, all[1], 2), all.slice(2, 4))
    const ofA = newest(made.filter(({ providerId }) => providerId === "a.a"))
    assert.deepStrictEqual(yield* list({ providerId: "a.a" }, undefined, 10), ofA)
    assert.deepStrictEqual(yield* list({ providerId: "a.a" }, ofA[0], 1), ofA.slice(1, 2))
    assert.deepStrictEqual(
      yield* storage.listConnections({ tenantId: `${tenantId}x` }, { cursor: undefined, limit: 9 }),
      []
    )
  }),
  "a subscription is kept with the connection it names, and is changed to another": Effect.gen(function*() {
    const { connection, storage, subscription } = yield* make
    const [first, second] = [yield* connection(), yield* connection()]
    const created = yield* subscription({ connectionId: first.id })
    const version = yield* storage.createSubscription(created)
    assert.deepStrictEqual(yield* storage.getSubscription(created.id), Option.some({ ...created, version }))
    const updated = yield* storage.updateSubscription(created.id, (stored) => ({ ...stored, connectionId: second.id }))
    assert.deepStrictEqual(Option.map(updated, ({ connectionId }) => connectionId), Option.some(second.id))
    assert.deepStrictEqual(yield* storage.getSubscription(created.id), updated)
  }),
  "those connections are read with the subscriptions that some of them use": Effect.gen(function*() {
    const { connection, storage, subscription } = yield* make
    const [used, unused, former] = [yield* connection(), yield* connection(), yield* connection()]
    yield* storage.createSubscription(yield* subscription({ connectionId: used.id, enabled: false }))
    const deleted = yield* subscription({ connectionId: former.id })
    yield* storage.createSubscription(deleted)
    yield* storage.deleteSubscription(deleted.id)
    const { connections } = yield* storage.subscriptions
    const mine = connections.filter(({ id }) => [used.id, unused.id, former.id].includes(id))
    assert.deepStrictEqual(mine, [used])
  }),
  "a changed connection gives the subscriptions that use it a new version, and no other": Effect.gen(function*() {
    const { connection, storage, subscription } = yield* make
    const [changed, bystander] = [yield* connection(), yield* connection()]
    const using = yield* Effect.forEach([1, 2], () => subscription({ connectionId: changed.id }))
    const others = [yield* subscription({ connectionId: bystander.id }), yield* subscription()]
    const before = new Map<string, number>()
    for (const one of [...using, ...others]) before.set(one.id, yield* storage.createSubscription(one))
    const { version } = yield* storage.subscriptions
    const updated = yield* Effect.fromOption(yield* storage.updateConnection(changed.id, other))
    assert.deepStrictEqual(updated.connection, { ...changed, config: { token: "another" }, version: 2 })
    assert.deepStrictEqual(yield* storage.getConnection(changed.id), Option.some(updated.connection))
    assert.deepStrictEqual(updated.subscriptions.map(({ id }) => id).sort(), using.map(({ id }) => id).sort())
    for (const { id, version: bound } of updated.subscriptions) {
      assert.isAbove(bound, version)
      const found = yield* Effect.fromOption(yield* storage.getSubscription(id))
      assert.strictEqual(found.version, bound)
    }
    for (const { id } of others) {
      const found = yield* Effect.fromOption(yield* storage.getSubscription(id))
      assert.strictEqual(found.version, before.get(id))
    }
    const read = yield* storage.subscriptions
    assert.isAtLeast(read.version, updated.subscriptions[0]?.version ?? Number.POSITIVE_INFINITY)
    assert.deepInclude(read.connections, updated.connection)
  }),
  "a connection that is renamed gets a version, and its subscriptions none": Effect.gen(function*() {
    const { connection, storage, subscription } = yield* make
    const created = yield* connection()
    const using = yield* subscription({ connectionId: created.id })
    const version = yield* storage.createSubscription(using)
    const renamed = yield* storage.updateConnection(created.id, (current) => ({ ...current, name: "b" }))
    const after = { ...created, name: "b", version: 2 }
    assert.deepStrictEqual(renamed, Option.some({ connection: after, subscriptions: [] }))
    assert.deepStrictEqual(yield* storage.getSubscription(using.id), Option.some({ ...using, version }))
    const same = yield* storage.updateConnection(created.id, (current) => current)
    assert.deepStrictEqual(same, Option.some({ connection: after, subscriptions: [] }))
    assert.deepStrictEqual(yield* storage.getConnection(created.id), Option.some(after))
  }),
  "changes of a connection that are made at once all happen": Effect.gen(function*() {
    const { connection, storage } = yield* make
    const created = yield* connection()
    const rename = storage.updateConnection(created.id, (current) => ({ ...current, name: `${current.name}x` }))
    yield* Effect.all([rename, rename, rename], { concurrency: "unbounded" })
    const found = yield* Effect.fromOption(yield* storage.getConnection(created.id))
    assert.deepStrictEqual(found, { ...created, name: "axxx", version: 4 })
  }),
  "a claim under the version before a connection's change tells that version, so that nothing is begun by it": Effect
    .gen(
      function*() {
        const { claim, owner, storage, subscription } = yield* routed(2)
        const created = yield* Effect.flatMap(storage.now, Id.connectionId)
        const now = yield* storage.now
        yield* storage.createConnection({
          id: created,
          tenantId: subscription.tenantId,
          providerId: subscription.providerId,
          name: "a",
          config: {},
          version: 1,
          createdAtMs: now,
          updatedAtMs: now
        })
        yield* storage.updateSubscription(subscription.id, (stored) => ({ ...stored, connectionId: created }))
        const [before] = (yield* claim(owner, subscription.id, { free: 1 })).claimed
        const { subscriptions } = yield* Effect.fromOption(yield* storage.updateConnection(created, other))
        const [after] = (yield* claim(owner, subscription.id, { free: 1 })).claimed
        const bound = subscriptions[0]?.version ?? 0
        assert.isBelow(before?.subscriptionVersion ?? bound, bound)
        assert.strictEqual(after?.subscriptionVersion, bound)
      }
    ),
  "with another connection, or a changed one, a subscription begins as one of which nothing has failed": Effect.gen(
    function*() {
      const { claim, ids, owner, storage, subscription } = yield* routed(1)
      const [id] = ids
      if (id === undefined) return yield* Effect.die("nothing was routed")
      const now = yield* storage.now
      const connectionId = yield* Id.connectionId(now)
      const { providerId, tenantId } = subscription
      const times = { createdAtMs: now, updatedAtMs: now }
      yield* storage.createConnection({
        id: connectionId,
        tenantId,
        providerId,
        name: "a",
        config: {},
        version: 1,
        ...times
      })
      const failing = Effect.map(storage.health([subscription.id]), (found) => found.length)
      const fail = (attemptCount: number) =>
        Effect.gen(function*() {
          yield* claim(owner, subscription.id, { free: 1 })
          const failed = outcome(owner, id, retryAt(yield* storage.now), { attemptCount })
          yield* storage.record([{ ...failed, sign: "failed" }])
          assert.strictEqual(yield* failing, 1)
        })
      yield* fail(0)
      yield* storage.updateSubscription(subscription.id, (stored) => ({ ...stored, connectionId }))
      assert.strictEqual(yield* failing, 0)
      yield* fail(1)
      yield* storage.updateConnection(connectionId, (current) => ({ ...current, name: "b" }))
      assert.strictEqual(yield* failing, 1)
      yield* storage.updateConnection(connectionId, other)
      assert.strictEqual(yield* failing, 0)
    }
  ),
  "a connection that subscriptions use is not deleted; a deleted subscription uses none": Effect.gen(function*() {
    const { connection, storage, subscription } = yield* make
    const created = yield* connection()
    const [on, off] = [
      yield* subscription({ connectionId: created.id }),
      yield* subscription({ connectionId: created.id, enabled: false })
    ]
    for (const one of [on, off]) yield* storage.createSubscription(one)
    assert.deepStrictEqual(yield* storage.deleteConnection(created.id), Option.some(2))
    yield* storage.deleteSubscription(on.id)
    assert.deepStrictEqual(yield* storage.deleteConnection(created.id), Option.some(1))
    assert.deepStrictEqual(yield* storage.getConnection(created.id), Option.some(created))
    yield* storage.deleteSubscription(off.id)
    assert.deepStrictEqual(yield* storage.deleteConnection(created.id), Option.some(0))
    assert.deepStrictEqual(yield* storage.getConnection(created.id), Option.none())
  }),
  "a connection that is not there is neither found nor changed nor deleted": Effect.gen(function*() {
    const { storage } = yield* make
    const id = yield* Effect.flatMap(storage.now, Id.connectionId)
    const change = (): Connection => assert.fail("there is nothing to change")
    assert.deepStrictEqual(yield* storage.getConnection(id), Option.none())
    assert.deepStrictEqual(yield* storage.holdConnection(id), Option.none())
    assert.deepStrictEqual(yield* storage.updateConnection(id, change), Option.none())
    assert.deepStrictEqual(yield* storage.deleteConnection(id), Option.none())
  }),
  "however a deletion and a new subscription meet, no subscription is left without its connection": Effect.gen(
    function*() {
      const { connection, storage, subscription } = yield* make
      for (let n = 0; n < 5; n++) {
        const created = yield* connection()
        const using = yield* subscription({ connectionId: created.id })
        const subscribing = yield* Effect.forkChild(storage.atomically(Effect.gen(function*() {
          const held = yield* storage.holdConnection(created.id)
          if (Option.isSome(held)) yield* storage.createSubscription(using)
        })))
        yield* storage.deleteConnection(created.id)
        yield* Fiber.join(subscribing)
        const kept = yield* storage.getConnection(created.id)
        assert.strictEqual(Option.isSome(yield* storage.getSubscription(using.id)), Option.isSome(kept))
      }
    }
  )
}
