import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Redacted, Ref } from "effect"
import * as Net from "node:net"
import { Storage, StorageUnavailable } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { appended } from "../../src/testing/StorageSuiteWorld.ts"
import * as Postgres from "../support/postgres.ts"
import { eventually, message, storage as layer, waits } from "./support.ts"

const page = { cursor: undefined, limit: 100, bytes: 1e9 }

/** A wire to the database that can be cut under those who use it. */
const cuttable = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: Redacted.Redacted; readonly cut: () => void; readonly close: () => void }>(
      (resume) => {
        const target = new URL(url)
        const sockets = new Set<Net.Socket>()
        const server = Net.createServer((near) => {
          const far = Net.connect(Number(target.port), target.hostname)
          for (const socket of [near, far]) {
            sockets.add(socket)
            socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket))
          }
          near.pipe(far).pipe(near)
        })
        const cut = () => {
          for (const socket of sockets) socket.destroy()
        }
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const through = new URL(url)
          through.port = String(typeof address === "object" && address !== null ? address.port : 0)
          resume(Effect.succeed({
            url: Redacted.make(through.href),
            cut,
            close: () => {
              server.close()
              cut()
            }
          }))
        })
      }
    ),
    (wire) => Effect.sync(wire.close)
  )

describe("appending on PostgreSQL", () => {
  it.live("what is appended in a transaction of the caller that rolls back leaves nothing, keys included", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const [first, second] = [yield* message(), yield* message()]
      const options = { key: "k", contentHash: "h", ttlMs: 60_000 }
      yield* sql.withTransaction(Effect.gen(function*() {
        assert.isTrue(yield* storage.inTransaction)
        yield* storage.append([first])
        assert.deepStrictEqual(yield* storage.appendOnce(second, options), appended(second))
        return yield* Effect.fail("abort")
      })).pipe(Effect.exit)
      assert.isFalse(yield* storage.inTransaction)
      assert.deepStrictEqual(yield* storage.listMessages({}, page), {
        items: [],
        more: false,
        next: undefined
      })
      assert.deepStrictEqual(yield* sql`select 1 from hookline.inbox union all select 1 from hookline.idempotency`, [])
      assert.deepStrictEqual(yield* storage.appendOnce(second, options), appended(second))
    }).pipe(Effect.provide(layer)))

  it.live("an effect after the commit runs at once outside a transaction, after the commit inside, never after a rollback", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const ran = yield* Ref.make<ReadonlyArray<string>>([])
      const hear = (what: string) => storage.afterCommit(Ref.update(ran, (heard) => [...heard, what]))
      yield* hear("outside")
      assert.deepStrictEqual(yield* Ref.get(ran), ["outside"])
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* hear("inside")
        assert.deepStrictEqual(yield* Ref.get(ran), ["outside"])
        yield* Effect.exit(sql.withTransaction(Effect.andThen(hear("savepoint"), Effect.fail("abort"))))
      }))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(hear("rolled back"), Effect.fail("abort"))))
      assert.deepStrictEqual(yield* Ref.get(ran), ["outside", "inside"])
    }).pipe(Effect.provide(layer)))

  it.live("a row with a NUL is refused without its contents in the error, and the next one is stored", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const refused = yield* Effect.flip(storage.append([yield* message({ payloadJson: "secret \0" })]))
      assert.strictEqual(refused._tag, "RowRefused")
      assert.notInclude(JSON.stringify(refused), "secret")
      const kept = yield* message({ payloadJson: `{"quote":"\\"{}\\\\"}`, orderingKey: "NULL" })
      yield* storage.append([kept])
      const [found] = (yield* storage.listMessages({}, page)).items
      assert.strictEqual(found?.payloadJson, kept.payloadJson)
      assert.strictEqual(found?.orderingKey, "NULL")
    }).pipe(Effect.provide(layer)))

  it.live("a key is repeated, refused for other content, and free again once it expired", () =>
    Effect.gen(function*() {
      const storage = yield* Storage
      const [first, second] = [yield* message(), yield* message()]
      const options = { key: "k", contentHash: "h", ttlMs: 60_000 }
      const answers = yield* Effect.forEach(
        [first, second],
        (item) => storage.appendOnce(item, options),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(answers.map((answer) => answer._tag).sort(), ["Appended", "Repeated"])
      const conflict = yield* storage.appendOnce(yield* message(), { ...options, contentHash: "other" })
      assert.strictEqual(conflict._tag, "Conflict")
      yield* storage.appendOnce(yield* message(), { ...options, key: "short", ttlMs: 0 })
      const again = yield* message()
      assert.deepStrictEqual(yield* storage.appendOnce(again, { ...options, key: "short" }), appended(again))
      assert.strictEqual((yield* storage.listMessages({}, page)).items.length, 3)
    }).pipe(Effect.provide(layer)))

  it.live("an append whose connection is cut before its answer is of unknown outcome, in a transaction it is undone", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const wire = yield* cuttable(Redacted.value(url))
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        const sql = yield* PgClient.PgClient
        const appended = yield* message()
        const cutWhile = (append: typeof storage.append) =>
          Effect.gen(function*() {
            const locked = yield* Deferred.make<void>()
            const release = yield* Deferred.make<void>()
            const direct = yield* Layer.build(Layer.fresh(PgClient.layer({ url })))
            const other = Context.get(direct, PgClient.PgClient)
            yield* other.withTransaction(Effect.gen(function*() {
              yield* other`lock table hookline.inbox in share mode`
              yield* Deferred.succeed(locked, undefined)
              yield* Deferred.await(release)
            })).pipe(Effect.forkScoped)
            // Seen from outside the transaction, within which the activity would stay as it was first read.
            yield* eventually("the append waits", waits("message_seq")).pipe(
              Effect.provideContext(direct),
              Effect.andThen(Effect.sync(() => wire.cut())),
              Effect.forkScoped
            )
            yield* Deferred.await(locked)
            const error = yield* Effect.flip(append([appended]))
            yield* Deferred.succeed(release, undefined)
            return error._tag
          }).pipe(Effect.scoped)
        assert.strictEqual(yield* cutWhile(storage.append), "OutcomeUnknown")
        const inside = yield* Deferred.make<string>()
        yield* Effect.exit(sql.withTransaction(
          Effect.andThen(
            Effect.flatMap(cutWhile(storage.append), (tag) => Deferred.succeed(inside, tag)),
            Effect.fail("abort")
          )
        ))
        assert.strictEqual(yield* Deferred.await(inside), "StorageUnavailable")
        wire.close()
        assert.strictEqual((yield* Effect.flip(storage.append([appended])))._tag, "StorageUnavailable")
      }).pipe(Effect.provide(
        PgStorage.layer({ engine: { url } }).pipe(Layer.provideMerge(PgClient.layer({ url: wire.url })))
      ))
    }))

  it.live("killed sessions are a typed error at most, and the next append is stored", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      yield* Effect.exit(sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() order by pid = pg_backend_pid()`)
      const first = yield* Effect.exit(storage.subscriptions)
      if (Exit.isFailure(first)) assert.instanceOf(yield* Effect.flip(first), StorageUnavailable)
      yield* eventually(
        "the engine has the database again",
        Effect.map(Effect.exit(storage.subscriptions), Exit.isSuccess)
      )
      const appended = yield* message()
      yield* eventually("the caller has", Effect.map(Effect.exit(storage.append([appended])), Exit.isSuccess))
    }).pipe(Effect.provide(layer)))

  it.live("the engine's clock is the database's from the layer's start on", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const [row] = yield* sql<{ readonly now: number }>`
        select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`
      assert.closeTo(yield* storage.now, row?.now ?? 0, 1000)
    }).pipe(Effect.provide(layer)))

  it.live("a database that is away is a typed error of the layer that tells what to check", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.emptyDatabase
      const away = PgStorage.layer({ migrate: false, engine: { port: 1, host: "127.0.0.1" } }).pipe(
        Layer.provide(PgClient.layer({ host: "127.0.0.1", port: 1, username: "nobody", database: "none" }))
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(away)))
      assert.instanceOf(error, StorageUnavailable)
      assert.include(String(error.message), "DATABASE_URL")
      const unmigrated = PgStorage.layer({ migrate: false }).pipe(Layer.provide(PgClient.layer({ url })))
      const missing = yield* Effect.flip(Effect.scoped(Layer.build(unmigrated)))
      assert.instanceOf(missing, PgStorage.MigrationFailed)
      assert.include(String(missing.message), "hookline migrate")
    }))
})
