import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random } from "effect"
import * as Id from "../../src/Id.ts"
import { allTenants } from "../../src/Message.ts"
import type { ReplayScope } from "../../src/Replay.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgReplaying from "../../src/storage/PgReplaying.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import { eventually, storage as layer, subscribe } from "./support.ts"

const tenantId = "default"
const eventId = "incident.incident.created"
const options = { rows: 100, look: 1000, waiting: 1_000_000, intervalMs: 0 }

/**
 * Puts messages and finished deliveries into the database, made over the last day, each `every`th of them failed; one in
 * `spread` is of the subscription, of our tenant and our event, the others of as many others.
 */
const fill = Effect.fnUntraced(function*(count: number, every: number, spread = 1) {
  const sql = yield* PgClient.PgClient
  const storage = yield* Storage
  const subscriptionId = yield* subscribe()
  const now = Math.floor(yield* storage.now)
  const uuid = (middle: string) =>
    sql.literal(`(lpad(to_hex((${now} - 86400000 + g::bigint * 86400000 / ${count} - 1000)::bigint), 12, '0')
      || '${middle}' || lpad(to_hex(g), 12, '0'))::uuid`)
  const share = sql.literal(`(g / ${every} % ${spread})`)
  yield* sql`insert into hookline.messages (id, seq, event_id, tenant_id, payload)
    select ${uuid("70008000")}, g, ${eventId}, ${tenantId}, '{}' from generate_series(1, ${count}::int) g`
  yield* sql`insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, status, reason,
      attempts, retry_base)
    select ${uuid("70018000")}, ${uuid("70008000")}, g,
      case when ${share} = 0 then ${Id.toUuid(subscriptionId)} else lpad(${share}::text, 32, '0') end::uuid,
      ${tenantId} || case when ${share} = 0 then '' else ${share}::text end,
      ${eventId} || case when ${share} = 0 then '' else ${share}::text end,
      case when g % ${every}::int = 0 then 'failed' else 'success' end,
      case when g % ${every}::int = 0 then 'exhausted' end, 1, 0
    from generate_series(1, ${count}::int) g`
  yield* sql`analyze hookline.messages, hookline.deliveries, hookline.work`
  return subscriptionId
})

const create = Effect.fnUntraced(function*(filter: ReplayScope["filter"]) {
  const storage = yield* Storage
  const id = yield* Id.replayId(yield* storage.now)
  return yield* Effect.flatMap(
    storage.createReplay({ id, tenantId: allTenants, filter, freshWebhookId: false }, 10),
    Effect.fromOption
  )
})

const get = (id: Id.ReplayId) =>
  Effect.flatMap(Storage, (storage) => Effect.flatMap(storage.getReplay(id), Effect.fromOption))

const scanned = /Seq Scan on (hookline\.)?deliveries/u

describe("replays on PostgreSQL", () => {
  it.live(
    "whatever is meant, the next deliveries are found by an index that has all of it",
    () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const subscriptionId = yield* fill(60_000, 20, 25)
        const messageId = yield* Id.messageId(1)
        const scopes: ReadonlyArray<readonly [filter: Omit<ReplayScope["filter"], "status">, tenantId: string]> = [
          [{ subscriptionId }, allTenants],
          [{ subscriptionId }, tenantId],
          [{ eventId }, allTenants],
          [{ eventId }, tenantId],
          [{ messageId }, allTenants],
          [{ messageId }, tenantId],
          [{ fromMs: 1 }, allTenants],
          [{ fromMs: 1, toMs: Date.UTC(2100, 0) }, tenantId]
        ]
        for (const [filter, of] of scopes) {
          for (const status of ["failed", "cancelled", "success"] as const) {
            const scope = { tenantId: of, filter: { ...filter, status } }
            const way = yield* PgReplaying.wayOf(sql, scope)
            const rows = yield* sql.withTransaction(Effect.andThen(
              sql`select ${PgReplaying.sorts(sql, PgReplaying.isSorted(scope))}`,
              sql<{ readonly "QUERY PLAN": string }>`explain with ${
                PgReplaying.looked(sql, scope, { way, after: "0".repeat(32), until: "f".repeat(32), look: 5000 })
              } select * from looked`
            ))
            const plan = rows.map((row) => row["QUERY PLAN"]).join("\n")
            // One message's deliveries are sorted; all others come in the order of an index.
            if (filter.messageId !== undefined) {
              assert.match(plan, /message_id_id_idx/u, plan)
              continue
            }
            assert.notMatch(plan, scanned, `${JSON.stringify(scope)}\n${plan}`)
            assert.notMatch(plan, /Sort  \(cost/u, `${JSON.stringify(scope)}\n${plan}`)
            if (status !== "success") assert.notMatch(plan, /Filter: /u, `${JSON.stringify(scope)}\n${plan}`)
            assert.notMatch(
              plan,
              /Filter: .*(subscription_id|tenant_id|event_id)/u,
              `${JSON.stringify(scope)}\n${plan}`
            )
          }
        }
      }).pipe(Effect.provide(layer)),
    60_000
  )

  it.live("a replay of a few among 100,000 reads no history from end to end", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const client = PgClient.layer({ url })
      const database = Effect.provide(PgStorage.layer())
      const subscriptionId = yield* fill(100_000, 100).pipe(database, Effect.provide(client))
      // A session's statistics are complete when it has ended: each step has sessions of its own.
      const read = (deleted: number) =>
        Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const sums = sql<{ readonly deleted: number; readonly read: number }>`
            select coalesce(sum(n_tup_del), 0)::float8 as deleted, coalesce(sum(seq_tup_read), 0)::float8 as read
            from pg_stat_user_tables where schemaname = 'hookline' and relname ~ '^(deliveries|messages|routings|attempts)_'`
          yield* eventually("the statistics are complete", Effect.map(sums, ([row]) => (row?.deleted ?? 0) >= deleted))
          return (yield* sums)[0]?.read
        })
      const before = yield* Effect.provide(read(0), client)
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        const { id } = yield* create({ status: "failed", subscriptionId })
        assert.deepStrictEqual(
          yield* storage.countReplay({ tenantId, filter: { status: "failed", subscriptionId } }, 1000),
          { matched: 1000, isAtLeast: true }
        )
        while ((yield* get(id)).state === "running") yield* storage.replaySome(options)
        assert.deepInclude(yield* get(id), { state: "completed", replayed: 1000, skipped: 0 })
      }).pipe(database, Effect.provide(client))
      assert.strictEqual(yield* Effect.provide(read(1000), client), before)
    }), 60_000)

  it.live(
    "replays that are about the same deliveries, worked by many at once, make each due once",
    () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const storage = yield* Storage
        const subscriptionId = yield* fill(600, 2)
        const made = yield* Effect.forEach(
          [
            { status: "failed", subscriptionId },
            { status: "failed", eventId },
            { status: "failed", fromMs: 1 }
          ] as const,
          create
        )
        const work = storage.replaySome({ ...options, rows: 7 })
        yield* Effect.repeat(work, {
          until: (found) => found._tag === "Idle" && found.nextMs === undefined
        }).pipe(Effect.replicateEffect(4, { concurrency: 4 }))
        const found = yield* Effect.forEach(made, ({ id }) => get(id))
        assert.deepStrictEqual(found.map(({ state }) => state), ["completed", "completed", "completed"])
        assert.strictEqual(found.reduce((sum, { replayed }) => sum + replayed, 0), 300)
        const [row] = yield* sql<{ readonly work: number; readonly left: number }>`
        select (select count(*)::int from hookline.work) as work, count(*)::int as left from hookline.deliveries`
        assert.deepStrictEqual(row, { work: 300, left: 300 })
      }).pipe(Effect.provide(layer)),
    60_000
  )

  it.live("a worker that is cut off anywhere loses and doubles nothing", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const subscriptionId = yield* fill(800, 2)
      const { id } = yield* create({ status: "failed", subscriptionId })
      let cuts = 0
      for (let n = 0; (yield* get(id)).state === "running"; n++) {
        const worker = yield* Effect.forkChild(storage.replaySome({ ...options, rows: 20 }), { startImmediately: true })
        // Every third is left alone, so that it comes to an end.
        if (n % 3 < 2) {
          yield* Effect.sleep(yield* Random.nextIntBetween(0, 12))
          if (worker.pollUnsafe() === undefined) cuts++
          yield* Fiber.interrupt(worker)
        } else yield* Fiber.join(worker)
      }
      assert.isAbove(cuts, 0)
      assert.deepInclude(yield* get(id), { state: "completed", replayed: 400, skipped: 0 })
      const [row] = yield* sql<{ readonly work: number; readonly left: number }>`
        select (select count(*)::int from hookline.work where replay_id = ${Id.toUuid(id)}::uuid) as work,
          (select count(*)::int from hookline.deliveries where status = 'failed') as left`
      assert.deepStrictEqual(row, { work: 400, left: 0 })
    }).pipe(Effect.provide(layer)), 60_000)

  it.live("deliveries whose message is gone are skipped and counted", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const subscriptionId = yield* fill(4, 1)
      yield* sql`delete from hookline.messages where seq > 3`
      const { id } = yield* create({ status: "failed", subscriptionId })
      yield* storage.replaySome(options)
      assert.deepInclude(yield* get(id), { state: "completed", replayed: 3, skipped: 1 })
    }).pipe(Effect.provide(layer)), 60_000)
})
