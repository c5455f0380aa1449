import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as PgMultirange from "../../src/storage/PgMultirange.ts"

const numbers = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })))

/** The numbers of a multirange's text. */
const numbersOf = (text: string): ReadonlyArray<number> =>
  Array.from(text.matchAll(/\[(\d+),(\d+)\]/g), ([, from, to]) => ({ from: Number(from), to: Number(to) }))
    .flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, n) => from + n))

describe("a multirange", () => {
  it("has one range for numbers that follow one another, in whatever order they come", () => {
    assert.strictEqual(PgMultirange.of([]), "{}")
    assert.strictEqual(PgMultirange.of([7]), "{[7,7]}")
    assert.strictEqual(PgMultirange.of([3, 1, 2, 9, 10, 5]), "{[1,3],[5,5],[9,10]}")
  })

  it.prop("has those numbers and no other", [numbers], ([some]) => {
    assert.deepStrictEqual(numbersOf(PgMultirange.of(some)), [...new Set(some)].sort((a, b) => a - b))
  })
})
