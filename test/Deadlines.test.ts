import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Deadlines from "../src/Deadlines.ts"

/** Deadlines, and the names of those that were reached. */
const watched = Effect.map(Deadlines.make, (deadlines) => {
  const reached: Array<string> = []
  return { reached, add: (name: string, ms: number) => deadlines.add(ms, () => reached.push(name)) }
})

describe("deadlines", () => {
  it.effect("are reached in the order of their times, whatever the order in which they were set", () =>
    Effect.gen(function*() {
      const { add, reached } = yield* watched
      add("slow", 300)
      add("quick", 100)
      add("quick too", 100)
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(reached, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(reached, ["quick", "quick too"])
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(reached, ["quick", "quick too", "slow"])
    }))

  it.effect("that were taken back are never reached", () =>
    Effect.gen(function*() {
      const { add, reached } = yield* watched
      const takeBack = add("taken back", 100)
      add("kept", 100)
      takeBack()
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(reached, ["kept"])
    }))

  it.effect("may be set while others are waited for, and while one is reached", () =>
    Effect.gen(function*() {
      const deadlines = yield* Deadlines.make
      const reached: Array<string> = []
      deadlines.add(1000, () => reached.push("last"))
      yield* TestClock.adjust(100)
      deadlines.add(200, () => {
        reached.push("first")
        deadlines.add(200, () => reached.push("second"))
      })
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(reached, ["first"])
      yield* TestClock.adjust(200)
      assert.deepStrictEqual(reached, ["first", "second"])
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(reached, ["first", "second", "last"])
    }))
})
