import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as Hook from "../../src/Hook.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Arbitraries from "../../src/testing/Arbitraries.ts"
import * as Deliveries from "../../src/testing/Deliveries.ts"
import * as Endpoints from "../../src/testing/Endpoints.ts"
import * as HooklineTest from "../../src/testing/HooklineTest.ts"
import { Created, IncidentPlugin } from "../support/world.ts"

const Rich = Hook.make("rich", {
  payload: Schema.Struct({
    id: Schema.NonEmptyString,
    at: Schema.Date,
    tags: Schema.ReadonlySet(Schema.String),
    level: Schema.Literals(["low", "high"]),
    amount: Schema.BigInt,
    note: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(5)))
  }),
  orderingKey: ({ id }) => id
})

const url = "https://example.com/hook"

describe("Arbitraries", () => {
  it.effect.prop(
    "payloads are such as can be emitted",
    { payload: Arbitraries.payload(Rich) },
    ({ payload }) =>
      Effect.gen(function*() {
        assert.instanceOf(payload.at, Date)
        yield* Hook.emit(Rich, payload)
      }).pipe(HooklineTest.provide({ plugins: Plugin.make("rich", { hooks: [Rich] }) })),
    { arbitrary: { runs: 20 } }
  )

  it.effect("payloads come again by their seed", () =>
    Effect.gen(function*() {
      const sample = Arbitrary.sampleEffect(Arbitraries.payload(Created), { count: 20, seed: 1 })
      const first = yield* sample
      assert.deepStrictEqual(yield* sample, first)
      assert.isAbove(new Set(first.map(({ incidentId }) => incidentId)).size, 5)
      assert.isFalse(first.some(({ incidentId }) => incidentId.includes("\0")))
    }))

  it.effect.prop(
    "scripts fail no more often than they may and then accept",
    { script: Arbitraries.script({ failures: 2 }) },
    ({ script }) =>
      Effect.gen(function*() {
        yield* Endpoints.script(url, script)
        yield* HooklineTest.subscribe({ events: ["*"], url, retry: { type: "delays", delaysMs: [1000, 1000] } })
        const id = yield* Hook.emit(Created, { incidentId: "i1", systemIds: [] })
        yield* Deliveries.settled
        const [delivery] = yield* Deliveries.of(id)
        assert.deepInclude(delivery, { status: "success" })
        assert.strictEqual(delivery?.attemptCount, Array.isArray(script) ? script.length : 0)
        assert.isAtMost(delivery?.attemptCount ?? 0, 3)
      }).pipe(HooklineTest.provide({ plugins: IncidentPlugin })),
    { arbitrary: { runs: 10 } }
  )
})
