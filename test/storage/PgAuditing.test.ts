import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import { storage as layer, subscribe } from "./support.ts"

const entry = Effect.gen(function*() {
  const storage = yield* Storage
  return {
    id: yield* Id.auditId(yield* storage.now),
    tenantId: "default",
    actor: { kind: "hookline", id: undefined, name: undefined },
    action: "subscription.update",
    resourceId: "a",
    before: undefined,
    after: undefined
  } as const
})

describe("the audit log on PostgreSQL", () => {
  it.live("has no entry of a change that was rolled back, and no change is kept whose entry can't be written", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const id = yield* subscribe()
      const rename = (name: string) => storage.updateSubscription(id, (current) => ({ ...current, name }))
      const nameOf = Effect.map(storage.getSubscription(id), (found) => Option.getOrUndefined(found)?.name)
      const name = yield* nameOf
      const made = yield* entry
      const all = storage.listAudit({}, { cursor: undefined, limit: 10 })

      const fails = Effect.andThen(rename("never"), Effect.andThen(storage.audit(made), Effect.fail("no" as const)))
      assert.deepStrictEqual(yield* Effect.flip(storage.atomically(fails)), "no")
      assert.deepStrictEqual([yield* nameOf, yield* all], [name, []])

      yield* storage.audit(made)
      const repeated = yield* Effect.exit(storage.atomically(Effect.andThen(rename("never"), storage.audit(made))))
      assert.isTrue(Exit.isFailure(repeated))
      assert.deepStrictEqual([yield* nameOf, yield* all], [name, [made]])
    }).pipe(Effect.provide(layer)))

  it.live("is only ever added to", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const sql = yield* PgClient.PgClient
      yield* storage.audit(yield* entry)
      const attempts = [
        sql`update hookline.audit set action = 'nothing'`,
        sql`delete from hookline.audit`,
        sql`truncate hookline.audit`
      ]
      for (const attempt of attempts) {
        const error = yield* Effect.flip(attempt)
        assert.include(String(error.reason.cause), "hookline.audit is only ever added to")
      }
    }).pipe(Effect.provide(layer)))
})
