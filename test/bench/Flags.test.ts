import { assert, describe, it } from "@effect/vitest"
import * as Flags from "../../bench/Flags.ts"

describe("the bench's flags", () => {
  it("measure everything, in full, without peers, unless they say otherwise", () => {
    assert.deepStrictEqual(Flags.parse([]), {
      extent: "full",
      peers: false,
      json: false,
      rounds: undefined,
      only: undefined,
      profile: undefined,
      help: false
    })
  })

  it("say how much, against whom, how often and for which figures", () => {
    const flags = Flags.parse([
      "--quick",
      "--peers",
      "--json",
      "--rounds",
      "3",
      "--only",
      "1,3, 11",
      "--profile",
      "there"
    ])
    assert.deepStrictEqual(flags, {
      extent: "quick",
      peers: true,
      json: true,
      rounds: 3,
      only: new Set([1, 3, 11]),
      profile: "there",
      help: false
    })
  })

  for (
    const [args, said] of [
      [["--fast"], "--fast"],
      [["fast"], "fast"],
      [["--rounds", "none"], "--rounds takes whole numbers"],
      [["--rounds", "0"], "--rounds takes whole numbers"],
      [["--only", "1,12"], "from 1 to 11"],
      [["--quick", "--moment"], "exclude each other"],
      [["--moment", "--peers"], "without peers"]
    ] as const
  ) {
    it(`are refused where they make no sense: ${args.join(" ")}`, () => {
      assert.throws(() => Flags.parse(args), new RegExp(said, "u"))
    })
  }
})
