import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer } from "effect"
import * as Hook from "../src/Hook.ts"
import * as Id from "../src/Id.ts"
import { Storage } from "../src/Storage.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import * as Postgres from "./support/postgres.ts"
import { until } from "./support/process.ts"
import { Created, Endpoints, layerOn, subscribe } from "./support/world.ts"

const world = (endpoints: Endpoints) => layerOn(endpoints, PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer)))

const payload = { incidentId: "i1", systemIds: ["s1"] }

describe("on PostgreSQL", () => {
  it.live("a message is delivered, and its delivery and attempts are kept", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Storage
      yield* subscribe("a")
      const ids = yield* Effect.forEach(Array.from({ length: 300 }), () => Hook.emit(Created, payload), {
        concurrency: 50
      })
      yield* until(
        "all are recorded",
        Effect.map(
          storage.listDeliveries({ status: "success" }, { cursor: undefined, limit: 1000 }),
          (all) => all.length === 300
        )
      )
      assert.strictEqual(endpoints.seen.length, 300)
      assert.deepStrictEqual(
        new Set(endpoints.seen.map((seen) => seen.attempt.message.id)),
        new Set(ids)
      )
    }).pipe(Effect.provide(world(endpoints)))
  })

  it.live("an emit inside the caller's transaction commits or rolls back with it", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      yield* sql`create table incidents (id text)`
      const create = (id: string) =>
        Effect.andThen(sql`insert into incidents values (${id})`, Hook.emit(Created, { ...payload, incidentId: id }))
      yield* Effect.ignore(sql.withTransaction(Effect.andThen(create("lost"), Effect.fail("abort"))))
      const kept = yield* sql.withTransaction(create("kept"))
      const { items: messages } = yield* storage.listMessages({}, { cursor: undefined, limit: 10, bytes: 1e9 })
      assert.deepStrictEqual(messages.map((message) => message.id), [kept])
    }).pipe(Effect.provide(world(endpoints)))
  })

  it.live("a superseded owner's claim and record change nothing, whatever the interleaving", () =>
    Effect.gen(function*() {
      const sql = yield* PgClient.PgClient
      const storage = yield* Storage
      const first = yield* Id.runnerId
      const second = yield* Id.runnerId
      const group = { workerGroup: "integration.incident.incident.created", partition: 0 }
      const { owner } = yield* storage.takeOver(first, group, 1000)
      const now = yield* storage.now
      const id = yield* Id.messageId(now)
      const subscriptionId = yield* Id.subscriptionId(now)
      yield* storage.createSubscription({
        id: subscriptionId,
        tenantId: "default",
        name: "a",
        description: undefined,
        events: ["*"],
        providerId: "test.endpoint",
        config: {},
        connectionId: undefined,
        signingSecrets: [],
        retry: undefined,
        enabled: true,
        disabledReason: undefined,
        disabledAtMs: undefined,
        filter: undefined,
        ordered: false,
        maxConcurrency: undefined,
        rateLimit: undefined,
        createdAtMs: now,
        updatedAtMs: now
      })
      yield* storage.append([{
        id,
        eventId: "incident.incident.created",
        tenantId: "default",
        orderingKey: undefined,
        payloadJson: "{}"
      }])
      const { version } = yield* storage.subscriptions
      const deliveryId = yield* Id.deliveryId(now)
      const routed = yield* storage.route({
        version,
        messages: [{
          owner,
          messageId: id,
          seq: 1,
          matched: 1,
          filtered: 0,
          transformedJson: undefined,
          error: undefined
        }],
        deliveries: [{ id: deliveryId, messageId: id, subscriptionId, claimed: false }]
      })
      assert.deepStrictEqual(routed, { _tag: "Routed", messageIds: [id], failing: [] })
      const claim = storage.claim({
        owners: [owner],
        lanes: [{ workerGroup: group.workerGroup, subscriptionId, free: 10 }],
        limit: 10,
        bytes: 1e9,
        suspectClaims: 2,
        suspectProviders: []
      })
      // The take-over's transaction is held open while the old owner claims: the claim waits for it and then does nothing.
      const taken = yield* Deferred.make<void>()
      const commit = yield* Deferred.make<void>()
      const takeOver = yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`update hookline.owners set epoch = nextval('hookline.epoch_seq'),
          runner_id = ${Id.toUuid(second)}::uuid where worker_group = ${group.workerGroup}`
        yield* Deferred.succeed(taken, undefined)
        yield* Deferred.await(commit)
      })).pipe(Effect.forkChild)
      yield* Deferred.await(taken)
      const claiming = yield* Effect.forkChild(claim)
      yield* until(
        "the claim waits for the take-over",
        Effect.map(
          sql<{ readonly n: number }>`select count(*)::int as n from pg_stat_activity
          where wait_event_type = 'Lock' and query like '%asked as materialized%'`,
          ([row]) => (row?.n ?? 0) > 0
        )
      )
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(takeOver)
      assert.deepStrictEqual(yield* Fiber.join(claiming), { claimed: [], next: [], health: [] })
      const recorded = yield* storage.record([{
        owner,
        deliveryId,
        attemptCount: 0,
        attempt: { number: 1, startedAtMs: now, durationMs: 1, outcome: "success" },
        transition: { _tag: "Final", status: "success", reason: undefined, externalId: undefined, lastError: undefined }
      }])
      assert.deepStrictEqual(recorded, [])
      const [delivery] = yield* storage.listDeliveries({}, { cursor: undefined, limit: 1 })
      assert.strictEqual(delivery?.status, "pending")
    }).pipe(Effect.provide(PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer)))))

  it.live("a message emitted right after a subscription's creation was answered reaches it, 500 times in a row", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      for (let n = 0; n < 500; n++) {
        const name = `s${n}`
        const got = yield* Latch.make()
        endpoints.behaviours.set(name, () => Effect.as(got.open, {}))
        const { id } = yield* subscribe(name)
        yield* Hook.emit(Created, payload)
        yield* Effect.timeoutOrElse(got.await, {
          duration: "20 seconds",
          orElse: () => Effect.die(new Error(`${name} did not get it`))
        })
        yield* subscriptions.remove(id)
      }
    }).pipe(Effect.provide(world(endpoints)))
  }, 120_000)
})
