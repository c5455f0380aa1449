/**
 * The storage's contract on API keys and on the audit log.
 */
import { assert } from "@effect/vitest"
import { Effect, Option } from "effect"
import type { AuditEntry } from "../AuditEntry.ts"
import * as Id from "../Id.ts"
import type { Key } from "../Key.ts"
import { type Cases, make } from "./StorageSuiteWorld.ts"

/** Keys of one tenant, so that cases don't see each other's. */
const keys = Effect.gen(function*() {
  const world = yield* make
  const { storage, tenantId } = world
  const nowMs = Math.floor(yield* storage.now)
  const key = (n: number, over: Partial<Key> = {}) =>
    Effect.gen(function*() {
      const made: Key = {
        id: yield* Id.keyId(nowMs + n),
        tenantId,
        name: `key ${n}`,
        scopes: ["read", "emit"],
        prefix: "hk_abcdefgh",
        digest: `${tenantId} ${n}`,
        expiresAtMs: nowMs + 1000,
        revokedAtMs: undefined,
        lastUsedAtMs: undefined,
        createdAtMs: nowMs,
        ...over
      }
      yield* storage.createKey(made)
      return made
    })
  return { ...world, key, nowMs }
})

const entries = Effect.gen(function*() {
  const world = yield* make
  const { storage, tenantId } = world
  const nowMs = yield* storage.now
  const entry = (n: number, over: Partial<AuditEntry> = {}) =>
    Effect.map(Id.auditId(nowMs + n), (id): AuditEntry => ({
      id,
      tenantId,
      actor: { kind: "key", id: `key_${n}`, name: `key ${n}` },
      action: "subscription.update",
      resourceId: `sub_${tenantId}`,
      before: { name: "a" },
      after: { name: "b", config: { deep: [1, null] } },
      ...over
    }))
  const all = (filter = {}) => storage.listAudit({ tenantId, ...filter }, { cursor: undefined, limit: 100 })
  return { ...world, entry, all }
})

/** @category constants @since 0.1.0 */
export const keeping: Cases = {
  "a key is found by its digest and by its id, and nothing else is": Effect.gen(function*() {
    const { key, storage, tenantId } = yield* keys
    const made = yield* key(1)
    assert.deepStrictEqual(yield* storage.findKey(made.digest), Option.some(made))
    assert.deepStrictEqual(yield* storage.getKey(made.id), Option.some(made))
    assert.deepStrictEqual(yield* storage.findKey(`${tenantId} 2`), Option.none())
  }),
  "a key is revoked once, and is kept": Effect.gen(function*() {
    const { key, nowMs, storage } = yield* keys
    const { digest, id } = yield* key(1, { expiresAtMs: undefined })
    assert.isTrue(yield* storage.revokeKey(id, nowMs + 5))
    assert.isFalse(yield* storage.revokeKey(id, nowMs + 9))
    const found = Option.getOrUndefined(yield* storage.findKey(digest))
    assert.deepInclude(found, { revokedAtMs: nowMs + 5, expiresAtMs: undefined })
  }),
  "when keys were used last is noted, and never goes back": Effect.gen(function*() {
    const { key, nowMs, storage } = yield* keys
    const [one, two] = [yield* key(1), yield* key(2)]
    yield* storage.useKeys([{ id: one.id, atMs: nowMs + 7 }])
    yield* storage.useKeys([{ id: one.id, atMs: nowMs + 3 }, { id: two.id, atMs: nowMs + 4 }])
    const usedOf = (id: Id.KeyId) =>
      Effect.map(storage.getKey(id), (found) => Option.getOrUndefined(found)?.lastUsedAtMs)
    assert.deepStrictEqual([yield* usedOf(one.id), yield* usedOf(two.id)], [nowMs + 7, nowMs + 4])
  }),
  "keys are listed newest first, page by page, all or a tenant's": Effect.gen(function*() {
    const { key, storage, tenantId } = yield* keys
    const made = [yield* key(1), yield* key(2), yield* key(3, { tenantId: `${tenantId}-other` })]
    const list = (cursor: string | undefined, limit: number) =>
      Effect.map(storage.listKeys({ tenantId }, { cursor, limit }), (found) => found.map(({ id }) => id))
    assert.deepStrictEqual(yield* list(undefined, 9), [made[1]?.id, made[0]?.id])
    assert.deepStrictEqual(yield* list(undefined, 1), [made[1]?.id])
    assert.deepStrictEqual(yield* list(made[1]?.id, 9), [made[0]?.id])
    const everybody = yield* storage.listKeys({}, { cursor: undefined, limit: 1000 })
    for (const { id } of made) assert.include(everybody.map((one) => one.id), id)
  }),
  "entries of the audit log are listed newest first as they were written, by tenant, resource, actor and action": Effect
    .gen(function*() {
      const { all, entry, storage, tenantId } = yield* entries
      const made = [
        yield* entry(1, { before: undefined, action: "subscription.create" }),
        yield* entry(2, { actor: { kind: "hookline", id: undefined, name: undefined }, after: undefined }),
        yield* entry(3, { resourceId: "sub_other" })
      ]
      for (const one of made) yield* storage.audit(one)
      assert.deepStrictEqual(yield* all(), made.toReversed())
      assert.deepStrictEqual(yield* all({ resourceId: "sub_other" }), made.slice(2))
      assert.deepStrictEqual(yield* all({ actorId: "key_1" }), made.slice(0, 1))
      assert.deepStrictEqual(yield* all({ action: "subscription.create" }), made.slice(0, 1))
      const [, second] = made
      const later = yield* storage.listAudit({ tenantId }, { cursor: second?.id, limit: 1 })
      assert.deepStrictEqual(later, made.slice(0, 1))
    }),
  "an entry is written with the change that it tells of": Effect.gen(function*() {
    const { all, entry, storage, subscription } = yield* entries
    const made = yield* subscription()
    yield* storage.createSubscription(made)
    const { id } = made
    const change = (name: string) => storage.updateSubscription(id, (current) => ({ ...current, name }))
    const nameOf = Effect.map(storage.getSubscription(id), (found) => Option.getOrUndefined(found)?.name)
    const told = yield* entry(1)
    yield* storage.atomically(Effect.andThen(change("told"), storage.audit(told)))
    assert.deepStrictEqual([yield* nameOf, yield* all()], ["told", [told]])
  })
}
