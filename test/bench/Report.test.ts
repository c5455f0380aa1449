import { assert, describe, it } from "@effect/vitest"
import { figure } from "../../bench/Figures.ts"
import * as Report from "../../bench/Report.ts"
import * as Results from "../../bench/Results.ts"

const quoted = {
  row: "Another",
  drainPerSecond: 435,
  livePerSecond: 437,
  tenSubscriptionsPerSecond: 576,
  latency: { p50: 5.5, p99: 109 },
  hanging: { delivered: 0.15 },
  cpuMs: { live: 1.73 }
}

describe("the report", () => {
  it("shows as many digits as mean something", () => {
    assert.deepStrictEqual([undefined, 12_345.6, 45.67, 4.567, 0.4567, 3].map(Report.shown), [
      "–",
      "12,346",
      "45.7",
      "4.57",
      "0.457",
      "3"
    ])
  })

  it("lines its tables up", () => {
    assert.strictEqual(
      Report.table(["a", "long"], [["value", "b"]]),
      ["| a     | long |", "| ----- | ---- |", "| value | b    |"].join("\n")
    )
  })

  it("shows the systems side by side, what did not arrive, and what is quoted", () => {
    const results = Results.make()
    results.add("drain", "hookline", { perSecond: 4000 })
    results.add("isolation-1", "hookline", { p99: 12, arrived: 1 })
    results.add("isolation-1", "peer", { p99: 500, arrived: 0.4 })
    const text = Report.comparison(
      results,
      [{ key: "hookline", name: "Hookline" }, { key: "peer", name: "Peer" }],
      quoted
    )
    assert.include(text, "4,000")
    assert.include(text, "12 ms")
    assert.include(text, "500 ms, 40 % arrived")
    assert.match(text, /Another \(quoted\) \| 435/u)
  })

  it("says of each figure and part whether it holds, and what did not come to its end", () => {
    const results = Results.make()
    results.fail({ measure: "drain", system: "peer", message: "too slow" })
    const found = figure(1, "drain", [
      { name: "the best peer", value: 1.2, floor: 1, goal: 1.5, more: true },
      { name: "bare POSTs", value: 0.5, floor: 0, goal: 0.45, more: true }
    ])
    const text = Report.report({
      machine: { node: "24" },
      results,
      systems: [],
      quoted,
      telemetry: [{ name: "all", value: 0.95, floor: 0.9, holdsFloor: true }],
      figures: found ? [found] : []
    })
    assert.match(text, /\| 1 +\| drain +\| 1\.20 +\| 1 +\| holds +\| 1\.50 +\| no/u)
    assert.match(text, /– bare POSTs +\| 0\.500 +\| – +\| +\| 0\.450 +\| holds/u)
    assert.include(text, "peer, drain: too slow")
    assert.include(text, "all: 0.950, floor 0.9: holds")
  })
})
