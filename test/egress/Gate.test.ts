import { assert, describe, it } from "@effect/vitest"
import { Gate } from "../../src/egress/Gate.ts"

/** A gate on a clock that is moved by hand. */
const make = (limit: number) => {
  let now = 0
  let timers: Array<{ readonly at: number; readonly call: () => void }> = []
  const begun: Array<string> = []
  const gate = new Gate({
    limit,
    slowMs: 250,
    time: {
      now: () => now,
      in: (ms, call) => {
        const timer = { at: now + ms, call }
        timers.push(timer)
        return () => {
          timers = timers.filter((other) => other !== timer)
        }
      }
    }
  })
  return {
    gate,
    begun,
    enter: (name: string) => gate.enter(() => begun.push(name)),
    pass: (ms: number) => {
      now += ms
      const due = timers.filter(({ at }) => at <= now)
      timers = timers.filter(({ at }) => at > now)
      for (const { call } of due) call()
    }
  }
}

describe("the gate before an origin", () => {
  it("lets in all others, each once, where one fails as it begins", () => {
    const { begun, gate } = make(1)
    const leaveFirst = gate.enter(() => begun.push("first"))
    const leaves: Array<() => void> = []
    for (const name of ["a", "b", "c"]) {
      const leave = gate.enter(() => {
        begun.push(name)
        if (name === "a") leave()
      })
      leaves.push(leave)
    }
    leaveFirst()
    assert.deepStrictEqual(begun, ["first", "a", "b"])
    for (const leave of leaves) leave()
    assert.deepStrictEqual(begun, ["first", "a", "b", "c"])
    assert.isTrue(gate.isIdle)
  })

  it("lets in as many as there is room for, and the others in their order as room is made", () => {
    const { begun, enter, gate } = make(2)
    const leaveA = enter("a")
    const leaveB = enter("b")
    const leaveC = enter("c")
    enter("d")()
    assert.deepStrictEqual(begun, ["a", "b"])
    leaveB()
    assert.deepStrictEqual(begun, ["a", "b", "c"])
    assert.isFalse(gate.isIdle)
    leaveA()
    leaveC()
    assert.deepStrictEqual(begun, ["a", "b", "c"])
    assert.isTrue(gate.isIdle)
  })

  it("makes room for others once a request takes long, also while nothing else happens", () => {
    const { begun, enter, gate, pass } = make(1)
    const leaveSlow = enter("slow")
    const leaveQuick = enter("quick")
    pass(249)
    assert.deepStrictEqual(begun, ["slow"])
    pass(1)
    assert.deepStrictEqual(begun, ["slow", "quick"])
    leaveQuick()
    const leaveNext = enter("next")
    assert.deepStrictEqual(begun, ["slow", "quick", "next"])
    leaveSlow()
    leaveNext()
    assert.isTrue(gate.isIdle)
  })

  it("counts a request that is told to leave twice once", () => {
    const { begun, enter } = make(1)
    const leave = enter("a")
    enter("b")
    enter("c")
    leave()
    leave()
    assert.deepStrictEqual(begun, ["a", "b"])
  })
})
