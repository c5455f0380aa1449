import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as Id from "../../src/Id.ts"
import { Storage } from "../../src/Storage.ts"
import { latest, type Migration, migrations } from "../../src/storage/Migrations.ts"
import * as PgMigrating from "../../src/storage/PgMigrating.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { eventually, group, success, waits } from "./support.ts"
import * as Upgrading from "./upgrading.ts"

const version = Effect.flatMap(PgClient.PgClient, PgMigrating.version)
/** How many migrations come after one, by its number. */
const after = (version: number) => Object.keys(migrations).filter((name) => Number.parseInt(name, 10) > version).length

const versions = after(10)

const statements = (...given: ReadonlyArray<string>): Migration => ({ _tag: "Statements", statements: given })

layer(Upgrading.filled, { excludeTestServices: true })("an upgrade of a database in use", (it) => {
  it.effect("tries again for a table that others hold for longer than it waits, and what was unfinished is delivered", () =>
    Effect.gen(function*() {
      const { client, subscriptionId } = yield* Upgrading.make
      yield* Effect.provide(Upgrading.alive, client)
      const reader = yield* Upgrading.hold(client, "select count(*) from hookline.work")
      const found: Array<string> = []
      const migrating = Upgrading.migrate(undefined, {
        onLog: (line) => {
          if (line.includes("in its way")) found.push(line)
          if (found.length === 3) Effect.runFork(reader.letGo)
        }
      })
      assert.strictEqual(yield* Effect.provide(migrating, client), versions)
      assert.isAtLeast(found.length, 3)
      assert.include(found[0], "0012_replays")

      yield* Effect.gen(function*() {
        assert.strictEqual(yield* version, latest)
        assert.deepStrictEqual(yield* Upgrading.invalid, [])
        for (const index of ["deliveries_of_message", "deliveries_lost", "deliveries_ended_of_tenant"]) {
          assert.deepStrictEqual(yield* Upgrading.covered("deliveries", index), { partitions: 9, indexes: 9 })
        }
        assert.isFalse(yield* Upgrading.hasIndex("work_by_message"))
        // A runner of the version before claims by it.
        assert.isTrue(yield* Upgrading.hasIndex("work_waiting"))

        const storage = yield* Storage
        const { owner } = yield* storage.takeOver(yield* Id.runnerId, group, 1000)
        const delivered = new Set<string>()
        while (delivered.size < Upgrading.waiting) {
          const { claimed } = yield* storage.claim({
            owners: [owner],
            lanes: [{ workerGroup: owner.workerGroup, subscriptionId, free: 100 }],
            limit: 100,
            bytes: 1e9,
            suspectClaims: 2,
            suspectProviders: []
          })
          assert.isAbove(claimed.length, 0)
          // Those that are retried have their turn as before.
          assert.strictEqual(claimed.filter((one) => one.attemptCount > 0).length, claimed.length / 2)
          const startedAtMs = yield* storage.now
          const recorded = yield* storage.record(claimed.map(({ attemptCount, deliveryId }) => ({
            owner,
            deliveryId,
            attemptCount,
            attempt: { number: attemptCount + 1, startedAtMs, durationMs: 1, outcome: "success" },
            transition: success
          })))
          for (const id of recorded) delivered.add(id)
        }
      }).pipe(Effect.provide(PgStorage.layer().pipe(Layer.provideMerge(client))))
    }))

  it.effect("counts from then on: what ended before is not taken back when it is delivered again", () =>
    Effect.gen(function*() {
      const { client, subscriptionId } = yield* Upgrading.make
      yield* Effect.provide(Upgrading.migrate(), client)
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        const totals = Effect.map(
          storage.count({}, { fromMs: 0, fine: false, top: 10, counted: 10_000 }),
          (found) => found.totals
        )
        assert.deepStrictEqual(yield* totals, { success: 0, failed: 0, cancelled: 0, attempts: 0 })
        const failed = yield* storage.walkDeliveries({ status: "failed" }, { cursor: undefined, limit: 2, look: 1000 })
        const [first, second] = failed.items
        assert.strictEqual(yield* storage.retryDelivery(first?.id ?? Id.DeliveryId.make("")), "Retried")
        assert.deepStrictEqual(yield* totals, { success: 0, failed: 0, cancelled: 0, attempts: 0 })
        assert.strictEqual(second?.subscriptionId, subscriptionId)

        // As a runner of the version before ends one, which counts nothing.
        const sql = yield* PgClient.PgClient
        yield* sql`update hookline.deliveries set completed_at = clock_timestamp() where id = ${
          Id.toUuid(second?.id ?? "")
        }::uuid`
        assert.strictEqual(yield* storage.retryDelivery(second?.id ?? Id.DeliveryId.make("")), "Retried")
        assert.deepStrictEqual(yield* totals, { success: 0, failed: 0, cancelled: 0, attempts: 0 })
      }).pipe(Effect.provide(PgStorage.layer().pipe(Layer.provideMerge(client))))
    }))

  it.effect("drops at once what only runners of the version before need, where none is at work", () =>
    Effect.gen(function*() {
      const { client } = yield* Upgrading.make
      yield* Effect.provide(Upgrading.migrate(), client)
      assert.isFalse(yield* Effect.provide(Upgrading.hasIndex("work_waiting"), client))
    }))

  it.effect("builds indexes while rows are written", () =>
    Effect.gen(function*() {
      const { client, url } = yield* Upgrading.make
      yield* Effect.provide(Upgrading.migrate(Upgrading.upTo(15)), client)
      const writer = yield* Upgrading.hold(client, "update hookline.work set size = 3 where seq % 7 = 0")
      const migrating = yield* Effect.forkChild(
        Effect.provide(Upgrading.migrate(), Layer.fresh(PgClient.layer({ url }))),
        { startImmediately: true }
      )
      yield* Effect.gen(function*() {
        yield* eventually("an index waits for who writes", waits("create index concurrently work_claimable"))
        const sql = yield* PgClient.PgClient
        yield* sql.withTransaction(Effect.andThen(
          sql`set local lock_timeout = 1`,
          sql`update hookline.work set size = 4 where seq % 7 = 1`
        ))
      }).pipe(Effect.provide(client))
      yield* writer.letGo
      assert.strictEqual(yield* Fiber.join(migrating), after(15))
      assert.deepStrictEqual(yield* Effect.provide(Upgrading.invalid, client), [])
    }))

  it.effect("builds anew what was left half built, whether of a table or of a partition", () =>
    Effect.gen(function*() {
      const { client } = yield* Upgrading.make
      yield* Effect.gen(function*() {
        yield* Upgrading.migrate(Upgrading.upTo(15))
        const sql = yield* PgClient.PgClient
        const [{ name: partition } = { name: "" }] = yield* sql<{ readonly name: string }>`
          select relname as name from hookline.deliveries d join pg_class c on c.oid = d.tableoid limit 1`
        for (const table of ["work", partition]) {
          const built = sql.unsafe(
            `create unique index concurrently ${table}_of_message on hookline.${table} (subscription_id)`
          ).unprepared
          yield* Effect.flip(built)
        }
        assert.sameMembers([...(yield* Upgrading.invalid)], ["work_of_message", `${partition}_of_message`])
        yield* Upgrading.migrate()
        assert.deepStrictEqual(yield* Upgrading.invalid, [])
        assert.deepStrictEqual(yield* Upgrading.covered("deliveries", "deliveries_of_message"), {
          partitions: 9,
          indexes: 9
        })
      }).pipe(Effect.provide(client))
    }))

  it.effect("fails with what to do when others are in its way for too long, and goes on from there", () =>
    Effect.gen(function*() {
      const { client } = yield* Upgrading.make
      const reader = yield* Upgrading.hold(client, "select count(*) from hookline.work")
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Upgrading.migrate(undefined, { migrationLockTotalMs: 200 }))
        assert.instanceOf(error, PgStorage.MigrationFailed)
        for (const words of ["0012_replays", "pg_stat_activity", "hookline migrate"]) {
          assert.include(String(error.message), words)
        }
        assert.strictEqual(yield* version, 11)
        yield* reader.letGo
        assert.strictEqual(yield* Upgrading.migrate(), after(11))
      }).pipe(Effect.provide(client))
    }))

  it.effect("keeps what came before a migration that fails, and goes on with it at the next start", () =>
    Effect.gen(function*() {
      const { client } = yield* Upgrading.make
      const steps = (second: string) => ({
        ...Upgrading.before,
        "0011_first": statements("create table hookline.first (id int)"),
        "0012_second": statements("create table hookline.second (id int)", second),
        "0013_third": statements("create table hookline.third (id int)")
      })
      yield* Effect.gen(function*() {
        const error = yield* Effect.flip(Upgrading.migrate(steps("select 1 / 0")))
        assert.instanceOf(error, PgStorage.MigrationFailed)
        assert.include(String(error.message), "0012_second failed (division by zero)")
        assert.strictEqual(yield* version, 11)
        assert.strictEqual(yield* Upgrading.migrate(steps("select 1")), 2)
        assert.strictEqual(yield* version, 13)
      }).pipe(Effect.provide(client))
    }))

  it.effect("locks at most one table that runners use in a transaction, for a time that is bounded", () =>
    Effect.gen(function*() {
      const { client } = yield* Upgrading.make
      const check = `do $$ declare
        held text := (select string_agg(distinct c.relname, ', ') from pg_locks l join pg_class c on c.oid = l.relation
          where l.pid = pg_backend_pid() and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock')
            and not c.relispartition and c.relname in (select name from public.there));
      begin
        if held like '%,%' then raise exception 'it holds %', held; end if;
        if current_setting('statement_timeout') <> '5s' or current_setting('lock_timeout') <> '100ms' then
          raise exception 'it has other times';
        end if;
      end $$`
      const checked = Object.entries(migrations).map(([name, migration]) =>
        [
          name,
          migration._tag === "Statements" ? statements(...migration.statements, check) : migration
        ] as const
      )
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        yield* sql`create table public.there as select relname::text as name from pg_class
          where relnamespace = 'hookline'::regnamespace and relkind in ('r', 'p') and not relispartition`
        assert.strictEqual(yield* Upgrading.migrate(Object.fromEntries(checked)), versions)
      }).pipe(Effect.provide(client))
    }))

  it.effect("is made by one of several processes that start at once", () =>
    Effect.gen(function*() {
      const { client, url } = yield* Upgrading.make
      const done = yield* Effect.all(
        Array.from({ length: 3 }, () => Effect.provide(Upgrading.migrate(), Layer.fresh(PgClient.layer({ url })))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(done.toSorted(), [0, 0, versions])
      assert.deepStrictEqual(yield* Effect.provide(Upgrading.invalid, client), [])
    }))
})
