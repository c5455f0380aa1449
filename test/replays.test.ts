import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import * as Hook from "../src/Hook.ts"
import { layer as limits } from "../src/Limits.ts"
import { PermanentError } from "../src/Provider.ts"
import { Replays } from "../src/Replays.ts"
import { Storage } from "../src/Storage.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import { Deliveries, Endpoints as Fakes, HooklineTest, Requests } from "../src/testing/index.ts"
import * as Postgres from "./support/postgres.ts"
import { until as eventually } from "./support/process.ts"
import { Created, Endpoints, IncidentPlugin, layer, layerOn, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i", systemIds: [] }
const url = "https://example.com/hook"
const refused = () => Effect.fail(new PermanentError({ code: "HttpStatus", message: "HTTP 400" }))

const emitMany = (count: number) => Effect.replicateEffect(Hook.emit(Created, payload), count, { concurrency: 500 })

describe("a replay", () => {
  it.effect("carries the message's webhook-id, or one of its own that stays through retries, signed", () =>
    Effect.gen(function*() {
      yield* Fakes.script(url, [400, 400, 503, 200])
      const { id: subscriptionId, signingSecret } = yield* HooklineTest.subscribe({ events: ["*"], url })
      const messageId = yield* Hook.emit(Created, payload)
      yield* Deliveries.settled
      const replay = (freshWebhookId: boolean) =>
        Effect.gen(function*() {
          const made = yield* Replays.use((replays) => replays.create({ filter: { subscriptionId }, freshWebhookId }))
          yield* Deliveries.settled
          return made.id
        })
      yield* replay(false)
      const fresh = yield* replay(true)
      const requests = yield* Requests.to(url)
      const own = `${messageId}_${fresh}`
      assert.deepStrictEqual(requests.map(({ headers }) => headers["webhook-id"]), [messageId, messageId, own, own])
      for (const request of requests) yield* Requests.verify(request, signingSecret)
      assert.strictEqual(own.includes("."), false)
      const [delivery] = yield* Deliveries.of(messageId)
      assert.deepInclude(delivery, { status: "success", attemptCount: 4, messageId })
    }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })))

  it.effect("of many to a slow endpoint keeps new messages waiting for a moment, and comes to its end", () => {
    const endpoints = new Endpoints()
    const count = 800
    endpoints.behaviours.set("a", refused)
    const body = Effect.gen(function*() {
      const { id: subscriptionId } = yield* subscribe("a")
      const storage = yield* Storage
      const old = new Set<string>(yield* emitMany(count))
      yield* until("all have failed", () =>
        Effect.map(
          Effect.orDie(storage.listDeliveries({ status: "failed" }, { cursor: undefined, limit: 2 * count })),
          ({ length }) => length === count
        ))
      endpoints.seen.length = 0
      endpoints.behaviours.set("a", () => Effect.delay(Effect.succeed({}), "100 millis"))
      const replays = yield* Replays
      const { id } = yield* replays.create({ filter: { subscriptionId } })
      yield* until("it is under way", () => endpoints.of("a").length > 100)
      const seen = endpoints.of("a").length
      const fresh = yield* Hook.emit(Created, payload)
      const arrived = () => endpoints.of("a").findIndex(({ attempt }) => attempt.message.id === fresh)
      yield* until("the new one arrives", () => arrived() >= 0)
      // Behind what was claimed already, in turn with the rest: not behind the many hundreds that are left.
      assert.isBelow(arrived() - seen, 150)
      yield* until(
        "the replay is completed",
        () => Effect.map(Effect.orDie(replays.get(id)), ({ state }) => state === "completed")
      )
      yield* until("all have arrived", () => endpoints.of("a").length > count)
      const times = endpoints.of("a").filter(({ attempt }) => old.has(attempt.message.id))
      assert.strictEqual(new Set(times.map(({ attempt }) => attempt.deliveryId)).size, count)
      assert.strictEqual(times.length, count)
      assert.deepInclude(yield* replays.get(id), { replayed: count, skipped: 0 })
    }).pipe(Effect.orDie)
    return Effect.provide(
      within(layer(endpoints), body),
      limits({ laneSlots: 16, laneWindow: 64, replayRows: 50, replayWaiting: 50, replayIntervalMs: 50 })
    )
  }, 60_000)

  it.live("goes on with another runner where its own stops in the middle, and delivers each once", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", refused)
    const count = 400
    return Effect.scoped(Effect.gen(function*() {
      const database = yield* Layer.build(PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer)))
      const runner = Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const world = layerOn(endpoints, Layer.succeedContext(database))
        return { context: yield* Layer.buildWithScope(Layer.fresh(world), scope), stop: Scope.close(scope, Exit.void) }
      })
      const sql = yield* Effect.provide(PgClient.PgClient, database)
      const states = Effect.map(
        sql<{ readonly status: string; readonly attempts: number; readonly n: number }>`
          select status, attempts::int as attempts, count(*)::int as n from hookline.deliveries group by 1, 2 order by 1, 2`,
        (rows) => rows.map(({ attempts, n, status }) => `${n} ${status} after ${attempts}`)
      )
      const first = yield* runner
      const { id, subscriptionId } = yield* Effect.gen(function*() {
        const { id: subscriptionId } = yield* subscribe("a")
        yield* emitMany(count)
        yield* eventually(
          "all have failed",
          Effect.map(Effect.orDie(states), (found) => found[0] === `${count} failed after 1`)
        )
        endpoints.seen.length = 0
        endpoints.behaviours.set("a", () => Effect.succeed({}))
        const replays = yield* Replays
        const { id } = yield* replays.create({ filter: { subscriptionId } })
        yield* eventually(
          "a part is replayed",
          Effect.map(Effect.orDie(replays.get(id)), ({ replayed }) => replayed >= 40)
        )
        return { id, subscriptionId }
      }).pipe(Effect.provide(first.context))
      yield* first.stop
      const half = yield* Effect.provide(
        Storage.use((storage) => Effect.flatMap(storage.getReplay(id), Effect.fromOption)),
        database
      )
      assert.strictEqual(half.state, "running")
      assert.isBelow(half.replayed, count)
      const second = yield* runner
      yield* Effect.gen(function*() {
        const replays = yield* Replays
        yield* eventually(
          "it is completed",
          Effect.map(Effect.orDie(replays.get(id)), ({ state }) => state === "completed")
        )
        yield* eventually(
          "all have arrived",
          Effect.map(Effect.orDie(states), (found) => found[0] === `${count} success after 2`)
        )
        assert.deepInclude(yield* replays.get(id), {
          replayed: count,
          skipped: 0,
          filter: { status: "failed", subscriptionId }
        })
      }).pipe(Effect.provide(second.context))
      assert.strictEqual(endpoints.seen.length, count)
      assert.strictEqual(new Set(endpoints.seen.map(({ attempt }) => attempt.deliveryId)).size, count)
      yield* second.stop
    })).pipe(Effect.provide(limits({ replayRows: 10, replayIntervalMs: 20, replayPollMs: 200 })))
  }, 60_000)

  it.effect("is refused without anything that narrows it, and where what it names is not its tenant's", () => {
    const body = Effect.gen(function*() {
      const replays = yield* Replays
      const { id: subscriptionId } = yield* subscribe("a", ["*"], { tenantId: "acme" })
      const messageId = yield* Hook.emit(Created, payload, { tenantId: "acme" })
      const paths = yield* Effect.forEach(
        [
          { filter: {} },
          { filter: { toMs: 1 } },
          { filter: { fromMs: 2, toMs: 1 } },
          { filter: { fromMs: 1, reason: "skipped" } },
          { filter: { fromMs: 1, status: "success", reason: "expired" } },
          { filter: { subscriptionId }, tenantId: "bolt" },
          { filter: { messageId }, tenantId: "bolt" }
        ] as const,
        (request) => Effect.map(Effect.flip(replays.create(request)), (error) => "path" in error && error.path)
      )
      assert.deepStrictEqual(paths, [
        "filter",
        "filter",
        "filter.to",
        "filter.reason",
        "filter.reason",
        "filter.subscriptionId",
        "filter.messageId"
      ])
      const { id } = yield* replays.create({ filter: { subscriptionId, messageId }, tenantId: "acme" })
      yield* replays.pause(id)
      assert.include((yield* Effect.flip(replays.pause(id))).message, "this one is paused")
      yield* replays.resume(id)
      yield* replays.cancel(id)
      const storage = yield* Storage
      const entries = yield* storage.listAudit({ resourceId: id }, { cursor: undefined, limit: 10 })
      assert.deepStrictEqual(entries.map(({ action }) => action).sort(), [
        "replay.cancel",
        "replay.create",
        "replay.pause",
        "replay.resume"
      ])
      assert.deepInclude(entries.find(({ action }) => action === "replay.create"), {
        tenantId: "acme",
        after: { filter: { subscriptionId, messageId, status: "failed" }, freshWebhookId: false }
      })
    }).pipe(Effect.orDie)
    return within(layer(new Endpoints()), body)
  })
})
