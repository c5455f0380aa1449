import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import * as Provider from "../src/Provider.ts"
import { Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

/** The gauges of a world, by what is left of their names. */
const gauges = Effect.map(
  Metric.snapshot,
  (snapshots): Readonly<Record<string, number>> =>
    Object.fromEntries(
      snapshots.flatMap((snapshot) =>
        snapshot.type === "Gauge" ? [[snapshot.id.replace("hookline_", ""), Number(snapshot.state.value)]] : []
      )
    )
)

const alone = Effect.provideContext(Context.make(Metric.MetricRegistry, new Map()))

describe("the gauges of a runner's memory", () => {
  it.effect("tell what is under way, what waits, and which lanes hang", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("hangs", () => Effect.never)
    return within(
      layer(endpoints),
      Effect.gen(function*() {
        yield* subscribe("hangs", ["incident.*"], { maxConcurrency: 1 })
        for (let n = 0; n < 3; n++) yield* Hook.emit(Created, payload)
        yield* until("an attempt is under way", () => endpoints.seen.length === 1)
        assert.deepInclude(yield* gauges, {
          attempts_in_flight: 1,
          deliveries_in_memory: 2,
          deliveries_waiting: 1,
          lanes: 1,
          lanes_slow: 0,
          lanes_backlog: 1,
          lanes_open: 0,
          outcomes_queued: 0
        })
        const { groups_attached = 0, lease_remaining_seconds = 0, window_bytes } = yield* gauges
        assert.isAtLeast(groups_attached, 2)
        assert.isAbove(lease_remaining_seconds, 0)
        assert.strictEqual(window_bytes, 2 * JSON.stringify(payload).length)
        yield* TestClock.adjust("2 seconds")
        assert.deepInclude(yield* gauges, { lanes_slow: 1 })
      })
    ).pipe(alone)
  })

  it.effect("tell which circuits are open, and are gone with their runner", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set(
      "fails",
      () => Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 503", statusCode: 503 }))
    )
    return Effect.gen(function*() {
      yield* within(
        layer(endpoints),
        Effect.gen(function*() {
          yield* subscribe("fails", ["incident.*"], { retry: { type: "delays", delaysMs: [100, 100, 100, 100] } })
          for (let n = 0; n < 10; n++) yield* Hook.emit(Created, payload)
          yield* until("its circuit is open", () => Effect.map(gauges, ({ lanes_open }) => lanes_open === 1))
          yield* TestClock.adjust("5 seconds")
          assert.deepInclude(yield* gauges, { lanes_open: 0 })
        })
      )
      assert.notProperty(yield* gauges, "attempts_in_flight")
    }).pipe(alone)
  })
})
