import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Deadlines from "../../src/Deadlines.ts"
import * as Id from "../../src/Id.ts"
import { defaults } from "../../src/Limits.ts"
import { type Completed, type Dispatching, type Owner, Storage } from "../../src/Storage.ts"
import * as PgAppend from "../../src/storage/PgAppend.ts"
import * as PgDispatching from "../../src/storage/PgDispatching.ts"
import * as PgErrors from "../../src/storage/PgErrors.ts"
import * as PgOwnership from "../../src/storage/PgOwnership.ts"
import * as PgPool from "../../src/storage/PgPool.ts"
import { outcome, retryAt, routing, success } from "../../src/testing/StorageSuiteWorld.ts"
import { until } from "../support/process.ts"
import { eventId, group, message, storage as layer, subscribe } from "./support.ts"

/** What waits, and what has been done, where tables have grown. */
const grown = 20_000

/** Messages that one go of the pump is given. */
const few = 5

/** The rows that a statement may look at for a few. */
const enough = 400

/** An ordered subscription with its own group and its owner, and one session of those that deliver. */
const ordered = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  const storage = yield* Storage
  const id = yield* subscribe({ ordered: true })
  const own = { workerGroup: `subscription.${id}`, partition: 0 }
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, own, 60_000)
  const session = yield* PgPool.make(sql, { maxConnections: 1, multiplex: false, startupParameters: PgPool.pump })
  return { sql, storage, id, own, owner, session, pump: PgDispatching.make(session, PgErrors.engine) }
})

interface Case {
  readonly when: string
  readonly before: (sql: PgClient.PgClient, id: Id.SubscriptionId) => Effect.Effect<unknown, unknown, Storage>
}

const small: ReadonlyArray<Case> = [
  { when: "the tables were new", before: () => Effect.void },
  { when: "the tables were counted as empty", before: (sql) => count(sql, "vacuum analyze") },
  {
    when: "the tables were counted as empty beside many groups",
    before: (sql) => Effect.andThen(own(sql, undefined), count(sql, "vacuum analyze"))
  }
]

describe("the statement that stores messages", () => {
  for (const { before, when } of small) {
    it.live(`looks up the owners of their groups, and not all that there are, though it was planned when ${when}`, () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const storage = yield* Storage
        const runnerId = yield* Id.runnerId
        const { owner } = yield* storage.takeOver(runnerId, group, 60_000)
        yield* sql.unsafe("alter table hookline.owners set (autovacuum_enabled = off)").unprepared
        yield* before(sql, yield* subscribe())
        // As a caller's, with one session, so that what it planned is known.
        const session = yield* PgPool.make(sql, { maxConnections: 1, multiplex: false })
        const { append } = PgAppend.make(session, storage.now, yield* Deadlines.make, defaults.emitTimeoutMs)
        const stored = Effect.map(
          Effect.flatMap(Effect.replicateEffect(message(), few), (messages) => append(messages, runnerId)),
          (placed) => placed.map(({ epoch }) => epoch)
        )
        // PostgreSQL plans a statement for all of its parameters once it has been asked five times.
        yield* Effect.replicateEffect(stored, 6)
        yield* own(sql, runnerId)
        const read = Effect.gen(function*() {
          yield* session`select pg_stat_force_next_flush()`
          yield* session`select pg_stat_clear_snapshot()`
          const [row] = yield* session<{ readonly n: number }>`select (seq_tup_read + idx_tup_fetch)::int as n
            from pg_stat_user_tables where schemaname = 'hookline' and relname = 'owners'`
          return row?.n ?? 0
        })
        const from = yield* read
        assert.deepStrictEqual(yield* stored, Array.from({ length: few }, () => owner.epoch))
        assert.isAtMost((yield* read) - from, enough)
      }).pipe(Effect.provide(layer)))
  }
})

describe("the statements that deliver", () => {
  const cases: ReadonlyArray<Case> = [
    ...small,
    {
      // Claims that their owners have lost: suspects, of which there are hardly ever any.
      when: "all that waited had been claimed before, and was counted so",
      before: Effect.fnUntraced(function*(sql, id) {
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* grow(sql, id)
          yield* sql`update hookline.work set claims = 1`
          yield* sql`select pg_stat_force_next_flush()`
        }))
        yield* count(sql, "vacuum analyze", ["work"])
        yield* Effect.forEach(queues, (table) => sql`delete from ${sql("hookline")}.${sql(table)}`)
      })
    },
    {
      // Which history never is: its days are dropped.
      when: "what waits had been emptied, and was counted so with all of its pages",
      before: Effect.fnUntraced(function*(sql, id) {
        // By one session that tells of it at once: what is told later is taken from what has grown since.
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* grow(sql, id)
          yield* Effect.forEach(queues, (table) => sql`delete from ${sql("hookline")}.${sql(table)}`)
          yield* sql`select pg_stat_force_next_flush()`
        }))
        yield* count(sql, "vacuum (analyze, truncate off)", queues)
      })
    }
  ]
  for (const { before, when } of cases) {
    it.live(`look at what they are after, and not through all that there is, though they were planned when ${when}`, () =>
      Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const storage = yield* Storage
        const id = yield* subscribe()
        const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 60_000)
        // It would count them before the test does; of history, each partition.
        const tables = yield* sql<{ readonly name: string }>`
          select c.oid::regclass::text as name from pg_class c where c.relkind = 'r' and c.relnamespace = 'hookline'::regnamespace`
        yield* Effect.forEach(
          tables,
          ({ name }) => sql.unsafe(`alter table ${name} set (autovacuum_enabled = off)`).unprepared
        )
        yield* before(sql, id)
        // As the engine's, with one session, so that what it planned is known.
        const session = yield* PgPool.make(sql, { maxConnections: 1, multiplex: false, startupParameters: PgPool.pump })
        const pump = {
          ...PgDispatching.make(session, PgErrors.engine),
          ...PgOwnership.make(session, PgErrors.engine, (reading) => reading)
        }
        yield* deliverSome(storage, pump, owner, id, (_, effect) => effect)
        yield* grow(sql, id)
        // Told at once, instead of within a second.
        yield* sql`select pg_stat_force_next_flush()`
        yield* sql`select 1`
        const isFew = Effect.fnUntraced(function*() {
          const rows: Record<string, number> = {}
          yield* deliverSome(
            storage,
            pump,
            owner,
            id,
            (name, effect) =>
              Effect.map(counted(session, effect), ([answer, n]) => {
                rows[name] = n
                return answer
              })
          )
          assert.deepStrictEqual(Object.entries(rows).filter(([, n]) => n > enough), [])
          assert.strictEqual(Object.keys(rows).length, 11)
        })
        yield* isFew()
        // Another session that has grown some of them tells of that when it has been idle for a while.
        let recounted = 0
        yield* until(
          "all that has grown is counted",
          Effect.map(storage.recount(grown / 2), (count) => (recounted += count) > 5)
        )
        yield* isFew()
        yield* sql`select 1`
        yield* until("nothing is left to count", Effect.map(storage.recount(grown / 2), (count) => count === 0))
      }).pipe(Effect.provide(layer)))
  }

  const keys = [
    { what: "is parked behind the first of its key", key: "'k'", parked: true },
    { what: "is due with a key of its own", key: "n::text", parked: false }
  ]
  for (const { key, parked, what } of keys) {
    it.live(`claim from an ordered lane, and look at few, though all that waits ${what}`, () =>
      Effect.gen(function*() {
        const { id, owner, own, pump, session, sql, storage } = yield* ordered
        yield* sql.unsafe("alter table hookline.work set (autovacuum_enabled = off)").unprepared
        const claim = pump.claim({
          owners: [owner],
          lanes: [{ ...own, subscriptionId: id, free: 2 }],
          limit: 2,
          bytes: 1e6,
          suspectClaims: 3,
          suspectProviders: ["test.endpoint"]
        })
        // Planned while there was nothing.
        yield* claim
        const last = Id.toUuid(yield* Id.messageId(yield* storage.now))
        yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size,
            ordering_key, due_at)
          select overlay(${last} placing 'a' || lpad(to_hex(n), 7, '0') from 25)::uuid, ${last}::uuid, n, ${
          Id.toUuid(id)
        }::uuid, ${own.workerGroup}, 'default', ${eventId}, 2, ${sql.literal(key)},
            case when n > 1 and ${parked} then 'infinity' else now() end
          from generate_series(1, ${grown}) n`
        const [{ claimed }, n] = yield* counted(session, claim)
        assert.strictEqual(claimed.length, parked ? 1 : 2)
        assert.isAtMost(n, enough)
      }).pipe(Effect.provide(layer)))
  }

  it.live("look for what is parked in vain through a portion of its keys, and go on behind them", () =>
    Effect.gen(function*() {
      const { id, owner, own, pump, session, sql, storage } = yield* ordered
      const unpark = counted(session, pump.unpark([owner]))
      const last = Id.toUuid(yield* Id.messageId(yield* storage.now))
      const parked = (from: number, to: number, due: string) =>
        sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size,
            ordering_key, due_at)
          select gen_random_uuid(), ${last}::uuid, nextval('hookline.message_seq'), ${
          Id.toUuid(id)
        }::uuid, ${own.workerGroup}, 'default', ${eventId}, 2, lpad(n::text, 7, '0'), ${due}::timestamptz
          from generate_series(${from}::int, ${to}::int) n`
      const keys = 2 * defaults.unparkKeys
      yield* parked(1, keys - 1, "tomorrow")
      yield* parked(1, keys, "infinity")
      const [first, read] = yield* unpark
      assert.deepStrictEqual(first, [])
      assert.isAtMost(read, 4 * defaults.unparkKeys + enough)
      // The last, before which nothing waits.
      assert.deepStrictEqual((yield* unpark)[0], [own.workerGroup])
      // And from the first on.
      yield* sql`delete from hookline.work where ordering_key = lpad('1', 7, '0') and due_at < 'infinity'`
      assert.deepStrictEqual((yield* unpark)[0], [own.workerGroup])
    }).pipe(Effect.provide(layer)))
})

/** Has very many groups owned, by a runner or by nobody. */
const own = (sql: PgClient.PgClient, runnerId: Id.RunnerId | undefined) =>
  sql`insert into hookline.owners (worker_group, partition, epoch, runner_id, claimable_at)
    select ${runnerId ?? "other"}::text || n, 0, 1, ${runnerId === undefined ? null : Id.toUuid(runnerId)}::uuid, now()
    from generate_series(1, 10000) n`

/** The tables of what waits. */
const queues = ["inbox", "work"]

const all = [...queues, "messages", "routings", "deliveries", "attempts", "owners", "broadcasts"]

const count = (sql: PgClient.PgClient, command: string, tables = all) =>
  Effect.forEach(tables, (table) => sql.unsafe(`${command} hookline.${table}`).unprepared)

/** How many rows an effect's statements read of tables, whatever it did with them. */
const counted = <A, E, R>(session: PgClient.PgClient, effect: Effect.Effect<A, E, R>) => {
  const read = Effect.map(
    session<{ readonly n: number }>`
      select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int as n
      from pg_stat_xact_user_tables where schemaname = 'hookline'`,
    ([row]) => row?.n ?? 0
  )
  return session.withTransaction(Effect.gen(function*() {
    const before = yield* read
    const answer = yield* effect
    return [answer, (yield* read) - before] as const
  }))
}

/** Delivers a few messages with each of the pump's statements. */
const deliverSome = Effect.fnUntraced(function*(
  storage: Storage["Service"],
  pump: Pick<
    Dispatching,
    | "unrouted"
    | "route"
    | "complete"
    | "claim"
    | "load"
    | "held"
    | "release"
    | "record"
    | "due"
    | "recover"
    | "renewLease"
  >,
  owner: Owner,
  id: Id.SubscriptionId,
  watch: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, unknown, R>
) {
  yield* storage.append(yield* Effect.replicateEffect(message(), few))
  const { version } = yield* storage.subscriptions
  const { messages: found } = yield* watch("unrouted", pump.unrouted([owner], { messages: few, bytes: 1e6 }))
  assert.strictEqual(found.length, few)
  const now = yield* storage.now
  const deliveries = yield* Effect.forEach(found, (one, n) =>
    Effect.map(Id.deliveryId(now), (deliveryId) => ({
      id: deliveryId,
      messageId: one.id,
      subscriptionId: id,
      claimed: n < 2
    })))
  const routed = yield* watch("route", pump.route(routing(version, owner, found, deliveries)))
  assert.strictEqual(routed._tag, "Routed")
  yield* watch("due", pump.due({ aheadMs: 1000 }))
  const { claimed } = yield* watch(
    "claim",
    pump.claim({
      owners: [owner],
      lanes: [{ workerGroup: owner.workerGroup, subscriptionId: id, free: 2 }],
      limit: 2,
      bytes: 1e6,
      suspectClaims: 3,
      suspectProviders: ["test.endpoint"]
    })
  )
  assert.isAbove(claimed.length, 1)
  assert.strictEqual((yield* watch("load", pump.load(claimed))).messages.length, claimed.length)
  yield* watch("release", pump.release(owner, claimed.slice(0, 1).map(({ deliveryId }) => deliveryId)))
  const [first, second] = deliveries.map((one) => one.id)
  if (!first || !second) return assert.fail("two were claimed on their way")
  const outcomes = [outcome(owner, first, success), { ...outcome(owner, second, retryAt(0)), sign: "failed" as const }]
  assert.strictEqual((yield* watch("record", pump.record(outcomes))).length, 2)
  yield* storage.append(yield* Effect.replicateEffect(message(), few))
  const { messages: ahead } = yield* pump.unrouted([owner], { messages: few, bytes: 1e6 })
  const completed = ahead.map(({ id: messageId }): Completed => {
    const one = { id: Id.deliveryOf(messageId, id), subscriptionId: id }
    const { attempt } = outcome(owner, one.id, success)
    const deliveries = [{ ...one, attempt }]
    return { owner, messageId, version, filtered: 0, transformedJson: undefined, deliveries }
  })
  assert.strictEqual((yield* watch("complete", pump.complete(completed))).length, few)
  assert.isAbove((yield* watch("held", pump.held([owner]))).length, 0)
  yield* watch("recover", pump.recover([owner], 60_000))
  yield* watch("renewLease", pump.renewLease(yield* Id.runnerId, 60_000))
})

/** As after a day: much has been done, and much waits to be routed and to be attempted. */
const grow = Effect.fnUntraced(function*(sql: PgClient.PgClient, id: Id.SubscriptionId) {
  const last = Id.toUuid(yield* Id.messageId(yield* (yield* Storage).now))
  const ids = (kind: "a" | "b") =>
    sql.literal(
      `(select overlay('${last}' placing '${kind}' || lpad(to_hex(n), 7, '0') from 25)::uuid as id,
        nextval('hookline.message_seq') as seq from generate_series(1, ${grown}) n) n`
    )
  const [made, unrouted] = [ids("a"), ids("b")]
  const [row] = yield* sql<{ readonly columns: string }>`select string_agg(quote_ident(column_name), ', ') as columns
    from information_schema.columns where table_schema = 'hookline' and table_name = 'subscriptions'
      and is_generated = 'NEVER' and column_name <> 'id'`
  const columns = sql.literal(row?.columns ?? "")
  yield* sql`insert into hookline.subscriptions (id, ${columns})
    select gen_random_uuid(), ${columns} from hookline.subscriptions s, generate_series(1, ${grown / 2}::int)
    where s.id = ${Id.toUuid(id)}::uuid`
  for (const rows of [made, unrouted]) {
    yield* sql`insert into hookline.messages (id, seq, event_id, tenant_id, payload)
      select id, seq, ${eventId}, 'default', '{}' from ${rows}`
  }
  yield* sql`insert into hookline.routings (message_id, version, matched, filtered) select id, 1, 1, 0 from ${made}`
  yield* sql`insert into hookline.inbox (seq, message_id, worker_group, slot, tenant_id, size)
    select seq, id, ${group.workerGroup}, 0, 'default', 2 from ${unrouted}`
  yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size)
    select id, id, seq, ${Id.toUuid(id)}::uuid, ${group.workerGroup}, 'default', ${eventId}, 2 from ${made}`
  yield* sql`insert into hookline.deliveries (id, message_id, seq, subscription_id, tenant_id, event_id, status, attempts, retry_base)
    select id, id, seq, ${Id.toUuid(id)}::uuid, 'default', ${eventId}, 'success', 1, 0 from ${made}`
  yield* sql`insert into hookline.attempts (delivery_id, number, started_at, duration_ms, outcome, epoch, claims)
    select id, 1, now(), 1, 'success', 1, 1 from ${made}`
})
