import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect, Layer } from "effect"
import { defaults } from "../../src/Limits.ts"
import { type DeliveryFilter, Storage, type WalkPage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as PgWalking from "../../src/storage/PgWalking.ts"
import * as Postgres from "../support/postgres.ts"
import { combinations, connectionId, explained, fill, leave, subscriptionId } from "./lists.ts"
import { eventually, storage } from "./support.ts"

const isLong = process.env["HOOKLINE_LONG"] === "1"

/** Partitions that a walk takes a row or two of to find where it begins. */
const slack = 50

/** Explains each nth combination, and fails for those that scan, or look at more than their walks may. */
const check = Effect.fnUntraced(function*(look: number, every: number) {
  const wrong: Array<string> = []
  const times: Array<{ readonly name: string; readonly ms: number; readonly rows: number }> = []
  const all = yield* combinations
  assert.isAbove(all.length, 2000)
  for (const { name, walks } of all.filter((_, i) => i % every === 0)) {
    const walked = walks({ cursor: undefined, limit: 20, look })
    const { ms, rows, scanned } = yield* explained(walked)
    times.push({ name, ms, rows })
    if (scanned.length > 0) wrong.push(`${name}: scans ${scanned.join(", ")}`)
    if (rows > walked.length * (look + slack)) wrong.push(`${name}: looks at ${rows} rows`)
  }
  assert.deepStrictEqual(wrong, [])
  return times
})

describe("lists on PostgreSQL", () => {
  it.live(
    "combinations of all filters read along an index, and no more than a walk",
    () =>
      Effect.gen(function*() {
        yield* fill(20_000)
        // A prime, so that each value of each filter is among them; all of them are explained below.
        yield* check(200, 7)
      }).pipe(Effect.provide(storage)),
    240_000
  )

  it.live("so they do where the server knows nothing of what is stored", () =>
    Effect.gen(function*() {
      yield* fill(20_000)
      const sql = yield* PgClient.PgClient
      yield* sql.unsafe("delete from pg_statistic where starelid::regclass::text like 'hookline.%'").unprepared
      const some = (yield* combinations).filter((_, i) => i % 17 === 0)
      for (const { name, walks } of some) {
        const walked = walks({ cursor: undefined, limit: 20, look: 200 })
        const { rows, scanned } = yield* explained(walked)
        assert.deepStrictEqual(scanned, [], name)
        assert.isAtMost(rows, walked.length * (200 + slack), name)
      }
    }).pipe(Effect.provide(storage)), 120_000)

  it.live("short pages lead to everything that fits, each once and in order", () =>
    Effect.gen(function*() {
      yield* fill(3000)
      yield* lead([
        [{}, "true"],
        [{ tenantId: "t3", eventId: "a.e3" }, "tenant_id = 't3' and event_id = 'a.e3'"],
        [{ eventId: "rare.event" }, "event_id = 'rare.event'"],
        [{ tenantId: "rare", status: "success" }, "tenant_id = 'rare' and status = 'success'"],
        [{ status: "failed" }, "status = 'failed'"],
        [{ status: "retrying" }, "status = 'retrying'"],
        [{ status: "pending", eventId: "a.e1" }, "status = 'pending' and event_id = 'a.e1'"],
        [{ reason: "exhausted" }, "reason = 'exhausted'"],
        [{ reason: "skipped", tenantId: "t2" }, "reason = 'skipped' and tenant_id = 't2'"],
        [{ subscriptionId: subscriptionId(3), tenantId: "t3" }, "subscription_id = id(1, 3) and tenant_id = 't3'"],
        // Of another tenant's subscription, which has one of its deliveries all the same.
        [{ subscriptionId: subscriptionId(7), tenantId: "rare" }, "subscription_id = id(1, 7) and tenant_id = 'rare'"]
      ])
    }).pipe(Effect.provide(storage)), 120_000)

  it.live(
    "what housekeeping has yet to end is listed as it counts, and within a walk, be it few or many",
    () =>
      Effect.gen(function*() {
        yield* fill(20_000)
        const filters: ReadonlyArray<readonly [DeliveryFilter, string]> = [
          [{}, "true"],
          [{ tenantId: "t3" }, "tenant_id = 't3'"],
          [{ eventId: "a.e3" }, "event_id = 'a.e3'"],
          [{ tenantId: "t4", eventId: "a.e4" }, "tenant_id = 't4' and event_id = 'a.e4'"],
          [{ subscriptionId: subscriptionId(3) }, "subscription_id = id(1, 3)"],
          [{ subscriptionId: subscriptionId(4), tenantId: "t4" }, "subscription_id = id(1, 4) and tenant_id = 't4'"],
          [{ subscriptionId: subscriptionId(4), tenantId: "t3" }, "false"]
        ]
        for (const [subscriptions, every] of [[5, 40], [300, 3]] as const) {
          yield* leave(subscriptions, every)
          const ended = filters.flatMap(([filter, condition]): typeof filters => [
            [{ ...filter, status: "failed" }, `${condition} and status = 'failed'`],
            [{ ...filter, reason: "expired" }, `${condition} and reason = 'expired'`],
            [{ ...filter, status: "cancelled" }, `${condition} and status = 'cancelled'`],
            [{ ...filter, reason: "deleted" }, `${condition} and reason = 'deleted'`]
          ])
          yield* lead(ended, { limit: 50, look: 200 })
          const sql = yield* PgClient.PgClient
          for (const [filter] of ended) {
            const walks = PgWalking.deliveries(sql, filter, { cursor: undefined, limit: 20, look: 200 })
            const { rows, scanned } = yield* explained(walks)
            const name = JSON.stringify({ subscriptions, filter })
            assert.deepStrictEqual(scanned, [], name)
            // What is left is looked at first, and once more among all that waits where it is not few.
            assert.isAtMost(rows, (walks.length + 1) * (200 + slack), name)
          }
        }
        // Once housekeeping has been there, the same is found in history, and nothing is left to be looked for.
        const { expire, maintain } = yield* Storage
        const house = {
          partitionsAheadDays: 1,
          heldMaxAgeMs: 1e9,
          broadcastKeptMs: 1e9,
          replaysKeptMs: 1e9,
          rows: 1000
        }
        for (const round of [maintain(house), expire(1000)]) yield* Effect.repeat(round, { while: (more) => more })
        const sql = yield* PgClient.PgClient
        assert.deepStrictEqual(
          yield* sql`select 1 from hookline.subscriptions where deleted_at is not null and not ended`,
          []
        )
        const page = { limit: 100, look: 2000 }
        yield* lead(
          [[{ status: "cancelled" }, "status = 'cancelled'"], [{ status: "failed" }, "status = 'failed'"]],
          page
        )
      }).pipe(Effect.provide(storage)),
    240_000
  )

  it.live("keys and subscriptions are listed by index, whatever they are asked for by", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const client = PgClient.layer({ url })
      const layer = PgStorage.layer().pipe(Layer.provideMerge(client))
      yield* Effect.provide(fill(100_000), layer)
      // A session's statistics are complete when it has ended: each step has sessions of its own.
      const before = yield* Effect.provide(read, client)
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        for (const cursor of [undefined, "000000000000"]) {
          for (const tenantId of ["t3", "rare", undefined]) {
            const tenant = tenantId === undefined ? {} : { tenantId }
            const id = (prefix: string) => cursor === undefined ? cursor : `${prefix}_0190${"0".repeat(28)}`
            yield* storage.listKeys(tenant, { cursor: id("key"), limit: 20 })
            for (const enabled of [{}, { enabled: true }, { enabled: false }]) {
              for (const connection of [{}, { connectionId: connectionId(3) }]) {
                const filter = { ...tenant, ...enabled, ...connection }
                yield* storage.listSubscriptions(filter, { cursor: id("sub"), limit: 20 })
              }
            }
          }
        }
        yield* storage.blockedKeys(subscriptionId(3), { cursor: undefined, limit: 20, counted: 100 })
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(yield* Effect.provide(read, client), before)
    }), 120_000)

  if (isLong) {
    it.live("among two million deliveries too, in times that are printed", () =>
      Effect.gen(function*() {
        yield* fill(2_000_000)
        const times = yield* check(defaults.listLook, 1)
        const slowest = times.toSorted((a, b) => b.ms - a.ms).slice(0, 20)
        for (const { ms, name, rows } of slowest) yield* Console.log(`${ms.toFixed(2)} ms, ${rows} rows: ${name}`)
      }).pipe(Effect.provide(storage)), 1_800_000)
  }
})

/** Checks that pages lead to what each condition in SQL holds for, and that a list begins with it. */
const lead = Effect.fnUntraced(function*(
  filters: ReadonlyArray<readonly [DeliveryFilter, condition: string]>,
  by: { readonly limit: number; readonly look: number } = { limit: 7, look: 50 }
) {
  const sql = yield* PgClient.PgClient
  const storage = yield* Storage
  for (const [filter, condition] of filters) {
    const expected = yield* sql<{ readonly id: string }>`select replace(id::text, '-', '') as id from (
      select id, tenant_id, event_id, subscription_id, status, reason from hookline.deliveries
      union all select w.id, w.tenant_id, w.event_id, w.subscription_id,
        case when s.deleted_at is not null then 'cancelled' when w.expires_at <= now() then 'failed'
          when w.attempts > 0 then 'retrying' else 'pending' end,
        case when s.deleted_at is not null then 'deleted' when w.expires_at <= now() then 'expired' end
        from hookline.work w join hookline.subscriptions s on s.id = w.subscription_id
    ) d where ${sql.literal(condition)} order by id desc`
    const seen: Array<string> = []
    let page: WalkPage = { cursor: undefined, ...by }
    while (true) {
      const { items, next } = yield* storage.walkDeliveries(filter, page)
      assert.isAtMost(items.length, by.limit)
      seen.push(...items.map(({ id }) => id.slice(4)))
      if (next === undefined) break
      page = { ...page, cursor: next }
    }
    assert.deepStrictEqual(seen, expected.map(({ id }) => id), JSON.stringify(filter))
    const first = yield* storage.listDeliveries(filter, { cursor: undefined, limit: 10 })
    assert.deepStrictEqual(first.map(({ id }) => id.slice(4)), seen.slice(0, 10))
  }
})

/** The rows of what is listed that were read by sequential scans, once the statistics are complete. */
const read = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  yield* eventually(
    "the statistics are complete",
    Effect.map(
      sql`select 1 from pg_stat_user_tables where relid = 'hookline.keys'::regclass and n_tup_ins >= 10000`,
      (rows) => rows.length > 0
    )
  )
  return yield* sql<
    { readonly name: string; readonly read: number }
  >`select relname as name, seq_tup_read::float8 as read
    from pg_stat_user_tables where relid in ('hookline.keys'::regclass, 'hookline.subscriptions'::regclass,
      'hookline.work'::regclass) order by 1`
})
