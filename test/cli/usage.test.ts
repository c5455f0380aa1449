import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/process.ts"

/** A command line that can't be understood: what stderr says of it after the help. */
const misused = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* run(args)
  assert.strictEqual(code, 1, args.join(" "))
  assert.strictEqual(stdout, "")
  assert.match(stderr, /^DESCRIPTION\n[\s\S]*\nUSAGE\n/u)
  return stderr.split("\nERROR\n")[1]?.trim() ?? ""
})

describe("the command line's own answers", () => {
  it.live("what can't be understood is told below the help, all of it on stderr", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* misused(["no-such-command"]), "Unknown subcommand \"no-such-command\" for \"hookline\"")
      assert.strictEqual(
        yield* misused(["deliveries", "--limit", "5000", "--json"]),
        "Invalid value for flag --limit: \"5000\". Expected a value between 1 and 100"
      )
    }), 60_000)

  it.live("deliveries are chosen alike, recorded or watched", () =>
    Effect.gen(function*() {
      for (const command of ["deliveries", "tail"]) {
        const { stdout } = yield* run([command, "--help"])
        for (const flag of ["--subscription", "--event", "--tenant"]) assert.include(stdout, `${flag} string `, command)
        assert.match(yield* misused([command, "--subscription", "sub_x"]), /--subscription: "sub_x"\. Expected: an id /u)
      }
    }), 60_000)

  it.live("help and version that are asked for are answers", () =>
    Effect.gen(function*() {
      for (const args of [["deliveries", "--help"], ["--version"]]) {
        const { code, stderr, stdout } = yield* run(args)
        assert.deepStrictEqual([code, stderr], [0, ""])
        assert.match(stdout, /hookline/u)
      }
    }), 60_000)
})
