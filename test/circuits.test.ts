import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Circuit from "../src/Circuit.ts"
import * as Hook from "../src/Hook.ts"
import { defaults, layer as limits } from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Created, Endpoints, layer, layerOn, subscribe, until, within } from "./support/world.ts"

const payload = { incidentId: "i", systemIds: [] }

const emitMany = (count: number) => Effect.replicateEffect(Hook.emit(Created, payload), count, { discard: true })

const away = Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "503" }))

const often = { type: "delays", delaysMs: Array.from({ length: 90 }, () => 1000) }

const view = (id: Parameters<Subscriptions["Service"]["get"]>[0]) =>
  Effect.orDie(Subscriptions.use((service) => service.get(id)))

const deliveries = (filter: Parameters<Storage["Service"]["listDeliveries"]>[0] = {}) =>
  Storage.use((storage) => Effect.orDie(storage.listDeliveries(filter, { cursor: undefined, limit: 100 })))

/** What an endpoint was told of Hookline's own events. */
const told = (endpoints: Endpoints, endpoint = "ops") =>
  endpoints.of(endpoint).map(({ attempt: { message } }) => ({
    event: message.eventId.slice("hookline.".length),
    ...JSON.parse(message.payloadJson)
  }))

describe("a circuit", () => {
  const { circuitOpenCapMs, circuitOpenMs } = defaults
  const run = (signs: ReadonlyArray<Circuit.Sign>, everyMs: number) => {
    let circuit = Circuit.closed
    const steps = signs.map((sign, n) => {
      const nowMs = 1_700_000_000_000 + n * everyMs
      circuit = Circuit.step(circuit, sign, { nowMs, startedAtMs: nowMs }, defaults)
      return { circuit, nowMs }
    })
    return { circuit, steps, nowMs: steps.at(-1)?.nowMs ?? 0 }
  }
  const times = <A>(count: number, value: A) => Array.from({ length: count }, () => value)

  it("opens after ten failures in a row over a second or longer", () => {
    assert.isUndefined(run(times(9, "failed" as const), 1000).circuit.openUntilMs)
    assert.isUndefined(run(times(20, "failed" as const), 10).circuit.openUntilMs)
    const { circuit, nowMs } = run(times(10, "failed" as const), 1000)
    assert.strictEqual(circuit.openUntilMs, nowMs + circuitOpenMs)
    assert.strictEqual(Circuit.stateAt(circuit, nowMs), "open")
    assert.strictEqual(Circuit.stateAt(circuit, nowMs + circuitOpenMs), "half-open")
  })

  it("opens when four fifths of fifty attempts failed, however they are spread", () => {
    const spread = Array.from({ length: 60 }, (_, n): Circuit.Sign => n % 6 === 5 ? "accepted" : "failed")
    assert.isTrue(run(spread, 20).steps.some(({ circuit }) => circuit.openUntilMs !== undefined))
    const half = Array.from({ length: 200 }, (_, n): Circuit.Sign => n % 2 === 0 ? "accepted" : "failed")
    assert.isFalse(run(half, 20).steps.some(({ circuit }) => circuit.openUntilMs !== undefined))
  })

  it("stays open twice as long each time its probe fails, up to five minutes", () => {
    let { circuit, nowMs } = run(times(10, "failed" as const), 1000)
    for (let expected = 2 * circuitOpenMs; expected < 2 * circuitOpenCapMs; expected *= 2) {
      nowMs = circuit.openUntilMs ?? 0
      circuit = Circuit.step(circuit, "failed", { nowMs, startedAtMs: nowMs }, defaults)
      assert.strictEqual((circuit.openUntilMs ?? 0) - nowMs, Math.min(expected, circuitOpenCapMs))
    }
  })

  it("is closed by any answer; only what is accepted ends failing", () => {
    const { circuit, nowMs } = run(times(10, "failed" as const), 1000)
    const at = { nowMs: nowMs + 1, startedAtMs: nowMs }
    const refused = Circuit.step(circuit, "refused", at, defaults)
    assert.deepInclude(refused, { failures: 0, opens: 0, openUntilMs: undefined })
    assert.strictEqual(refused.failingSinceMs, circuit.failingSinceMs)
    assert.isUndefined(Circuit.step(refused, "accepted", at, defaults).failingSinceMs)
  })

  it.effect.prop(
    "never stays open longer than its cap, and opens on no attempt that was answered",
    {
      signs: Schema.Array(Schema.Literals(["accepted", "refused", "failed", "failed", "failed"])),
      everyMs: Schema.Int
    },
    ({ everyMs, signs }) =>
      Effect.sync(() => {
        const { steps } = run(signs, Math.abs(everyMs) % 10_000)
        for (const [n, { circuit, nowMs }] of steps.entries()) {
          if (signs[n] !== "failed") assert.isUndefined(circuit.openUntilMs)
          assert.isAtMost((circuit.openUntilMs ?? nowMs) - nowMs, circuitOpenCapMs)
        }
      })
  )
})

describe("an endpoint that is down", () => {
  it.effect("is spared: its deliveries wait without burning attempts, and a probe finds when it is back", () => {
    const endpoints = new Endpoints()
    let isDown = true
    endpoints.behaviours.set("a", () => isDown ? away : Effect.succeed({ statusCode: 200 }))
    return Effect.gen(function*() {
      const { id } = yield* subscribe("a", undefined, { retry: often })
      yield* subscribe("b")
      yield* emitMany(20)
      yield* until("the circuit opens", () => Effect.map(view(id), ({ circuit }) => circuit === "open"))
      const before = endpoints.of("a").length
      assert.deepInclude(yield* view(id), { circuit: "open" })
      assert.isAbove((yield* deliveries({ subscriptionId: id, reason: "circuit-open" })).length, 0)
      yield* TestClock.adjust("60 seconds")
      const probes = endpoints.of("a").length - before
      assert.isTrue(probes >= 2 && probes <= 4, `${probes} probes were sent in a minute`)
      assert.strictEqual(endpoints.of("b").length, 20)
      isDown = false
      yield* until(
        "all are delivered",
        () => Effect.map(deliveries({ subscriptionId: id, status: "success" }), (found) => found.length === 20),
        400_000
      )
      const found = yield* view(id)
      assert.deepStrictEqual([found.circuit, found.health], ["closed", undefined])
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("is spared by a runner that was restarted, too", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => away)
    return Effect.gen(function*() {
      const storage = yield* Layer.build(StorageMemory.layer)
      const runtime = layerOn(endpoints, Layer.succeedContext(storage))
      yield* within(
        runtime,
        Effect.gen(function*() {
          const { id } = yield* subscribe("a", undefined, { retry: often })
          yield* emitMany(20)
          yield* until("it opened several times", () => Effect.map(view(id), ({ health }) => (health?.opens ?? 0) >= 4))
        })
      )
      const before = endpoints.of("a").length
      yield* within(
        runtime,
        Effect.gen(function*() {
          yield* emitMany(20)
          yield* TestClock.adjust("30 seconds")
        })
      )
      assert.isAtMost(endpoints.of("a").length - before, 2)
    })
  })

  it.effect("is tried at once when its subscription is changed", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => away)
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("a", undefined, { retry: often })
      yield* emitMany(20)
      yield* until("it opened several times", () => Effect.map(view(id), ({ health }) => (health?.opens ?? 0) >= 4))
      yield* subscriptions.update(id, { config: { name: "mended" } })
      yield* until("all are delivered", () => endpoints.of("mended").length === 20, 5000)
    }).pipe(Effect.provide(layer(endpoints)))
  })
})

describe("operational events", () => {
  const operations = ["hookline.*"]
  const minuteMs = 60_000
  /** A day in a minute: nobody waits that long, on virtual time neither. */
  const soon = limits({ failingWarnMs: minuteMs, failingDisableMs: 5 * minuteMs })
  const quarterly = { type: "delays", delaysMs: Array.from({ length: 90 }, () => minuteMs / 4) }

  it.effect("warn before a subscription is disabled of which nothing is accepted for five days", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => away)
    return Effect.gen(function*() {
      const { id } = yield* subscribe("a", undefined, { retry: quarterly })
      yield* subscribe("ops", operations)
      yield* emitMany(1)
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(told(endpoints), [])
      yield* TestClock.adjust("12 seconds")
      yield* until("people are warned", () => endpoints.of("ops").length === 1)
      const [warning] = told(endpoints)
      assert.deepInclude(warning, { event: "subscription.failing", subscriptionId: id, name: "a", lastError: "503" })
      assert.strictEqual(Date.parse(warning.disabledAt) - Date.parse(warning.failingSince), 5 * minuteMs)
      yield* TestClock.adjust("225 seconds")
      assert.strictEqual(told(endpoints).length, 1)
      assert.isTrue((yield* view(id)).enabled)
      yield* TestClock.adjust("20 seconds")
      yield* until("that it is disabled is told", () => endpoints.of("ops").length === 2)
      assert.deepInclude(told(endpoints)[1], { event: "subscription.disabled", subscriptionId: id, reason: "failing" })
      const found = yield* view(id)
      assert.deepStrictEqual([found.enabled, found.disabledReason], [false, "failing"])
    }).pipe(Effect.provide(layer(endpoints)), Effect.provide(soon))
  })

  it.effect("tell that a failing subscription has recovered, and begin to count anew", () => {
    const endpoints = new Endpoints()
    let isDown = true
    endpoints.behaviours.set("a", () => isDown ? away : Effect.succeed({}))
    return Effect.gen(function*() {
      yield* subscribe("a", undefined, { retry: quarterly })
      yield* subscribe("ops", operations)
      yield* emitMany(1)
      yield* TestClock.adjust("65 seconds")
      yield* until("people are warned", () => endpoints.of("ops").length === 1)
      isDown = false
      yield* TestClock.adjust("20 seconds")
      yield* until("that it recovered is told", () => endpoints.of("ops").length === 2)
      assert.strictEqual(told(endpoints)[1]?.event, "subscription.recovered")
      isDown = true
      yield* emitMany(1)
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(endpoints.of("ops").length, 2)
    }).pipe(Effect.provide(layer(endpoints)), Effect.provide(soon))
  })

  it.effect("tell of exhausted deliveries and of endpoints that are gone, and cause none themselves", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set("a", () => away)
    endpoints.behaviours.set("gone", () => Effect.fail(new Provider.GoneError({ code: "HttpStatus", message: "410" })))
    endpoints.behaviours.set("deaf", () => away)
    return Effect.gen(function*() {
      yield* subscribe("ops", operations)
      yield* subscribe("deaf", operations, { retry: { type: "delays", delaysMs: [] } })
      yield* subscribe("all", ["*"])
      const { id } = yield* subscribe("a", undefined, { retry: { type: "delays", delaysMs: [10] } })
      const { id: gone } = yield* subscribe("gone")
      yield* emitMany(1)
      yield* until("both are told", () => endpoints.of("ops").length === 2)
      const events = told(endpoints).sort((one, other) => one.event < other.event ? -1 : 1)
      assert.deepInclude(events[0], {
        event: "delivery.exhausted",
        subscriptionId: id,
        eventId: "incident.incident.created",
        attemptCount: 2,
        lastError: "503"
      })
      assert.deepInclude(events[1], { event: "subscription.disabled", subscriptionId: gone, reason: "gone" })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(endpoints.of("ops").length, 2)
      assert.strictEqual(endpoints.of("deaf").length, 2)
      assert.deepStrictEqual(endpoints.of("all").map(({ attempt }) => attempt.message.eventId), [
        "incident.incident.created"
      ])
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("are Hookline's to tell", () =>
    Effect.gen(function*() {
      const hooks = yield* Hook.Hooks
      const error = yield* Effect.flip(hooks.emitJson("hookline.subscription.failing", {}))
      assert.strictEqual(error._tag, "HookNotRegistered")
    }).pipe(Effect.provide(layer(new Endpoints()))))
})
