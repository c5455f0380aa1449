import { assert, describe, it } from "@effect/vitest"
import { CloudEvent, HTTP } from "cloudevents"
import { Effect, Redacted } from "effect"
import { readFileSync } from "node:fs"
import { Webhook as StandardWebhook } from "standardwebhooks"
import type { Attempt } from "../../../src/Provider.ts"
import { attemptAt, endpoint, flat, type Got, loopback, payloadJson, saved } from "./support.ts"

/** What breaks encodings: line separators of JavaScript, pairs of surrogates, halves of them, form syntax. */
const awkward = JSON.stringify({
  "käse": "a&b=c+d e%20\r\n\u2028\u2029\u0000",
  pair: "\u{1f9c0}",
  half: "\ud83e",
  quotes: "\"\\'",
  list: [null, 0.1, -1e-7]
})

const delivered = Effect.fnUntraced(function*(config: object, options?: Parameters<typeof attemptAt>[1]) {
  const { requests, url } = yield* endpoint()
  const bound = yield* saved({ url, ...config })
  const attempt = yield* attemptAt(Date.now(), options)
  yield* bound.deliver(attempt)
  const got = requests[0] ?? assert.fail("it did not arrive")
  assert.strictEqual(got.headers["content-length"], String(Buffer.byteLength(got.body)))
  verify(attempt, got)
  return { attempt, got }
})

/** The signature covers the body as it was sent, and none other. */
const verify = (attempt: Attempt, { body, headers }: Got) => {
  for (const secret of attempt.signingSecrets) {
    const peer = new StandardWebhook(Redacted.value(secret))
    // The body may be no JSON: what a verifier returns is not looked at.
    assert.doesNotThrow(() => peer.verify(body, flat(headers), { jsonParse: false }))
    assert.throws(() => peer.verify(`${body} `, flat(headers), { jsonParse: false }))
  }
}

const timestamp = (attempt: Attempt) => new Date(attempt.message.timestampMs).toISOString()

const seedBody = (attempt: Attempt, data: unknown) => ({
  id: attempt.deliveryId,
  eventType: "incident.incident.created",
  timestamp: timestamp(attempt),
  subscription: { id: attempt.subscription.id, name: "the \"first\"" },
  data
})

describe("a webhook's body", () => {
  it.live("is Standard Webhooks' unless another format is asked for, with the payload as it was encoded", () =>
    Effect.gen(function*() {
      const { attempt, got } = yield* delivered({})
      assert.strictEqual(
        got.body,
        `{"type":"incident.incident.created","timestamp":"${timestamp(attempt)}","data":${payloadJson}}`
      )
      const { version } = JSON.parse(readFileSync("package.json", "utf8"))
      assert.strictEqual(got.method, "POST")
      assert.deepInclude(got.headers, {
        "content-type": "application/json",
        "user-agent": `Hookline/${version}`,
        "webhook-id": attempt.message.id,
        "webhook-timestamp": String(Math.floor(attempt.nowMs / 1000)),
        "x-delivery-id": attempt.deliveryId,
        "x-event-type": "incident.incident.created"
      })
    }).pipe(Effect.provide(loopback)))

  it.live("is the seed's on demand", () =>
    Effect.gen(function*() {
      const { attempt, got } = yield* delivered({ format: "seed" })
      assert.deepStrictEqual(JSON.parse(got.body), seedBody(attempt, { b: "äö", a: 1 }))
    }).pipe(Effect.provide(loopback)))

  it.live("is what its template gives, whichever of the two formats there is", () =>
    Effect.gen(function*() {
      for (const format of ["standard", "seed"]) {
        const { got } = yield* delivered({ format, bodyTemplate: "{\"title\":\"{{ payload.b }}\"}" })
        assert.strictEqual(got.body, "{\"title\":\"äö\"}")
        assert.strictEqual(got.headers["content-type"], "application/json")
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is a form with the JSON in one field on demand", () =>
    Effect.gen(function*() {
      const contentType = "application/x-www-form-urlencoded"
      const configs: ReadonlyArray<readonly [object, (attempt: Attempt) => object]> = [
        [{}, (attempt) => ({
          type: "incident.incident.created",
          timestamp: timestamp(attempt),
          data: JSON.parse(awkward)
        })],
        [{ format: "seed" }, (attempt) => seedBody(attempt, JSON.parse(awkward))],
        [{ bodyTemplate: "{\"all\": {{ payload | json }}}" }, () => ({ all: JSON.parse(awkward) })]
      ]
      for (const [config, expected] of configs) {
        const { attempt, got } = yield* delivered({ contentType, ...config }, { payloadJson: awkward })
        assert.strictEqual(got.headers["content-type"], contentType)
        const form = [...new URLSearchParams(got.body)]
        assert.deepStrictEqual(form.map(([name]) => name), ["payload"])
        assert.deepStrictEqual(JSON.parse(form[0]?.[1] ?? ""), expected(attempt))
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is a form also where a template leaves half a surrogate pair", () =>
    Effect.gen(function*() {
      const contentType = "application/x-www-form-urlencoded"
      const bodyTemplate = "{{ payload.name | raw }}"
      const { got } = yield* delivered({ contentType, bodyTemplate }, { payloadJson: "{\"name\":\"\\ud83e\"}" })
      assert.strictEqual(got.body, "payload=%EF%BF%BD")
    }).pipe(Effect.provide(loopback)))

  for (const format of ["cloudevents-structured", "cloudevents-binary"]) {
    it.live(`is a valid CloudEvent 1.0 as a third party reads it: ${format}`, () =>
      Effect.gen(function*() {
        for (const payload of [awkward, payloadJson, "[1]"]) {
          const { attempt, got } = yield* delivered({ format }, { payloadJson: payload })
          const event = HTTP.toEvent({ headers: flat(got.headers), body: got.body })
          assert.instanceOf(event, CloudEvent)
          if (!(event instanceof CloudEvent)) return
          assert.isTrue(event.validate())
          // Nothing beyond the attributes that it shall have.
          assert.deepStrictEqual(Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)), {
            specversion: "1.0",
            id: attempt.message.id,
            source: "urn:hookline:incident",
            type: "incident.incident.created",
            time: timestamp(attempt),
            datacontenttype: "application/json",
            data: JSON.parse(payload)
          })
          assert.strictEqual(HTTP.isEvent({ headers: flat(got.headers), body: got.body }), true)
        }
      }).pipe(Effect.provide(loopback)))
  }

  it.live("is in binary CloudEvents the payload alone, or what the template gives", () =>
    Effect.gen(function*() {
      const plain = yield* delivered({ format: "cloudevents-binary" })
      assert.strictEqual(plain.got.body, payloadJson)
      const { got } = yield* delivered({ format: "cloudevents-binary", bodyTemplate: "{\"b\":\"{{ payload.b }}\"}" })
      const event = HTTP.toEvent({ headers: flat(got.headers), body: got.body })
      assert.deepInclude(event, { type: "incident.incident.created", data: { b: "äö" } })
    }).pipe(Effect.provide(loopback)))

  it.live("holds JSON's line separators as they are, and they are signed as they are sent", () =>
    Effect.gen(function*() {
      const payload = "{\"text\":\"\u2028ä\u{1f9c0}\u2029\"}"
      for (const format of ["standard", "seed", "cloudevents-structured", "cloudevents-binary"]) {
        const { got } = yield* delivered({ format }, { payloadJson: payload })
        assert.include(got.body, payload)
      }
    }).pipe(Effect.provide(loopback)))
})

describe("a webhook's request", () => {
  it.live("has the method and the headers of its configuration, the user agent too", () =>
    Effect.gen(function*() {
      for (const method of ["POST", "PUT", "PATCH"]) {
        const { got } = yield* delivered({ method })
        assert.strictEqual(got.method, method)
      }
      const customHeaders = [{ name: "X-Team", value: "a b" }, { name: "User-Agent", value: "ours" }]
      const { got } = yield* delivered({ customHeaders })
      assert.deepInclude(got.headers, { "x-team": "a b", "user-agent": "ours" })
      const names = got.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase())
      assert.deepStrictEqual(names.filter((name, i) => names.indexOf(name) < i), [])
    }).pipe(Effect.provide(loopback)))

  it.live("carries its attempt's trace on, unless the configuration has a header of that name", () =>
    Effect.gen(function*() {
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const sent = (config: object, overrides: { readonly traceparent?: string } = { traceparent }) =>
        Effect.map(delivered(config, overrides), ({ got }) => got.headers["traceparent"])
      assert.strictEqual(yield* sent({}), traceparent)
      assert.isUndefined(yield* sent({}, {}))
      assert.strictEqual(yield* sent({ customHeaders: [{ name: "Traceparent", value: "ours" }] }), "ours")
      assert.strictEqual(
        yield* sent({ authType: "header", authHeaderName: "Traceparent", authHeaderValue: "ours" }),
        "ours"
      )
    }).pipe(Effect.provide(loopback)))
})
