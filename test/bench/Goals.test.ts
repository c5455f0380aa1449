import { assert, describe, it } from "@effect/vitest"
import * as Goals from "../../bench/Goals.ts"
import * as Results from "../../bench/Results.ts"

const nobody = { onPostgres: [], bullmq: [], all: [] }
const peers = { onPostgres: ["slow", "quick"], bullmq: ["bull"], all: ["slow", "quick", "bull"] }

const measured = (values: Readonly<Record<string, Readonly<Record<string, Results.Values>>>>) => {
  const results = Results.make()
  for (const [measure, systems] of Object.entries(values)) {
    for (const [system, one] of Object.entries(systems)) results.add(measure, system, one)
  }
  return results
}

const figureOf = (results: Results.Results, number: number, compared: Goals.Compared = peers) =>
  Goals.figures(results, compared).find(({ figure }) => figure === number)

describe("the figures", () => {
  it("take the medians of the rounds", () => {
    const results = Results.make()
    for (const perSecond of [900, 100, 1000]) results.add("spread", Goals.ours, { perSecond })
    for (const perSecond of [1000, 1001]) results.add("live", Goals.ours, { perSecond })
    assert.strictEqual(figureOf(results, 3)?.value, 0.9)
  })

  it("compare with the best of the peers, by the way that is better", () => {
    const results = measured({
      drain: {
        [Goals.ours]: { perSecond: 3000, process: 0.3 },
        [Goals.bare]: { perSecond: 6000, process: 0.1 },
        slow: { perSecond: 1000, process: 1 },
        quick: { perSecond: 2000, process: 1 },
        bull: { perSecond: 9000, process: 1 }
      },
      latency: {
        [Goals.ours]: { p50: 2, p99: 20 },
        slow: { p50: 4, p99: 10 },
        quick: { p50: 3, p99: 40 },
        bull: { p50: 1, p99: 1 }
      }
    })
    assert.deepStrictEqual(figureOf(results, 1)?.parts?.map(({ value }) => value), [1.5, 0.5])
    assert.deepStrictEqual(figureOf(results, 5)?.parts?.map(({ value }) => value), [0.667, 2])
    assert.deepInclude(figureOf(results, 8), { value: 3, holdsFloor: true, holdsGoal: false })
  })

  it("have no line where they need peers and there are none", () => {
    const results = measured({
      drain: { [Goals.ours]: { perSecond: 3000, process: 0.2 }, [Goals.bare]: { perSecond: 6000, process: 0.1 } },
      live: { [Goals.ours]: { perSecond: 3000, server: 0.1 } },
      ten: { [Goals.ours]: { perSecond: 3000 } },
      spread: { [Goals.ours]: { perSecond: 3000 } }
    })
    assert.deepStrictEqual(Goals.figures(results, nobody).map(({ figure }) => figure), [3, 8])
  })

  it("of isolation ask that all arrives", () => {
    const results = measured({
      "isolation-0": { [Goals.ours]: { p99: 10, arrived: 1 } },
      "isolation-1": { [Goals.ours]: { p99: 11, arrived: 1 } },
      "isolation-5": { [Goals.ours]: { p99: 11, arrived: 0.999 } }
    })
    assert.deepInclude(figureOf(results, 6), { holdsFloor: false, value: 0.999, floor: 1 })
  })

  it("say what telemetry costs where it was measured", () => {
    assert.deepStrictEqual(Goals.telemetry(Results.make()), [])
    const found = Goals.telemetry(measured({
      "telemetry-off": { [Goals.ours]: { perSecond: 1000 } },
      "telemetry-all": { [Goals.ours]: { perSecond: 600 } },
      "telemetry-default": { [Goals.ours]: { perSecond: 850 } }
    }))
    assert.deepStrictEqual(
      found.map(({ floor, holdsFloor, value }) => [value, floor, holdsFloor]),
      [[0.85, 0.9, false], [0.6, 0, true]]
    )
  })
})
