import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"
import * as Answer from "../src/dispatcher/Answer.ts"
import { Delivered } from "../src/Provider.ts"

const isDelivered = (value: unknown) => Answer.outcomeOf(Exit.succeed(value))._tag === "Delivered"

describe("a provider's answer", () => {
  it.prop("counts as a delivery where its schema says so", { answer: Delivered }, ({ answer }) => {
    assert.isTrue(isDelivered(answer))
  })

  it("is a defect where its schema refuses it", () => {
    const response = { headers: { a: "b" }, body: "" }
    const answers: ReadonlyArray<unknown> = [
      undefined,
      null,
      "delivered",
      204,
      [],
      {},
      { statusCode: 200.5 },
      { statusCode: "200" },
      { statusCode: Number.NaN },
      { statusCode: undefined },
      { externalId: 1 },
      { externalId: "1", statusCode: 200, response, more: true },
      { response: "" },
      { response: { body: "" } },
      { response: { ...response, body: 1 } },
      { response: { ...response, headers: null } },
      { response: { ...response, headers: { a: 1 } } },
      { response }
    ]
    for (const answer of answers) {
      assert.strictEqual(isDelivered(answer), Schema.is(Delivered)(answer), JSON.stringify(answer))
    }
  })
})
