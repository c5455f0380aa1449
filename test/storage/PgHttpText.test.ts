import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { AttemptRecord } from "../../src/Delivery.ts"
import * as Id from "../../src/Id.ts"
import * as PgHttpText from "../../src/storage/PgHttpText.ts"
import * as PgRows from "../../src/storage/PgRows.ts"

const delivery = {
  id: Id.trusted.delivery("dlv_01a21dcbc2d07c4b9ad9a16e35fd5ce0"),
  messageId: Id.trusted.message("msg_01a21dcbc2d070978947de13a2a948db")
}
const startedAtMs = 1_795_796_223_123
const around = { deliveryId: delivery.id, messageId: delivery.messageId, startedAtMs }
const row = {
  number: 1,
  started_at: startedAtMs,
  duration_ms: 5,
  outcome: "success",
  status_code: 200,
  error_tag: null,
  error_message: null,
  retry_after_ms: null,
  phases: null
}

/** What comes back of what an attempt keeps of its request and its answer. */
const readBack = ({ request, response }: {
  readonly request?: AttemptRecord["request"]
  readonly response?: AttemptRecord["response"]
}) => {
  const texts = { request: PgHttpText.ofRequest(request, around), response: PgHttpText.ofResponse(response, around) }
  const read = PgRows.attempt({ ...row, ...texts }, delivery)
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
      PgHttpText.ofRequest({ ...request, headers: [{ name: "x-team", value: "red" }, ...request.headers] }, around),
      "POST https://example.com/hooks?a=b c\nx-team: red\n\x01\x04\nx-empty: "
    )
    assert.strictEqual(
      PgHttpText.ofResponse({ headers: { "x-date": "today" }, body: "{\"id\":1}\n\nmore" }, around),
      "\nx-date: today\n\n{\"id\":1}\n\nmore"
    )
  })

  it("is of a webhook a third as long as what was sent: what its row tells and what most have is one character each", () => {
    const headers = [
      { name: "content-type", value: "application/json" },
      { name: "webhook-id", value: delivery.messageId },
      { name: "webhook-timestamp", value: "1795796223" },
      { name: "webhook-signature", value: "v1,PKXxJupUSXU0xlI0U6NNJS/8i5rRQeAZU4Dmrfk6++8=" },
      { name: "x-delivery-id", value: delivery.id },
      { name: "x-event-type", value: "incident.created" },
      { name: "user-agent", value: "Hookline/0.1.0" }
    ]
    const sent = { method: "POST", url: "https://example.com/", headers }
    assert.strictEqual(
      PgHttpText.ofRequest(sent, around),
      "POST https://example.com/\n\x01\x04\n\x02\x02\n\x03\x03\n\x04v1,PKXxJupUSXU0xlI0U6NNJS/8i5rRQeAZU4Dmrfk6++8=" +
        "\n\x05\x01\n\x06incident.created\n\x07Hookline/0.1.0"
    )
    assert.deepStrictEqual(readBack({ request: sent }).request, sent)
    // Whoever records an outcome may not know its message.
    const { messageId: _, ...unknown } = around
    const text = PgHttpText.ofRequest(sent, unknown)
    assert.deepStrictEqual(PgRows.attempt({ ...row, request: text, response: null }, delivery).request, sent)
  })

  it.prop(
    "reads as it was at any time, of which the database keeps the microseconds",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000_000 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))
    ],
    ([microseconds, nanoseconds]) => {
      const atMs = startedAtMs - 123 + microseconds / 1000 + nanoseconds / 1e6
      const headers = [{ name: "webhook-timestamp", value: String(Math.floor(atMs / 1000)) }]
      const text = PgHttpText.ofRequest({ ...request, headers }, { ...around, startedAtMs: atMs })
      const stored = { ...row, started_at: Math.round(atMs * 1000) / 1000, request: text, response: null }
      assert.deepStrictEqual(PgRows.attempt(stored, delivery).request?.headers, headers)
    }
  )

  it("reads as it was where that form could not tell it apart, or PostgreSQL would refuse it", () => {
    const odd = [
      { ...request, url: "https://example.com/\nx: y" },
      { ...request, headers: [{ name: "a: b", value: "c" }] },
      { ...request, headers: [{ name: "a", value: "b\nc: d" }] },
      { ...request, method: "A B" },
      { ...request, method: "[" },
      { ...request, headers: [], body: "\0" },
      { ...request, headers: [], body: "" },
      { ...request, body: "\n\nbody" },
      { ...request, headers: [{ name: "\x01", value: "a" }, { name: "\x1fa", value: "b" }, { name: "", value: "c" }] },
      { ...request, headers: [{ name: "x-code", value: "\x01" }, { name: "x-code", value: "\x01a" }] },
      { ...request, headers: [{ name: "Content-Type", value: "application/json" }] }
    ]
    for (const one of odd) {
      assert.deepStrictEqual(readBack({ request: one }).request, one)
      assert.isFalse(PgHttpText.ofRequest(one, around)?.includes("\0"))
    }
    const answers = [{ headers: {}, body: "" }, { headers: { "a:": "b" }, body: "x" }, { headers: {}, body: "{\0" }]
    for (const response of answers) {
      assert.deepStrictEqual(readBack({ response }).response, response)
    }
  })

  it("is read where a version before wrote it as JSON", () => {
    const read = PgRows.attempt({
      ...row,
      request: JSON.stringify(["POST", "https://example.com/", null, "content-type", "application/json"]),
      response: JSON.stringify({ headers: { date: "today" }, body: "{}" })
    }, delivery)
    assert.deepStrictEqual(read.request, {
      method: "POST",
      url: "https://example.com/",
      headers: [{ name: "content-type", value: "application/json" }]
    })
    assert.deepStrictEqual(read.response, { headers: { date: "today" }, body: "{}" })
    assert.isTrue(Schema.is(AttemptRecord)(read))
  })
})
