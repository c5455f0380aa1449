import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import { layer as limits } from "../src/Limits.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Created, Endpoints, layer, subscribe, until, within } from "./support/world.ts"

const emit = (incidentId: string, n: number) => Hook.emit(Created, { incidentId, systemIds: [String(n)] })

/** What an endpoint saw of a key, each message at its first attempt. */
const seenOf = (endpoints: Endpoints, endpoint: string, key: string) => {
  const seen = new Set<string>()
  for (const { attempt } of endpoints.of(endpoint)) {
    const { incidentId, systemIds } = JSON.parse(attempt.message.payloadJson)
    if (incidentId === key) seen.add(systemIds[0])
  }
  return [...seen].map(Number)
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)

const retry = { type: "delays", delaysMs: Array.from({ length: 50 }, () => 1000) }

const away = new Provider.RetryableError({ code: "Status", message: "away" })

describe("an ordered subscription", () => {
  it.effect("gets the messages of a key in the order they were emitted, through retries", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set(
      "a",
      () => Effect.flatMap(Random.next, (dice) => dice < 0.3 ? Effect.fail(away) : Effect.succeed({ statusCode: 200 }))
    )
    return Effect.gen(function*() {
      yield* subscribe("a", undefined, { ordered: true, retry })
      for (const n of upTo(30)) for (const key of ["x", "y", "z"]) yield* emit(key, n)
      yield* until(
        "all are delivered",
        () => ["x", "y", "z"].every((key) => seenOf(endpoints, "a", key).length === 30),
        600_000
      )
      for (const key of ["x", "y", "z"]) assert.deepStrictEqual(seenOf(endpoints, "a", key), upTo(30))
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("keeps a message waiting until the one before has ended, and no message of another key", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set(
      "a",
      ({ message }) =>
        message.payloadJson.includes("stuck") && message.payloadJson.includes("\"0\"")
          ? Effect.fail(away)
          : Effect.succeed({ statusCode: 200 })
    )
    return Effect.gen(function*() {
      const storage = yield* Storage
      const { id } = yield* subscribe("a", undefined, { ordered: true, retry: { type: "delays", delaysMs: [60_000] } })
      for (const n of upTo(5)) yield* emit("stuck", n)
      for (const n of upTo(5)) yield* emit("free", n)
      yield* until("the other key is through", () => seenOf(endpoints, "a", "free").length === 5, 3000)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(seenOf(endpoints, "a", "stuck"), [0])
      const [blocked] = yield* storage.blockedKeys(id, { cursor: undefined, limit: 10, counted: 100 })
      assert.deepStrictEqual([blocked?.orderingKey, blocked?.waiting], ["stuck", 4])
      yield* TestClock.adjust("40 seconds")
      yield* until(
        "its key goes on when it has failed for good",
        () => seenOf(endpoints, "a", "stuck").length === 5,
        3000
      )
      assert.deepStrictEqual(seenOf(endpoints, "a", "stuck"), upTo(5))
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("keeps messages waiting that came before it was ordered, in order from then on", () => {
    const endpoints = new Endpoints()
    endpoints.behaviours.set(
      "a",
      ({ message }) => Effect.as(Effect.sleep(message.payloadJson.includes("\"0\"") ? 5000 : 1), { statusCode: 200 })
    )
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("a")
      yield* emit("k", 0)
      yield* until("its first attempt is under way", () => endpoints.seen.length === 1)
      yield* subscriptions.update(id, { ordered: true })
      for (const n of [1, 2, 3]) yield* emit("k", n)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(seenOf(endpoints, "a", "k"), [0])
      yield* until("all are delivered", () => endpoints.seen.length === 4)
      assert.deepStrictEqual(seenOf(endpoints, "a", "k"), [0, 1, 2, 3])
      // And the way back.
      yield* subscriptions.update(id, { ordered: false })
      yield* emit("k", 0)
      yield* emit("k", 5)
      yield* until("the second overtakes the first", () => seenOf(endpoints, "a", "k").includes(5), 3000)
      yield* TestClock.adjust("5 seconds")
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect.prop(
    "never gets a message before one of its key that was emitted earlier, whatever fails and whenever it is changed",
    {
      failing: Schema.Array(Schema.Literals(["ok", "ok", "retry", "permanent", "slow"])).check(
        Schema.isMinLength(5),
        Schema.isMaxLength(30)
      ),
      change: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
    },
    ({ change, failing }) => {
      const endpoints = new Endpoints()
      let attempts = 0
      endpoints.behaviours.set("a", () => {
        // Something is accepted now and then.
        switch ([...failing, "ok", "ok"][attempts++ % (failing.length + 2)]) {
          case "retry":
            return Effect.fail(away)
          case "permanent":
            return Effect.fail(new Provider.PermanentError({ code: "Status", message: "no" }))
          case "slow":
            return Effect.as(Effect.sleep("300 millis"), { statusCode: 200 })
          default:
            return Effect.succeed({ statusCode: 200 })
        }
      })
      const body = Effect.gen(function*() {
        const subscriptions = yield* Subscriptions
        const { id } = yield* subscribe("a", undefined, { ordered: true, retry })
        for (const n of upTo(20)) {
          if (n === change) yield* subscriptions.update(id, { maxConcurrency: 1 + (n % 3) })
          yield* emit(n % 3 === 0 ? "x" : "y", n)
          if (n % 4 === 0) yield* TestClock.adjust(20)
        }
        yield* until(
          "all are delivered",
          () => seenOf(endpoints, "a", "x").length + seenOf(endpoints, "a", "y").length === 20,
          600_000
        )
        for (const key of ["x", "y"]) {
          const seen = seenOf(endpoints, "a", key)
          assert.deepStrictEqual(seen, [...seen].sort((a, b) => a - b))
        }
      })
      // A last attempt may be under way.
      return within(layer(endpoints), body).pipe(
        Effect.provide(limits({ circuitFailures: 1000, circuitSampleAttempts: 1000 }))
      )
    },
    { arbitrary: { runs: 15 } }
  )

  it.effect("is refused where messages of its events have no ordering key", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(subscribe("a", ["*"], { ordered: true }))
      assert.deepInclude(error, { _tag: "SubscriptionRefused", path: "ordered" })
      assert.include(error.message, "incident.broken")
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("b", ["incident.broken"])
      const change = yield* Effect.flip(subscriptions.update(id, { ordered: true }))
      assert.deepInclude(change, { path: "ordered" })
      const { id: ordered } = yield* subscribe("c", undefined, { ordered: true })
      const widened = yield* Effect.flip(subscriptions.update(ordered, { events: ["incident.*"] }))
      assert.deepInclude(widened, { path: "ordered" })
    }).pipe(Effect.provide(layer(new Endpoints()))))
})
