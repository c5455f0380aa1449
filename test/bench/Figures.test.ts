import { assert, describe, it } from "@effect/vitest"
import { figure } from "../../bench/Figures.ts"

const more = { floor: 2, goal: 3, more: true }
const less = { floor: 1.25, goal: 1, more: false }

describe("a figure", () => {
  it("is not there where nothing was measured of it", () => {
    assert.isUndefined(figure(1, "drain", []))
  })

  it("of one part stands for itself", () => {
    assert.deepStrictEqual(figure(2, "live", [{ name: "the best peer", value: 2.51239, ...more }]), {
      figure: 2,
      name: "live",
      value: 2.512,
      floor: 2,
      goal: 3,
      holdsFloor: true,
      holdsGoal: false
    })
  })

  it("shows the part that is nearest to its floor, whichever way that lies", () => {
    const found = figure(5, "both ways", [{ name: "rate", value: 4, ...more }, { name: "time", value: 1.2, ...less }])
    assert.deepInclude(found, { value: 1.2, floor: 1.25, goal: 1, holdsFloor: true, holdsGoal: false })
    assert.lengthOf(found?.parts ?? [], 2)
  })

  it("holds when all parts hold, and shows the one that is furthest below", () => {
    const found = figure(5, "both ways", [{ name: "rate", value: 1, ...more }, { name: "time", value: 1.3, ...less }])
    assert.deepInclude(found, { value: 1, holdsFloor: false, holdsGoal: false })
    assert.deepStrictEqual(found?.parts?.map(({ holdsFloor }) => holdsFloor), [false, false])
  })

  for (const part of [{ value: 0.1, more: true }, { value: 2, more: false }]) {
    it(`takes no part as nearest that has a goal only, of which ${part.more ? "more" : "less"} is better`, () => {
      const found = figure(2, "live", [
        { name: "the best peer", value: 5, ...more },
        { name: "BullMQ", floor: 0, goal: 1, ...part }
      ])
      assert.deepInclude(found, { value: 5, holdsFloor: true, holdsGoal: false })
      assert.deepStrictEqual(found?.parts?.map(({ holdsFloor }) => holdsFloor), [true, true])
    })
  }
})
