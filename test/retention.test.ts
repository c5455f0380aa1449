import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as Hook from "../src/Hook.ts"
import * as Limits from "../src/Limits.ts"
import { RetryableError } from "../src/Provider.ts"
import { dayMs, dayOf, firstMs, type Terms, termsOf, within } from "../src/Retention.ts"
import * as RetrySchedule from "../src/RetrySchedule.ts"
import { Storage } from "../src/Storage.ts"
import { Created, Endpoints, interfered, layer, layerOn, subscribe, until } from "./support/world.ts"

const limits = (overrides: Partial<Limits.Limits>): Limits.Limits => ({ ...Limits.defaults, ...overrides })

describe("the terms of history", () => {
  it("are 30 days unless said, at least one, and attempts never outlast their deliveries", () => {
    assert.deepStrictEqual(termsOf(Limits.defaults), { historyKeptMs: 30 * dayMs, attemptsKeptMs: 30 * dayMs })
    assert.deepStrictEqual(
      termsOf(limits({ historyKeptMs: 7 * dayMs })),
      { historyKeptMs: 7 * dayMs, attemptsKeptMs: 7 * dayMs }
    )
    assert.deepStrictEqual(
      termsOf(limits({ attemptsKeptMs: 0 })),
      { historyKeptMs: 30 * dayMs, attemptsKeptMs: dayMs }
    )
    assert.deepStrictEqual(termsOf(limits({ historyKeptMs: 1 })), { historyKeptMs: dayMs, attemptsKeptMs: dayMs })
  })

  it("bound how long a delivery may live", () => {
    assert.deepStrictEqual(within(Limits.defaults), {
      heldMaxAgeMs: 7 * dayMs,
      deliverAheadMs: 30 * dayMs,
      retryMaxAgeMs: 30 * dayMs
    })
    assert.deepStrictEqual(within(limits({ historyKeptMs: 3 * dayMs })), {
      heldMaxAgeMs: 3 * dayMs,
      deliverAheadMs: 3 * dayMs,
      retryMaxAgeMs: 3 * dayMs
    })
    // What else is kept for a time needs no more than the shortest term.
    assert.isAtMost(Limits.defaults.idempotencyTtlMs, dayMs)
    assert.isAtMost(Limits.defaults.broadcastKeptMs, dayMs)
  })

  it("leave whole days", () => {
    const now = Date.UTC(2026, 0, 31, 12)
    assert.strictEqual(dayOf(now), "2026-01-31")
    assert.strictEqual(dayOf(firstMs(now, 30 * dayMs)), "2026-01-01")
    assert.strictEqual(firstMs(now, 30 * dayMs), Date.UTC(2026, 0, 1))
  })

  it.effect("end a schedule that would go on for longer", () =>
    Effect.gen(function*() {
      const endless = RetrySchedule.fromSchedule(Schedule.spaced("1 day"))
      const error = new RetryableError({ code: "No", message: "no" })
      const next = (days: number, maxAgeMs?: number) =>
        RetrySchedule.next(endless, {
          history: Array.from({ length: days + 1 }, (_, n) => ({ atMs: n * dayMs, error })),
          seed: "a",
          ...(maxAgeMs === undefined ? {} : { maxAgeMs })
        })
      assert.deepStrictEqual(yield* next(40), Option.some(dayMs))
      assert.deepStrictEqual(yield* next(28, 30 * dayMs), Option.some(dayMs))
      assert.deepStrictEqual(yield* next(30, 30 * dayMs), Option.none())
    }))

  it.effect("refuse a schedule that says that it goes on for longer, and what would be delivered later", () =>
    Effect.gen(function*() {
      const retry = (maxAgeMs: number) => ({
        type: "exponential",
        baseMs: 1000,
        factor: 2,
        capMs: 60_000,
        maxAttempts: 5,
        jitter: 0,
        maxAgeMs
      })
      yield* subscribe("a", undefined, { retry: retry(3 * dayMs) })
      const refused = yield* Effect.flip(subscribe("b", undefined, { retry: retry(3 * dayMs + 1) }))
      assert.deepInclude(refused, { _tag: "SubscriptionRefused", path: "retry.maxAgeMs" })
      const deliverAt = (days: number) => ({ deliverAt: DateTime.makeUnsafe(days * dayMs) })
      yield* Hook.emit(Created, { incidentId: "i1", systemIds: [] }, deliverAt(2))
      const late = yield* Effect.flip(Hook.emit(Created, { incidentId: "i1", systemIds: [] }, deliverAt(4)))
      assert.include(String(late), "3 days ahead")
    }).pipe(Effect.provide(layer(new Endpoints()).pipe(Layer.provide(Limits.layer({ historyKeptMs: 3 * dayMs }))))))

  it.effect("are applied by housekeeping, which goes on where the database is away", () => {
    const asked: Array<Terms> = []
    const storage = interfered((storage) => ({
      dropExpired: (terms) => {
        asked.push(terms)
        return storage.dropExpired(terms)
      }
    }))
    return Effect.gen(function*() {
      yield* Storage
      yield* until("it has looked three times", () => asked.length >= 3, 300_000)
      assert.deepStrictEqual(asked[0], { historyKeptMs: 9 * dayMs, attemptsKeptMs: 2 * dayMs })
      yield* TestClock.adjust("1 second")
    }).pipe(
      Effect.provide(
        layerOn(new Endpoints(), storage).pipe(
          Layer.provide(Limits.layer({ historyKeptMs: 9 * dayMs, attemptsKeptMs: 2 * dayMs }))
        )
      )
    )
  })
})
