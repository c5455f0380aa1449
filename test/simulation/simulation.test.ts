import { assert, describe, it } from "@effect/vitest"
import { mutants } from "./mutants/index.ts"
import { type Result, simulate } from "./Simulation.ts"

const seeds = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

/** The first seeds, run once for the tests that look at them. */
const first: Array<Result> = []
const run = (count: number): ReadonlyArray<Result> => {
  while (first.length < count) first.push(simulate(first.length + 1))
  return first.slice(0, count)
}

const replayed = (seed: number) => `seed ${seed}: npm run simulate -- --seed ${seed} --trace`

/** It computes and waits for nothing: on a busy machine that takes its time. */
const patient = { timeout: 120_000 }

describe("the simulation", patient, () => {
  it("keeps every promise, whatever goes wrong", () => {
    for (const result of run(30)) assert.deepStrictEqual(result.violations, [], replayed(result.run.seed))
  })

  it("makes the same history of the same seed, and another one of another seed", () => {
    const hashes = run(5).map((result) => result.hash)
    assert.deepStrictEqual(seeds(5).map((seed) => simulate(seed).hash), hashes)
    assert.strictEqual(new Set(hashes).size, hashes.length)
  })

  it("takes neither time nor randomness from the system", () => {
    const real = { now: Date.now, random: Math.random }
    const taken = () => {
      throw new Error("taken from the system")
    }
    Object.assign(Date, { now: taken })
    Object.assign(Math, { random: taken })
    try {
      for (const seed of seeds(5)) assert.deepStrictEqual(simulate(seed).violations, [], replayed(seed))
    } finally {
      Object.assign(Date, { now: real.now })
      Object.assign(Math, { random: real.random })
    }
  })

  it("lets every kind of trouble happen in a few seeds, and messages come through all of it", () => {
    const entries = run(30).flatMap((result) => result.run.entries)
    const count = (test: (entry: (typeof entries)[number]) => boolean) => entries.filter(test).length
    for (const what of ["killed", "frozen", "thawed", "stopped"]) {
      assert.isAbove(count((entry) => entry._tag === "Runner" && entry.what === what), 1, what)
    }
    for (const fault of ["unavailable", "answer lost", "is cut off"]) {
      assert.isAbove(count((entry) => entry._tag === "Fault" && entry.what.includes(fault)), 1, fault)
    }
    for (const told of ["stored", "unknown", "refused", "rolled back"]) {
      assert.isAbove(count((entry) => entry._tag === "Emitted" && entry.told === told), 1, told)
    }
    for (const how of ["success", "retryable", "permanent", "answer lost", "aborted"]) {
      assert.isAbove(count((entry) => entry._tag === "Ended" && entry.how === how), 1, how)
    }
    assert.isAbove(count((entry) => entry._tag === "Changed" && entry.bound !== undefined), 50)
    assert.isAbove(count((entry) => entry._tag === "TakenUp"), 1)
  })
})

describe("the simulation notices code that", patient, () => {
  for (const mutant of mutants) {
    it(`${mutant.name}`, () => {
      const found = seeds(500).map((seed) => seed + mutant.seed - 1).find((seed) =>
        simulate(seed, { mutant }).violations.some((violation) => violation.startsWith(`${mutant.breaks}: `))
      )
      assert.isDefined(found)
    })
  }
})
