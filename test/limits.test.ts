import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Exit, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import * as RateLimit from "../src/RateLimit.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { Subscriptions } from "../src/Subscriptions.ts"
import { Broken, Created, Endpoints, layer, layerOn, subscribe, until, within } from "./support/world.ts"

const emitMany = (count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    (_, n) =>
      n % 2 === 0
        ? Hook.emit(Created, { incidentId: String(n), systemIds: [] })
        : Hook.emit(Broken, { n }),
    { concurrency: 50 }
  )

/** HOOKLINE_LONG=1 proves it at length, as `.ci/run --long` does. */
const isLong = process.env["HOOKLINE_LONG"] === "1"

const both = ["incident.incident.created", "incident.broken"]

/** The largest number of times within any stretch of `ms`. */
const most = (times: ReadonlyArray<number>, ms: number) =>
  Math.max(...times.map((from) => times.filter((time) => time >= from && time < from + ms).length))

describe("a rate limit", () => {
  it.effect.prop(
    "lets no more begin in any time than its burst and what the rate gives, and no less",
    {
      limit: RateLimit.RateLimit,
      gaps: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 }))).check(
        Schema.isMaxLength(50)
      )
    },
    ({ gaps, limit }) =>
      Effect.sync(() => {
        const costMs = RateLimit.costMs(limit)
        let filledAtMs = 0
        let nowMs = 1_700_000_000_000
        const begun: Array<number> = []
        for (const gap of gaps) {
          nowMs += gap
          const free = RateLimit.free(limit, filledAtMs, nowMs)
          assert.strictEqual(free > 0, RateLimit.nextAtMs(limit, filledAtMs) <= nowMs)
          if (free === 0) nowMs = Math.ceil(RateLimit.nextAtMs(limit, filledAtMs))
          filledAtMs = RateLimit.take(limit, filledAtMs, nowMs)
          begun.push(nowMs)
        }
        const burst = limit.burst ?? limit.messages
        for (const [i, from] of begun.entries()) {
          for (const [j, to] of begun.entries()) {
            if (j > i) assert.isAtMost(j - i + 1, burst + (to - from) / costMs + 1e-6)
          }
        }
      })
  )

  it.effect("holds for all events of a subscription together, and loses nothing", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a", both, { rateLimit: { messages: 10, intervalMs: 1000, burst: 1 } })
      const startMs = yield* Clock.currentTimeMillis
      yield* emitMany(100)
      yield* until("all are delivered", () => endpoints.of("a").length === 100)
      const times = endpoints.of("a").map(({ atMs }) => atMs - startMs)
      assert.isAtMost(most(times, 1000), 11)
      assert.isAtMost(Math.max(...times), 11_500)
      assert.isAtLeast(Math.max(...times), 9_900)
      assert.strictEqual(new Set(endpoints.of("a").map(({ attempt }) => attempt.deliveryId)).size, 100)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("lets a burst through at once, and keeps nobody else waiting", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("slow", both, { rateLimit: { messages: 1, intervalMs: 60_000, burst: 5 } })
      yield* subscribe("fast", both)
      yield* emitMany(50)
      yield* until("the other has all", () => endpoints.of("fast").length === 50, 5000)
      yield* until("the burst is through", () => endpoints.of("slow").length === 5, 5000)
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(endpoints.of("slow").length, 5)
      yield* TestClock.adjust("200 seconds")
      assert.isTrue([8, 9].includes(endpoints.of("slow").length), `${endpoints.of("slow").length} were sent`)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("outlives a restart: what was spent before is not spent again", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const storage = yield* Layer.build(StorageMemory.layer)
      const runtime = layerOn(endpoints, Layer.succeedContext(storage))
      yield* within(
        runtime,
        Effect.gen(function*() {
          yield* subscribe("a", both, { rateLimit: { messages: 2, intervalMs: 600_000 } })
          yield* emitMany(10)
          yield* until("the burst is through", () => endpoints.of("a").length === 2, 5000)
          yield* TestClock.adjust("2 seconds")
        })
      )
      yield* within(
        runtime,
        Effect.gen(function*() {
          yield* TestClock.adjust("4 minutes")
          assert.strictEqual(endpoints.of("a").length, 2)
          yield* TestClock.adjust("2 minutes")
          assert.strictEqual(endpoints.of("a").length, 3)
        })
      )
    })
  })

  it.effect("that is changed applies at once, and ends when it is taken away", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("a", both, { rateLimit: { messages: 1, intervalMs: 3_600_000 } })
      yield* emitMany(100)
      yield* until("one is through", () => endpoints.of("a").length === 1, 5000)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(endpoints.of("a").length, 1)
      yield* subscriptions.update(id, { rateLimit: null })
      yield* until("the rest is through", () => endpoints.of("a").length === 100, 5000)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("that is changed owes no more than a burst of its own, whatever the one before it had spent", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const hourly = { messages: 1, intervalMs: 3_600_000, burst: 5 }
      const { id } = yield* subscribe("a", both, { rateLimit: hourly })
      yield* emitMany(25)
      yield* until("the burst is through", () => endpoints.of("a").length === 5, 5000)
      yield* subscriptions.update(id, { rateLimit: { messages: 10, intervalMs: 1000 } })
      yield* until("the rest is through", () => endpoints.of("a").length === 25, 5000)
      assert.isAtMost(most(endpoints.of("a").slice(5).map(({ atMs }) => atMs), 1000), 10)
    }).pipe(Effect.provide(layer(endpoints)))
  })
})

/** An endpoint that takes so long for each attempt, and how many are and were under way at once. */
const counting = (takes: Duration.Input) => {
  const endpoints = new Endpoints()
  const attempts = { underWay: 0, most: 0 }
  endpoints.behaviours.set("a", () =>
    Effect.gen(function*() {
      attempts.most = Math.max(attempts.most, ++attempts.underWay)
      yield* Effect.sleep(takes)
      attempts.underWay--
      return { statusCode: 200 }
    }))
  return { attempts, endpoints }
}

describe("a limit of attempts at once", () => {
  it.effect("holds for all events of a subscription together, and loses nothing", () => {
    const { attempts, endpoints } = counting("100 millis")
    return Effect.gen(function*() {
      yield* subscribe("a", both, { maxConcurrency: 3 })
      yield* emitMany(60)
      yield* until("all are delivered", () => endpoints.of("a").length === 60)
      assert.strictEqual(attempts.most, 3)
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("is kept when a subscription gets it while attempts are under way", () => {
    const { attempts, endpoints } = counting("5 seconds")
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const { id } = yield* subscribe("a", both)
      yield* emitMany(4)
      yield* until("they are under way", () => attempts.underWay === 4)
      yield* subscriptions.update(id, { maxConcurrency: 1 })
      attempts.most = 0
      yield* emitMany(3)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(endpoints.seen.length, 4)
      yield* until("all are delivered", () => endpoints.seen.length === 7 && attempts.underWay === 0)
      assert.strictEqual(attempts.most, 1)
    }).pipe(Effect.provide(layer(endpoints)))
  })
})

describe("limits of subscriptions", () => {
  it.effect("that make no sense are refused where they are wrong", () =>
    Effect.gen(function*() {
      const wrong = [
        [{ maxConcurrency: 0 }, "maxConcurrency"],
        [{ maxConcurrency: -1 }, "maxConcurrency"],
        [{ maxConcurrency: 1.5 }, "maxConcurrency"],
        [{ maxConcurrency: "3" }, "maxConcurrency"],
        [{ rateLimit: { messages: 0, intervalMs: 1000 } }, "rateLimit.messages"],
        [{ rateLimit: { messages: -5, intervalMs: 1000 } }, "rateLimit.messages"],
        [{ rateLimit: { messages: 1, intervalMs: 0 } }, "rateLimit.intervalMs"],
        [{ rateLimit: { messages: 1, intervalMs: 1000, burst: 0 } }, "rateLimit.burst"],
        [{ rateLimit: { messages: 1, intervalMs: 1000, bursts: 1 } }, "rateLimit.bursts"],
        [{ rateLimit: { messages: 1 } }, "rateLimit.intervalMs"],
        [{ rateLimit: 5 }, "rateLimit"]
      ] as const
      for (const [extra, path] of wrong) {
        const error = yield* Effect.flip(subscribe("a", both, extra))
        assert.deepInclude(error, { _tag: "SubscriptionRefused", path })
      }
    }).pipe(Effect.provide(layer(new Endpoints()))))

  it.effect("of thousands of subscriptions are kept by one runner", () => {
    const endpoints = new Endpoints()
    const count = isLong ? 10_000 : 2000
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer(endpoints), scope)
      yield* Effect.gen(function*() {
        const storage = yield* Storage
        yield* Effect.forEach(
          Array.from({ length: count }),
          (_, n) =>
            subscribe(`s${n}`, undefined, { maxConcurrency: 1, rateLimit: { messages: 1, intervalMs: 10_000 } }),
          { discard: true }
        )
        yield* Hook.emit(Created, { incidentId: "a", systemIds: [] })
        yield* Hook.emit(Created, { incidentId: "b", systemIds: [] })
        yield* until("each has its first", () => new Set(endpoints.seen.map((seen) => seen.endpoint)).size === count)
        assert.strictEqual(endpoints.seen.length, count)
        yield* until("each has its second", () => endpoints.seen.length === 2 * count, 30_000)
        const left = yield* storage.due({ aheadMs: 1e9 })
        assert.deepStrictEqual(left.flatMap(({ lanes }) => lanes), [])
      }).pipe(Effect.provide(context))
      yield* Scope.close(scope, Exit.void)
    })
  }, isLong ? 600_000 : 30_000)
})
