import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Random } from "effect"
import * as Id from "../../src/Id.ts"
import { layer as limits } from "../../src/Limits.ts"
import { dayMs, dayOf } from "../../src/Retention.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import * as Postgres from "../support/postgres.ts"
import {
  claim,
  eventId,
  eventually,
  group,
  message,
  prepareDay,
  record,
  routing,
  subscribe,
  success,
  waits
} from "./support.ts"
import { hold } from "./upgrading.ts"

const terms = { historyKeptMs: 30 * dayMs, attemptsKeptMs: 30 * dayMs }
const shorter = { historyKeptMs: 60 * dayMs, attemptsKeptMs: 30 * dayMs }

/** The storage on a database of its own whose droppings give up soon, and the client of a session beside it. */
const make = (waits: { readonly waitMs?: number; readonly lockMs?: number } = {}) =>
  Effect.gen(function*() {
    const { waitMs = 300, lockMs = 200 } = waits
    const { url } = yield* Postgres.testDatabase
    const client = PgClient.layer({ url, maxConnections: 10 })
    const layer = PgStorage.layer().pipe(
      Layer.provide(limits({ retentionWaitMs: waitMs, retentionLockMs: lockMs })),
      Layer.provideMerge(client)
    )
    return { client, layer }
  })

const failed = { ...success, status: "failed", reason: "permanent" } as const

/** A subscription, an owner, and what is delivered to the one by the other on a day 40 days ago. */
const aged = Effect.gen(function*() {
  const storage = yield* Storage
  const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
  const subscriptionId = yield* subscribe()
  const atMs = (yield* storage.now) - 40 * dayMs
  const day = dayOf(atMs)
  yield* prepareDay(day)
  const route = Effect.fnUntraced(function*(messageId: Id.MessageId, claimed = true) {
    const { version } = yield* storage.subscriptions
    const id = yield* Id.deliveryId(atMs)
    yield* storage.route(routing(owner, version, messageId, [{ id, messageId, subscriptionId, claimed }]))
    return id
  })
  const old = Effect.flatMap(Id.messageId(atMs), (id) => message({ id }))
  /** A delivery of that day that has failed. */
  const fail = Effect.gen(function*() {
    const one = yield* old
    yield* storage.append([one])
    const id = yield* route(one.id)
    yield* record(owner, id, failed)
    return { id, messageId: one.id }
  })
  /** Deliveries of another day that have failed, so many days before. */
  const failOn = Effect.fnUntraced(function*(before: number, count: number) {
    const ms = atMs - before * dayMs
    yield* prepareDay(dayOf(ms))
    const one = Effect.gen(function*() {
      const sent = yield* message({ id: yield* Id.messageId(ms) })
      yield* storage.append([sent])
      const { version } = yield* storage.subscriptions
      const id = yield* Id.deliveryId(ms)
      yield* storage.route(routing(owner, version, sent.id, [
        { id, messageId: sent.id, subscriptionId, claimed: true }
      ]))
      yield* record(owner, id, failed)
      return id
    })
    return { day: dayOf(ms), ids: yield* Effect.replicateEffect(one, count) }
  })
  /** Claims and records whatever is due; tells how many there were. */
  const finish = Effect.gen(function*() {
    let count = 0
    while (true) {
      const { claimed } = yield* claim(owner, subscriptionId)
      if (claimed.length === 0) return count
      const recorded = yield* storage.record(claimed.map(({ attemptCount, deliveryId }) => ({
        owner,
        deliveryId,
        attemptCount,
        attempt: { number: attemptCount + 1, startedAtMs: 1, durationMs: 1, outcome: "success" },
        transition: success
      })))
      count += recorded.length
    }
  })
  const drop = storage.dropExpired(terms)
  return { storage, owner, subscriptionId, day, atMs, old, route, fail, failOn, finish, drop }
})

/** The tables of a day, and whether each is a part of its parent. */
const tablesOf = (day: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(
      sql<{ readonly name: string; readonly state: string }>`select c.relname as name,
        case when i.inhrelid is null then 'alone' when i.inhdetachpending then 'pending' else 'attached' end as state
        from pg_class c left join pg_inherits i on i.inhrelid = c.oid where c.relkind = 'r'
          and c.relnamespace = 'hookline'::regnamespace and c.relname like ${`%\\_${
        day.replaceAll("-", "")
      }`} order by 1`,
      (rows) => rows.map(({ name, state }) => `${name.slice(0, -9)} ${state}`)
    ))

const all = ["attempts attached", "deliveries attached", "messages attached", "routings attached"]

const emit = Effect.gen(function*() {
  const storage = yield* Storage
  yield* storage.append([yield* message()])
})

describe("retention on PostgreSQL", () => {
  it.live("a day is dropped partition by partition, and no row by itself", () =>
    Effect.gen(function*() {
      const { layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { day, drop, fail } = yield* aged
        for (let n = 0; n < 20; n++) yield* fail
        assert.deepStrictEqual(yield* drop, { days: [{ day, of: "history" }], waiting: undefined, isBusy: false })
        assert.deepStrictEqual(yield* tablesOf(day), [])
        const [counts] = yield* sql<{ readonly stats: number }>`select coalesce(sum(failed), 0)::int as stats
          from (select failed from hookline.stats_fresh union all select failed from hookline.stats where minutes = 60) s`
        assert.strictEqual(counts?.stats, 20)
      }).pipe(Effect.provide(layer))
    }))

  it.live("a drop waits for a long reader while emits, routes and records go on, and goes on when it has ended", () =>
    Effect.gen(function*() {
      const { client, layer } = yield* make({ waitMs: 1500 })
      yield* Effect.gen(function*() {
        const { day, drop, fail, owner, storage, subscriptionId } = yield* aged
        const { id } = yield* fail
        const reader = yield* hold(client, "select count(*) from hookline.messages")
        const dropping = yield* Effect.forkChild(drop, { startImmediately: true })
        yield* eventually("the drop waits", Effect.map(tablesOf(day), (found) => found.includes("messages pending")))
        // Nobody waits behind it: not one of these takes as long as it does.
        for (let n = 0; n < 20; n++) {
          const one = yield* message()
          yield* storage.append([one]).pipe(Effect.timeout("1400 millis"))
          const { version } = yield* storage.subscriptions
          const made = yield* Id.deliveryId(yield* storage.now)
          yield* storage.route(routing(owner, version, one.id, [
            { id: made, messageId: one.id, subscriptionId, claimed: true }
          ])).pipe(Effect.timeout("1400 millis"))
          yield* record(owner, made, success).pipe(Effect.timeout("1400 millis"))
        }
        assert.deepStrictEqual(yield* Fiber.join(dropping), { days: [], waiting: day, isBusy: false })
        // It was cut off: the next one finds what was begun, and waits as well.
        assert.deepStrictEqual(
          yield* tablesOf(day),
          all.map((one) => one.replace("messages attached", "messages pending"))
        )
        assert.deepStrictEqual(
          (yield* storage.retention(terms)).expired,
          [{ day, of: "history", heldBy: [], isDropping: true }]
        )
        assert.deepInclude(yield* drop, { days: [], waiting: day })
        yield* Effect.timeout(emit, "1400 millis")
        // What is of a day that goes is not delivered again: it could not be recorded.
        assert.strictEqual(yield* storage.retryDelivery(id), "NotKept")
        yield* reader.letGo
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }], waiting: undefined })
        assert.deepStrictEqual(yield* tablesOf(day), [])
        assert.strictEqual(yield* storage.retryDelivery(id), "NotFound")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("partitions ahead are made while one is on its way out", () =>
    Effect.gen(function*() {
      const { client, layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { day, drop, fail } = yield* aged
        yield* fail
        const reader = yield* hold(client, "select count(*) from hookline.messages")
        assert.deepInclude(yield* drop, { waiting: day })
        yield* reader.letGo
        yield* sql`select hookline.make_partitions(20)`
        yield* emit
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }] })
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("a drop that is cut off anywhere is gone on with, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { atMs, drop, fail } = yield* aged
        yield* fail
        const days = Array.from({ length: 6 }, (_, n) => dayOf(atMs - n * dayMs))
        yield* Effect.forEach(days, prepareDay, { discard: true })
        const left = Effect.map(Effect.forEach(days, tablesOf), (found) => found.flat().length)
        let cuts = 0
        for (let n = 0; (yield* left) > 0 && n < 200; n++) {
          const one = yield* Effect.forkChild(drop, { startImmediately: true })
          // Later and later, so that also a slow machine comes to an end.
          yield* Effect.sleep(yield* Random.nextIntBetween(5, 60 + 10 * n))
          if (one.pollUnsafe() === undefined) cuts++
          yield* Fiber.interrupt(one)
          // Its session may take a moment to end, and keeps others out until then.
          yield* eventually(
            "its session has ended",
            Effect.map(
              sql`select 1 from pg_stat_activity where application_name = 'hookline-retention'
                and datname = current_database()`,
              (rows) => rows.length === 0
            )
          )
        }
        assert.isAbove(cuts, 0)
        assert.strictEqual(yield* left, 0)
        yield* drop
        const [row] = yield* sql`select whole, attempts, emptied from hookline.retention`
        assert.deepStrictEqual(row, { whole: [], attempts: [], emptied: [] })
      }).pipe(Effect.provide(layer))
    }), 60_000)

  it.live("a partition that was taken out by hand is left alone", () =>
    Effect.gen(function*() {
      const { layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { day, drop, fail } = yield* aged
        yield* fail
        const name = `messages_${day.replaceAll("-", "")}`
        yield* sql.unsafe(`alter table hookline.messages detach partition hookline.${name}`).unprepared
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }] })
        assert.deepStrictEqual(yield* tablesOf(day), ["messages alone"])
        assert.deepInclude(yield* drop, { days: [] })
      }).pipe(Effect.provide(layer))
    }))

  it.live("attempts that go earlier leave an empty partition, also where that was cut off", () =>
    Effect.gen(function*() {
      const { client, layer } = yield* make()
      yield* Effect.gen(function*() {
        const { day, fail, owner, storage, subscriptionId } = yield* aged
        const { id } = yield* fail
        const reader = yield* hold(client, "select count(*) from hookline.attempts")
        const drop = storage.dropExpired(shorter)
        assert.deepInclude(yield* drop, { days: [], waiting: day })
        assert.include(yield* tablesOf(day), "attempts pending")
        assert.strictEqual(yield* storage.retryDelivery(id), "NotKept")
        yield* reader.letGo
        assert.deepInclude(yield* drop, { days: [{ day, of: "attempts" }] })
        assert.deepStrictEqual(yield* tablesOf(day), all)
        assert.deepInclude(yield* drop, { days: [] })
        assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
        assert.strictEqual((yield* claim(owner, subscriptionId)).claimed.length, 1)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("a message that a long transaction has stored with an old id is kept and routed", () =>
    Effect.gen(function*() {
      const { layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { day, drop, fail, old, owner, storage } = yield* aged
        yield* fail
        const late = yield* old
        const dropping = yield* sql.withTransaction(Effect.gen(function*() {
          yield* storage.append([late])
          const dropping = yield* Effect.forkDetach(drop, { startImmediately: true })
          yield* eventually("it waits", Effect.map(tablesOf(day), (found) => found.includes("messages pending")))
          return dropping
        }))
        yield* Fiber.join(dropping)
        assert.deepInclude(yield* drop, { days: [] })
        assert.deepStrictEqual(yield* tablesOf(day), all)
        const found = (yield* storage.unrouted([owner], { messages: 10, bytes: 1e6 })).messages
        assert.deepStrictEqual(found.map(({ id }) => id), [late.id])
        assert.deepStrictEqual(
          (yield* storage.retention(terms)).expired,
          [{ day, of: "history", heldBy: [{ holder: "unrouted", count: 1 }], isDropping: false }]
        )
        const { version } = yield* storage.subscriptions
        yield* storage.route(routing(owner, version, late.id, []))
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }] })
        // From here on such an id is refused, and nothing is lost silently.
        assert.include(String(yield* Effect.flip(storage.append([yield* old]))), "no partition")
      }).pipe(Effect.provide(layer))
    }))

  it.live("a retry that is under way is waited for, and keeps its day", () =>
    Effect.gen(function*() {
      const { layer } = yield* make({ waitMs: 20_000, lockMs: 20_000 })
      yield* Effect.gen(function*() {
        const { day, drop, fail, owner, storage, subscriptionId } = yield* aged
        const { id } = yield* fail
        const [retried, mayEnd] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const retrying = yield* Effect.forkChild(
          storage.atomically(Effect.gen(function*() {
            assert.strictEqual(yield* storage.retryDelivery(id), "Retried")
            yield* Deferred.succeed(retried, undefined)
            yield* Deferred.await(mayEnd)
          })),
          { startImmediately: true }
        )
        yield* Deferred.await(retried)
        const dropping = yield* Effect.forkChild(drop, { startImmediately: true })
        yield* eventually("it waits for the retry", waits("hookline.retention for update"))
        yield* Deferred.succeed(mayEnd, undefined)
        yield* Fiber.join(retrying)
        assert.deepInclude(yield* Fiber.join(dropping), { days: [] })
        assert.deepStrictEqual(yield* tablesOf(day), all)
        const [claimed] = (yield* claim(owner, subscriptionId)).claimed
        assert.strictEqual(claimed?.deliveryId, id)
        yield* storage.record([{
          owner,
          deliveryId: id,
          attemptCount: 1,
          attempt: { number: 2, startedAtMs: 1, durationMs: 1, outcome: "success" },
          transition: success
        }])
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }] })
      }).pipe(Effect.provide(layer))
    }))

  it.live(
    "retries and replays that meet a drop are recorded or told that it is too late, never stuck",
    () =>
      Effect.gen(function*() {
        const { layer } = yield* make({ waitMs: 20_000, lockMs: 20_000 })
        yield* Effect.gen(function*() {
          const sql = yield* PgClient.PgClient
          const { drop, failOn, finish, storage, subscriptionId } = yield* aged
          let late = 0
          let retried = 0
          // Until both have come to pass, however fast the machine is.
          for (let n = 0; n < 8 || (n < 40 && (late === 0 || retried === 0)); n++) {
            const { day, ids } = yield* failOn(n, 12)
            const replayId = yield* Id.replayId(yield* storage.now)
            const filter = { status: "failed", subscriptionId } as const
            yield* storage.createReplay({ id: replayId, tenantId: "default", filter, freshWebhookId: false }, 100)
            const dropping = Effect.repeat(drop, { times: 4 })
            const pause = Effect.flatMap(Random.nextIntBetween(0, 60), (ms) => Effect.sleep(ms))
            const replaying = storage.replaySome({ rows: 3, look: 100, waiting: 100, intervalMs: 0 }).pipe(
              Effect.repeat({
                until: (found) => found._tag === "Portion" && found.replayId === replayId && found.isCompleted
              })
            )
            const retrying = Effect.forEach(ids, (id) => storage.retryDelivery(id), { concurrency: 2 })
            const [, , answers] = yield* Effect.all(
              [dropping, Effect.andThen(pause, replaying), Effect.andThen(pause, retrying)],
              { concurrency: 3 }
            )
            const replay = yield* Effect.flatMap(storage.getReplay(replayId), Effect.fromOption)
            const due = answers.filter((answer) => answer === "Retried").length + replay.replayed
            const [left] = yield* sql<{ readonly work: number; readonly homeless: number }>`
            select count(*)::int as work, count(*) filter (where not exists (
              select 1 from hookline.messages m where m.id = w.message_id))::int as homeless from hookline.work w`
            assert.deepStrictEqual(left, { work: due, homeless: 0 })
            // Whatever is due again can be recorded.
            assert.strictEqual(yield* finish, due)
            retried += due
            late += 12 - due
            yield* drop
            assert.deepStrictEqual(yield* tablesOf(day), [])
          }
          assert.isAbove(late, 0)
          assert.isAbove(retried, 0)
        }).pipe(Effect.provide(layer))
      }),
    60_000
  )

  it.live("one drops at a time, and none while the database is migrated", () =>
    Effect.gen(function*() {
      const { client, layer } = yield* make()
      yield* Effect.gen(function*() {
        const { day, drop, fail } = yield* aged
        yield* fail
        for (const lock of ["hookline.retention", "hookline.migrate"]) {
          const held = yield* hold(client, `select pg_advisory_xact_lock(hashtext('${lock}'))`)
          assert.deepStrictEqual(yield* drop, { days: [], waiting: undefined, isBusy: true })
          yield* held.letGo
          yield* eventually(
            "the lock is free",
            Effect.flatMap(PgClient.PgClient, (sql) =>
              Effect.map(sql`select 1 from pg_locks where locktype = 'advisory'`, (rows) => rows.length === 0))
          )
        }
        assert.deepInclude(yield* drop, { days: [{ day, of: "history" }] })
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped))

  it.live("each body is looked at once, and what was needed then is looked at again later", () =>
    Effect.gen(function*() {
      const { layer } = yield* make()
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const { fail, old, route, storage } = yield* aged
        yield* Effect.replicateEffect(fail, 3)
        const needed = yield* old
        yield* storage.append([needed])
        const id = yield* route(needed.id, false)
        yield* Effect.replicateEffect(fail, 3)
        yield* storage.setTenantTerm("default", 7)
        const empty = storage.emptyBodies({ rows: 2, settledMs: 0 })
        const batches = [yield* empty, yield* empty, yield* empty, yield* empty]
        assert.deepStrictEqual(batches.map(({ more }) => more), [true, true, true, false])
        assert.strictEqual(batches.reduce((sum, { emptied }) => sum + emptied, 0), 6)
        const left = sql<{ readonly id: string }>`select message_id::text as id from hookline.bodies_left`
        assert.deepStrictEqual((yield* left).map(({ id }) => id.replaceAll("-", "")), [
          Id.toUuid(needed.id).replaceAll("-", "")
        ])
        yield* storage.skipDelivery(id)
        assert.deepStrictEqual(yield* empty, { emptied: 0, more: false })
        yield* sql`update hookline.bodies_left set looked_at = looked_at - interval '5 minutes'`
        assert.deepStrictEqual(yield* empty, { emptied: 1, more: false })
        assert.deepStrictEqual(yield* left, [])
        assert.isTrue((yield* Effect.flatMap(storage.getMessage(needed.id), Effect.fromOption)).bodyExpired)
        assert.deepStrictEqual(
          yield* sql`select 1 from hookline.messages where payload <> '' and event_id = ${eventId}`,
          []
        )
      }).pipe(Effect.provide(layer))
    }))
})
