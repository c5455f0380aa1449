import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Hook from "../src/Hook.ts"
import * as IntegrationEvent from "../src/IntegrationEvent.ts"

const example = (payload: Schema.Codec<unknown, unknown>) =>
  Effect.map(
    IntegrationEvent.make(Hook.make("h", { payload }), { displayName: "H" }).example,
    (json): Schema.Json => JSON.parse(json)
  )

describe("an event's example", () => {
  it.effect("is readable: names for texts, first choices, times, one item of a list", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        incidentId: Schema.String,
        severity: Schema.Literals(["major", "minor"]),
        systemIds: Schema.Array(Schema.String),
        createdAt: Schema.Date,
        count: Schema.Int.check(Schema.isGreaterThanOrEqualTo(3)),
        open: Schema.Boolean,
        note: Schema.optionalKey(Schema.String),
        parent: Schema.NullOr(Schema.Struct({ id: Schema.String }))
      })
      const made = yield* example(schema)
      assert.deepInclude(made, {
        incidentId: "incidentId",
        severity: "major",
        systemIds: ["systemId"],
        count: 3,
        open: true,
        note: "note"
      })
    }))

  interface Tree {
    readonly name: string
    readonly children: ReadonlyArray<Tree>
  }
  const Tree: Schema.Codec<Tree> = Schema.Struct({
    name: Schema.String,
    children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
  }).annotate({ identifier: "Tree" })

  it.effect("is what the schema takes, also where that can't be told from JSON Schema, and the same each time", () =>
    Effect.gen(function*() {
      const patterned = Schema.Struct({ id: Schema.String.check(Schema.isPattern(/^evt_[a-z]{4}$/u)) })
      for (const schema of [patterned, Tree, Schema.Union([Schema.Finite, Schema.String]), Schema.Array(Schema.Int)]) {
        const json = yield* example(schema)
        yield* Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(json)
        assert.deepStrictEqual(yield* example(schema), json)
      }
    }))

  it.effect("is the event's own where it has one, transformed as a delivery is", () =>
    Effect.gen(function*() {
      const hook = Hook.make("h", { payload: Schema.Struct({ n: Schema.Int }) })
      const event = IntegrationEvent.make(hook, {
        displayName: "H",
        example: { n: 21 },
        transformPayload: ({ n }) => ({ doubled: 2 * n })
      })
      assert.strictEqual(yield* event.example, "{\"doubled\":42}")
    }))
})
