import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/process.ts"

/** Command lines that can't be understood: the help that is shown of each, and what it says is wrong. */
const misused = (...lines: ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.forEach(
    lines,
    Effect.fnUntraced(function*(args) {
      const { code, stderr, stdout } = yield* run(args)
      assert.strictEqual(code, 1, args.join(" "))
      assert.strictEqual(stdout, "")
      assert.match(stderr, /^DESCRIPTION\n[\s\S]*\nUSAGE\n/u)
      const [help = "", error = ""] = stderr.split("\nERROR\n")
      return { help, error: error.trim() }
    }),
    { concurrency: 3 }
  )

const errors = (found: ReadonlyArray<{ readonly error: string }>) => found.map(({ error }) => error)

describe("the command line's own answers", () => {
  it.live("what can't be understood is told below the help, all of it on stderr", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        errors(
          yield* misused(["no-such-command"], ["deliveries", "--limit", "5000", "--json"], [
            "deliveries",
            "--from",
            "5"
          ], ["deliveries", "--to", "2026-02-31"])
        ),
        [
          "Unknown subcommand \"no-such-command\" for \"hookline\"",
          "Invalid value for flag --limit: \"5000\". Expected a value between 1 and 100",
          "Invalid value for flag --from: \"5\". Expected: a time in ISO 8601 with its zone, such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31",
          "Invalid value for flag --to: \"2026-02-31\". Expected: a time that exists, such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31"
        ]
      )
    }), 60_000)

  it.live("an argument that is no id is refused before anything is asked", () =>
    Effect.gen(function*() {
      const found = yield* misused(
        ["deliveries", ""],
        ["retry", ".."],
        ["explain", ""],
        ["subscriptions", "get", ""],
        ["events", ""],
        ["events", ".."]
      )
      const id = (prefix: string) => `an id of the form ${prefix}_ and 32 hexadecimal digits of a UUIDv7`
      assert.deepStrictEqual(errors(found), [
        `Invalid value for argument <delivery>: "". Expected: ${id("dlv")}`,
        `Invalid value for argument <delivery>: "..". Expected: ${id("dlv")}`,
        `Invalid value for argument <message>: "". Expected: ${id("msg")}`,
        `Invalid value for argument <subscription>: "". Expected: ${id("sub")}`,
        "Invalid value for argument <event>: \"\". Expected: an event's id, such as incident.incident.created",
        "Invalid value for argument <event>: \"..\". Expected: an event's id, such as incident.incident.created"
      ])
    }), 60_000)

  it.live("deliveries are chosen alike, recorded or watched", () =>
    Effect.gen(function*() {
      const found = yield* misused(["deliveries", "--subscription", "sub_x"], ["tail", "--subscription", "sub_x"])
      for (const { error, help } of found) {
        for (const flag of ["subscription", "event", "tenant"]) {
          assert.match(help, new RegExp(`^ +--${flag} string `, "mu"))
        }
        assert.match(error, /^Invalid value for flag --subscription: "sub_x"\. Expected: an id of the form sub_/u)
      }
    }), 60_000)

  it.live("help and version that are asked for are answers", () =>
    Effect.gen(function*() {
      for (
        const { code, stderr, stdout } of yield* Effect.forEach([["deliveries", "--help"], ["--version"]], (args) =>
          run(args), { concurrency: 2 })
      ) {
        assert.deepStrictEqual([code, stderr], [0, ""])
        assert.match(stdout, /hookline/u)
      }
    }), 60_000)
})
