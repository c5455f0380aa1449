import { assert, describe, it } from "@effect/vitest"
import { hotEvent, partitionCounts } from "./Events.ts"
import * as Plan from "./Plan.ts"

const count = (steps: ReadonlyArray<Plan.Step>, kind: Plan.Fault["_tag"]) =>
  steps.filter(({ fault }) => fault._tag === kind).length

const seeds = Array.from({ length: 50 }, (_, n) => n)

describe("the plan of chaos", () => {
  it("is that of its seed", () => {
    assert.deepStrictEqual(Plan.make(7, 10), Plan.make(7, 10))
    assert.notDeepEqual(Plan.make(7, 10), Plan.make(8, 10))
  })

  it("of two minutes kills at least 6 times, whatever the seed", () => {
    for (const seed of seeds) assert.isAtLeast(count(Plan.make(seed, 2), "Kill"), 6, `seed ${seed}`)
  })

  it("of ten minutes has 30 kills, 10 freezes and 5 restarts of the database, one of a minute, whatever the seed", () => {
    for (const seed of seeds) {
      const steps = Plan.make(seed, 10)
      assert.isAtLeast(count(steps, "Kill"), 30, `seed ${seed}`)
      assert.isAtLeast(count(steps, "Freeze"), 10, `seed ${seed}`)
      assert.isAtLeast(count(steps, "Restart"), 5, `seed ${seed}`)
      assert.isTrue(steps.some(({ fault }) => fault._tag === "Restart" && fault.downMs === 60_000), `seed ${seed}`)
    }
  })

  it("lets nothing come beside a kill: its fail-over is measured", () => {
    const met = Plan.make(1, 10).filter(({ beside, fault }) => fault._tag === "Kill" && beside !== undefined)
    assert.deepStrictEqual(met, [])
  })

  it("shares events out anew, most often the hot one, to each number of partitions there may be", () => {
    for (const seed of seeds) assert.isAtLeast(count(Plan.make(seed, 2), "Partition"), 2, `seed ${seed}`)
    const shared = seeds.flatMap((seed) => Plan.make(seed, 10)).flatMap(({ fault }) =>
      fault._tag === "Partition" ? fault : []
    )
    const hot = shared.filter(({ eventId }) => eventId === hotEvent)
    assert.isAbove(hot.length, shared.length / 2)
    assert.isBelow(hot.length, shared.length)
    assert.sameMembers([...new Set(hot.map(({ count }) => count))], [...partitionCounts])
  })

  it("has receivers die in two minutes, each time with time for a circuit to open twice and to close again", () => {
    for (const seed of seeds) {
      const deaths = Plan.deaths(seed, 2)
      assert.isAtLeast(deaths.length, 2, `seed ${seed}`)
      for (const [n, { atMs, forMs }] of deaths.entries()) {
        // Five seconds, and then eight times as many.
        const closedMs = atMs + forMs + 40_000
        assert.isAtMost(closedMs, deaths[n + 1]?.atMs ?? 2 * 60_000 + 30_000, `seed ${seed}`)
        assert.isAtLeast(forMs, 5000, `seed ${seed}`)
      }
    }
  })
})
