import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Storage } from "../../src/Storage.ts"
import { group, storage as layer } from "./support.ts"

const routedBefore = 20_000

const Plan = Schema.Tuple([Schema.Struct({ Plan: Schema.Struct({ "Shared Hit Blocks": Schema.Int }) })])

describe("a queue that very much has gone through", () => {
  it.live("is read from what waits, and not through all that has gone, once it has been cleared", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      yield* sql`insert into hookline.inbox (message_id, worker_group, slot, tenant_id, size)
        select gen_random_uuid(), ${group.workerGroup}, 0, 'default', 2 from generate_series(1, ${
        routedBefore + 1
      }::int)`
      yield* sql`delete from hookline.inbox where seq < (select max(seq) from hookline.inbox)`
      // Told at once, instead of within a second.
      yield* sql`select pg_stat_force_next_flush()`
      yield* sql`select 1`
      const pagesRead = Effect.gen(function*() {
        const [row] = yield* sql<{ readonly "QUERY PLAN": unknown }>`explain (analyze, buffers, format json)
          select seq from hookline.inbox where worker_group = ${group.workerGroup} and set_aside_at is null
          order by worker_group, tenant_id, seq limit 1`
        const [{ Plan: plan }] = yield* Schema.decodeUnknownEffect(Plan)(row?.["QUERY PLAN"])
        return plan["Shared Hit Blocks"]
      })
      yield* pagesRead
      assert.isAbove(yield* pagesRead, 50)
      assert.strictEqual(yield* storage.clear(2 * routedBefore), 0)
      assert.strictEqual(yield* storage.clear(routedBefore / 2), 1)
      assert.isBelow(yield* pagesRead, 10)
    }).pipe(Effect.provide(layer)))
})
