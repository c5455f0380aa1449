import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as PgClock from "../../src/storage/PgClock.ts"

const unknown: PgClock.Known = { offsetMs: 0, tripMs: Number.POSITIVE_INFINITY }

/** A trip of a machine whose clock is behind the database's by `offsetMs`, and is set by `stepMs` while it lasts. */
const trip = (
  options: { readonly offsetMs: number; readonly tripMs: number; readonly stepMs?: number }
): PgClock.Sample => ({
  sentAtMs: 1e12,
  databaseMs: 1e12 + options.tripMs / 2 + options.offsetMs,
  receivedAtMs: 1e12 + options.tripMs + (options.stepMs ?? 0),
  tripMs: options.tripMs
})

const ms = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("the database's clock", () => {
  it.prop("is known within half of the trip that told it", [ms(1_000_000), ms(10_000)], ([offsetMs, tripMs]) => {
    assert.approximately(PgClock.learn(unknown, trip({ offsetMs, tripMs })).offsetMs, offsetMs, tripMs / 2 + 1)
  })

  it("is not believed from one long trip, but from long trips that stay", () => {
    const known = PgClock.learn(unknown, trip({ offsetMs: 100, tripMs: 1 }))
    assert.strictEqual(PgClock.learn(known, trip({ offsetMs: 900, tripMs: 1500 })).offsetMs, 100)
    let later = known
    for (let n = 0; n < 60; n++) later = PgClock.learn(later, trip({ offsetMs: 900, tripMs: 1500 }))
    assert.strictEqual(later.offsetMs, 900)
  })

  it.prop(
    "is not learnt while this machine's clock is set, and follows it afterwards",
    [ms(100_000_000), Schema.Boolean, ms(50)],
    ([by, back, tripMs]) => {
      const stepMs = (by + 100) * (back ? -1 : 1)
      const known = PgClock.learn(unknown, trip({ offsetMs: 7, tripMs }))
      assert.deepStrictEqual(PgClock.learn(known, trip({ offsetMs: 7, tripMs, stepMs })), known)
      assert.strictEqual(PgClock.learn(known, trip({ offsetMs: 7 - stepMs, tripMs })).offsetMs, 7 - stepMs)
    }
  )
})
