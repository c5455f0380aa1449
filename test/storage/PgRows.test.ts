import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AttemptRecord } from "../../src/Delivery.ts"
import * as PgRows from "../../src/storage/PgRows.ts"

const row = { number: 1, started_at: 0, duration_ms: 5, outcome: "success", status_code: 200 }
const none = { error_tag: null, error_message: null, retry_after_ms: null, response: null, phases: null, request: null }

/** What comes back of what an attempt keeps of its request and its answer. */
const readBack = ({ request, response }: {
  readonly request?: AttemptRecord["request"]
  readonly response?: AttemptRecord["response"]
}) => {
  const read = PgRows.attempt({
    ...row,
    ...none,
    request: PgRows.requestText(request),
    response: PgRows.responseText(response)
  })
  return { request: read.request, response: read.response }
}

const request = {
  method: "POST",
  url: "https://example.com/hooks?a=b c",
  headers: [{ name: "content-type", value: "application/json" }, { name: "x-empty", value: "" }]
}

describe("what is stored of an attempt", () => {
  it.prop(
    "reads as it was, whatever a provider noted and an endpoint answered",
    { request: AttemptRecord.fields.request, response: AttemptRecord.fields.response },
    ({ request, response }) => {
      // PostgreSQL takes no half of a surrogate pair: whoever excerpts a text makes it well-formed.
      const wellFormed = (value: unknown) => JSON.stringify(value)?.isWellFormed() !== false
      if (!wellFormed(request) || !wellFormed(response)) return
      const read = readBack({
        ...(request === undefined ? {} : { request }),
        ...(response === undefined ? {} : { response })
      })
      assert.deepStrictEqual(read, { request, response })
    }
  )

  it("has the form of HTTP, with neither quotes nor names of its own", () => {
    assert.strictEqual(
      PgRows.requestText(request),
      "POST https://example.com/hooks?a=b c\ncontent-type: application/json\nx-empty: "
    )
    assert.strictEqual(
      PgRows.responseText({ headers: { date: "today" }, body: "{\"id\":1}\n\nmore" }),
      "\ndate: today\n\n{\"id\":1}\n\nmore"
    )
  })

  it("reads as it was where that form could not tell it apart, or PostgreSQL would refuse it", () => {
    const odd = [
      { ...request, url: "https://example.com/\nx: y" },
      { ...request, headers: [{ name: "a: b", value: "c" }] },
      { ...request, headers: [{ name: "a", value: "b\nc: d" }] },
      { ...request, method: "A B" },
      { ...request, method: "[" },
      { ...request, headers: [], body: "\0" },
      { ...request, headers: [], body: "" },
      { ...request, body: "\n\nbody" }
    ]
    for (const one of odd) {
      assert.deepStrictEqual(readBack({ request: one }).request, one)
      assert.isFalse(PgRows.requestText(one)?.includes("\0"))
    }
    const answers = [{ headers: {}, body: "" }, { headers: { "a:": "b" }, body: "x" }, { headers: {}, body: "{\0" }]
    for (const response of answers) {
      assert.deepStrictEqual(readBack({ response }).response, response)
    }
  })

  it("is read where a version before wrote it as JSON", () => {
    const read = PgRows.attempt({
      ...row,
      ...none,
      request: JSON.stringify(["POST", "https://example.com/", null, "content-type", "application/json"]),
      response: JSON.stringify({ headers: { date: "today" }, body: "{}" })
    })
    assert.deepStrictEqual(read.request, {
      method: "POST",
      url: "https://example.com/",
      headers: [{ name: "content-type", value: "application/json" }]
    })
    assert.deepStrictEqual(read.response, { headers: { date: "today" }, body: "{}" })
    assert.isTrue(Schema.is(AttemptRecord)(read))
  })
})
