import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Layer } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Hook from "../src/Hook.ts"
import * as Id from "../src/Id.ts"
import { defaults } from "../src/Limits.ts"
import { Storage } from "../src/Storage.ts"
import * as PgStorage from "../src/storage/PgStorage.ts"
import * as Postgres from "./support/postgres.ts"
import { until } from "./support/process.ts"
import { Created, Endpoints, layerOn, subscribe } from "./support/world.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** Bytes that the process holds after a collection. */
const heldBytes = Effect.sync(() => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

const waiting = 200_000
const hanging = 20

describe("guarantee 7, bounded, on PostgreSQL", () => {
  it.live("memory stays flat while 200,000 deliveries wait, and a new message overtakes them", () => {
    const endpoints = new Endpoints()
    const hangs = Latch.makeUnsafe()
    return Effect.scoped(Effect.gen(function*() {
      const database = yield* Layer.build(PgStorage.layer().pipe(Layer.provideMerge(Postgres.layer)))
      const world = yield* Layer.build(layerOn(endpoints, Layer.succeedContext(database)))
      yield* Effect.gen(function*() {
        const sql = yield* PgClient.PgClient
        const storage = yield* Storage
        const ids = yield* Effect.forEach(Array.from({ length: hanging }, (_, n) => `hangs ${n}`), (name) => {
          endpoints.behaviours.set(name, () => Effect.as(hangs.await, {}))
          return Effect.map(subscribe(name, ["other.*"]), ({ id }) => Id.toUuid(id))
        })
        yield* subscribe("healthy")
        const before = yield* heldBytes
        const now = yield* storage.now
        const uuid = (middle: string) =>
          sql.literal(
            `(lpad(to_hex(${Math.floor(now)}::bigint), 12, '0') || '${middle}' || lpad(to_hex(g), 12, '0'))::uuid`
          )
        yield* sql`insert into hookline.messages (id, seq, event_id, tenant_id, payload)
          select ${uuid("70008000")}, g, 'incident.incident.created', 'default',
            '{"incidentId":"' || repeat('x', 1000) || '","systemIds":[]}'
          from generate_series(1, ${waiting}::int) g`
        yield* sql`insert into hookline.work (id, message_id, seq, subscription_id, worker_group, tenant_id, event_id, size)
          select ${uuid("70018000")}, ${uuid("70008000")}, g,
            (string_to_array(${ids.join(",")}, ','))[1 + g % ${hanging}::int]::uuid,
            'integration.incident.incident.created', 'default', 'incident.incident.created', 1000
          from generate_series(1, ${waiting}::int) g`
        yield* until("the hanging endpoints have their fill", Effect.sync(() => endpoints.seen.length >= 900))
        // Attempts that the test remembers are the test's.
        endpoints.seen.length = 0
        yield* Effect.forEach(Array.from({ length: 20 }), () =>
          Effect.gen(function*() {
            const seen = endpoints.of("healthy").length
            yield* Hook.emit(Created, { incidentId: "i1", systemIds: [] })
            yield* until("the healthy one gets it", Effect.sync(() => endpoints.of("healthy").length > seen))
          }))
        const grown = (yield* heldBytes) - before
        yield* until(
          "the hanging ones hold half of the window",
          Effect.map(
            sql<{ readonly n: number }>`select count(*)::int as n from hookline.work where epoch is not null`,
            ([held]) => (held?.n ?? 0) <= defaults.window * defaults.slowShare
          )
        )
        // All payloads would take 200 MB.
        assert.isBelow(grown, 64 * 1024 * 1024)
        // The hanging ones are let go for the end of the test, which is not to deliver the rest.
        yield* sql`truncate hookline.work`
      }).pipe(Effect.ensuring(hangs.open), Effect.provide(world), Effect.provide(database))
    }))
  }, 120_000)
})
