import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { readFileSync } from "node:fs"
import type { IncomingHttpHeaders } from "node:http"
import { Webhook as StandardWebhook } from "standardwebhooks"
import { Webhook } from "svix"
import {
  ConnectionFailed,
  Egress,
  type EgressError,
  type EgressResponse,
  EgressTimeout,
  ForbiddenTarget
} from "../../src/Egress.ts"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import * as Id from "../../src/Id.ts"
import * as Limits from "../../src/Limits.ts"
import { provider } from "../../src/plugins/webhook/index.ts"
import type { Attempt } from "../../src/Provider.ts"
import * as SecretFields from "../../src/SecretFields.ts"
import * as Signature from "../../src/Signature.ts"
import { served } from "../support/served.ts"

const url = "https://example.com/hook"

const attemptAt = Effect.fnUntraced(function*(nowMs: number, secrets = 1) {
  return {
    deliveryId: yield* Id.deliveryId(nowMs),
    number: 1,
    nowMs,
    message: {
      id: yield* Id.messageId(nowMs),
      eventId: "incident.incident.created",
      tenantId: "default",
      timestampMs: nowMs - 1000,
      // As it was encoded: neither its order nor its spacing is touched.
      payloadJson: "{\"b\": \"\\u00e4ö\", \"a\":1.0}"
    },
    subscription: { id: yield* Id.subscriptionId(nowMs), name: "the \"first\"" },
    signingSecrets: yield* Effect.forEach(Array.from({ length: secrets }), () => Signature.generateSecret)
  } satisfies Attempt
})

const nowMs = Date.UTC(2026, 10, 6, 8, 0, 0)

/** Delivers with an egress that gives one answer. */
const answered = Effect.fnUntraced(function*(answer: Partial<EgressResponse> | EgressError, config: object = {}) {
  const bound = yield* provider.bind({ url, ...config })
  const egress = Layer.succeed(Egress, {
    check: () => Effect.void,
    send: () =>
      "_tag" in answer ? Effect.fail(answer) : Effect.succeed({ statusCode: 200, headers: {}, body: "", ...answer })
  })
  return yield* bound.deliver(yield* attemptAt(nowMs)).pipe(Effect.provide(egress))
})

const failed = (answer: Partial<EgressResponse> | EgressError, config: object = {}) =>
  Effect.flip(answered(answer, config)).pipe(
    Effect.flatMap((error) => error._tag === "ConfigRefused" ? Effect.die(error) : Effect.succeed(error))
  )

const received = Effect.gen(function*() {
  const requests: Array<
    { readonly method: string | undefined; readonly headers: IncomingHttpHeaders; readonly body: string }
  > = []
  const { port } = yield* served((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (chunk) => (body += chunk)).on("end", () => {
      requests.push({ method: request.method, headers: request.headers, body })
      response.writeHead(200, { "content-type": "application/json" }).end("{\"id\":\"ext-1\"}")
    })
  })
  return { requests, url: `http://127.0.0.1:${port}/hook?a=b` }
})

const loopback = EgressNode.layer({ allow: ["127.0.0.0/8"] })

describe("a webhook on the wire", () => {
  it.live("is Standard Webhooks, as two third parties verify with every active secret", () =>
    Effect.gen(function*() {
      const endpoint = yield* received
      const bound = yield* provider.bind({ url: endpoint.url })
      const attempt = yield* attemptAt(Date.now(), 2)
      const delivered = yield* bound.deliver(attempt)
      assert.deepInclude(delivered, { statusCode: 200, externalId: "ext-1" })
      const [{ body, headers, method } = { body: "", headers: {}, method: "" }] = endpoint.requests
      assert.strictEqual(method, "POST")
      const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
      for (const secret of attempt.signingSecrets) {
        for (const peer of [new StandardWebhook(Redacted.value(secret)), new Webhook(Redacted.value(secret))]) {
          assert.doesNotThrow(() => peer.verify(body, flat))
          assert.throws(() => peer.verify(`${body} `, flat))
        }
        yield* Signature.verify({ headers: flat, body, secrets: [secret], nowMs: attempt.nowMs })
      }
      const timestamp = new Date(attempt.message.timestampMs).toISOString()
      assert.strictEqual(
        body,
        `{"type":"incident.incident.created","timestamp":"${timestamp}","data":${attempt.message.payloadJson}}`
      )
      const { version } = JSON.parse(readFileSync("package.json", "utf8"))
      assert.deepInclude(flat, {
        "content-type": "application/json",
        "user-agent": `Hookline/${version}`,
        "webhook-id": attempt.message.id,
        "webhook-timestamp": String(Math.floor(attempt.nowMs / 1000)),
        "x-delivery-id": attempt.deliveryId,
        "x-event-type": "incident.incident.created",
        "content-length": String(Buffer.byteLength(body))
      })
    }).pipe(Effect.provide(loopback)))

  it.live("has the method, the authentication and the headers of its configuration, and the seed's body on demand", () =>
    Effect.gen(function*() {
      const endpoint = yield* received
      const attempt = yield* attemptAt(nowMs)
      const deliver = Effect.fnUntraced(function*(config: object) {
        const bound = yield* provider.bind({ url: endpoint.url, ...config })
        yield* bound.check
        yield* bound.deliver(attempt)
        const request = endpoint.requests.at(-1)
        return request ?? assert.fail("it did not arrive")
      })
      const bearer = yield* deliver({ method: "PUT", authType: "bearer", bearerToken: "t0ken" })
      assert.strictEqual(bearer.method, "PUT")
      assert.strictEqual(bearer.headers.authorization, "Bearer t0ken")
      const basic = yield* deliver({ authType: "basic", basicUsername: "jürgen", basicPassword: "a:b" })
      const credentials = Buffer.from((basic.headers.authorization ?? "").slice(6), "base64").toString("utf8")
      assert.strictEqual(credentials, "jürgen:a:b")
      const header = yield* deliver({
        authType: "header",
        authHeaderName: "X-Api-Key",
        authHeaderValue: "k",
        customHeaders: [{ name: "X-Team", value: "a b" }, { name: "User-Agent", value: "ours" }]
      })
      assert.deepInclude(header.headers, { "x-api-key": "k", "x-team": "a b", "user-agent": "ours" })
      const seed = yield* deliver({ format: "seed" })
      assert.deepStrictEqual(JSON.parse(seed.body), {
        id: attempt.deliveryId,
        eventType: "incident.incident.created",
        timestamp: new Date(attempt.message.timestampMs).toISOString(),
        subscription: { id: attempt.subscription.id, name: "the \"first\"" },
        data: { b: "äö", a: 1 }
      })
    }).pipe(Effect.provide(loopback)))
})

describe("an endpoint's answer", () => {
  it.effect("of any status means what it says, and retryOnStatus makes a failure retryable", () =>
    Effect.gen(function*() {
      for (let statusCode = 200; statusCode < 600; statusCode++) {
        const expected = statusCode < 300
          ? undefined
          : statusCode === 408 || statusCode === 429 || statusCode >= 500
          ? "Retryable"
          : statusCode === 410
          ? "Gone"
          : "Permanent"
        if (expected === undefined) {
          assert.deepInclude(yield* answered({ statusCode }), { statusCode })
          continue
        }
        const error = yield* failed({ statusCode, body: "no" })
        assert.deepInclude(error, { _tag: expected, code: "HttpStatus", statusCode, message: `HTTP ${statusCode}: no` })
        const named = yield* failed({ statusCode }, { retryOnStatus: [statusCode] })
        assert.strictEqual(named._tag, "Retryable")
      }
    }))

  it.effect("that does not come is retryable, timed out or not, and a forbidden target is not", () =>
    Effect.gen(function*() {
      const message = "m"
      const timeout = yield* failed(new EgressTimeout({ message }))
      assert.deepInclude(timeout, { _tag: "Retryable", code: "Timeout", timedOut: true })
      const refused = yield* failed(new ConnectionFailed({ code: "ECONNREFUSED", message }))
      assert.deepInclude(refused, { _tag: "Retryable", code: "ECONNREFUSED" })
      assert.notProperty(refused, "timedOut")
      assert.deepInclude(yield* failed(new ForbiddenTarget({ message })), {
        _tag: "Permanent",
        code: "ForbiddenTarget"
      })
    }))

  it.effect("may ask to wait, in seconds or until a date, with 429 and 503 only; nonsense is passed over", () =>
    Effect.gen(function*() {
      const asked = (value: string, statusCode = 429) =>
        Effect.map(
          failed({ statusCode, headers: { "retry-after": value } }),
          (error) => error._tag === "Retryable" ? error.retryAfterMs : assert.fail("it is not retryable")
        )
      const waits: ReadonlyArray<readonly [string, number | undefined]> = [
        ["0", 0],
        ["120", 120_000],
        ["1.5", 1500],
        ["0.0001", 1],
        [" 7 ", 7000],
        ["Fri, 06 Nov 2026 08:01:00 GMT", 60_000],
        ["Friday, 06-Nov-26 08:01:00 GMT", 60_000],
        ["Fri Nov  6 08:01:00 2026", 60_000],
        ["Fri, 06 Nov 2026 07:00:00 GMT", 0],
        ["Fri, 99 Foo 2026 08:01:00 GMT", undefined],
        ["Later 9999", undefined],
        ["2026-11-06T09:00:00Z", undefined],
        ["-1", undefined],
        ["1e9", undefined],
        ["Infinity", undefined],
        ["1, 2", undefined],
        ["", undefined]
      ]
      for (const [value, expected] of waits) assert.strictEqual(yield* asked(value), expected, value)
      assert.strictEqual(yield* asked("2", 503), 2000)
      assert.isUndefined(yield* asked("2", 500))
    }))

  it.effect("names what was made of the message", () =>
    Effect.gen(function*() {
      const id = (body: string) => Effect.map(answered({ body }), ({ externalId }) => externalId)
      const ids: ReadonlyArray<readonly [string, string | undefined]> = [
        ["{\"id\":\"a\",\"externalId\":\"b\"}", "a"],
        [" \n{\"externalId\":\"b\",\"messageId\":\"c\"}", "b"],
        ["{\"messageId\":42}", "42"],
        ["{\"id\":null,\"messageId\":\"c\"}", "c"],
        [`{"id":"${"x".repeat(300)}"}`, "x".repeat(200)],
        ["{\"id\":\"\\ud800\\u0000\"}", "\ufffd\ufffd"],
        ["{\"id\":{}}", undefined],
        ["{\"id\":true}", undefined],
        ["[{\"id\":\"a\"}]", undefined],
        ["{\"id\":", undefined],
        ["ok", undefined]
      ]
      for (const [body, expected] of ids) assert.strictEqual(yield* id(body), expected, body)
    }))

  it.effect("is kept within bounds, without cookies, and as a database can hold it", () =>
    Effect.gen(function*() {
      const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, "v".repeat(1000)]))
      const error = yield* failed({
        statusCode: 500,
        headers: { "set-cookie": "session=1", ...many },
        // The 200th character is the first half of a surrogate pair.
        body: `\0${"x".repeat(198)}\u{1f600}${"y".repeat(5000)}`
      })
      assert.strictEqual(error.message, `HTTP 500: \ufffd${"x".repeat(198)}\ufffd`)
      const { body = "", headers = {} } = error.response ?? {}
      assert.strictEqual(Object.keys(headers).length, 32)
      assert.notProperty(headers, "set-cookie")
      assert.isTrue(Object.values(headers).every((value) => value.length <= 200))
      assert.isAtMost(Buffer.byteLength(body), Limits.defaults.responseExcerptBytes + 2)
      assert.notInclude(body, "\0")
    }))
})

describe("a webhook's configuration", () => {
  const refused = (config: object) =>
    Effect.gen(function*() {
      const bound = yield* provider.bind({ url, ...config })
      yield* bound.check
    }).pipe(
      Effect.provideService(Egress, { check: () => Effect.void, send: () => Effect.die("it sends nothing") }),
      Effect.flip
    )

  it.effect("is refused with the field's path", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [object, string]> = [
        [{ url: undefined }, "config.url"],
        [{ method: "GET" }, "config.method"],
        [{ contentType: "application/x-www-form-urlencoded" }, "config.contentType"],
        [{ bodyTemplate: "{{payload}}" }, "config.bodyTemplate"],
        [{ format: "cloudevents" }, "config.format"],
        [{ timeoutMs: 999 }, "config.timeoutMs"],
        [{ timeoutMs: 60_001 }, "config.timeoutMs"],
        [{ retryOnStatus: [404, 600] }, "config.retryOnStatus[1]"],
        [{ authType: "digest" }, "config.authType"],
        [{ authType: "bearer" }, "config.bearerToken"],
        [{ authType: "bearer", bearerToken: "a\r\nb: c" }, "config.bearerToken"],
        [{ authType: "basic", basicPassword: "p" }, "config.basicUsername"],
        [{ authType: "basic", basicUsername: "u" }, "config.basicPassword"],
        [{ authType: "basic", basicUsername: "u:v", basicPassword: "p" }, "config.basicUsername"],
        [{ authType: "header", authHeaderValue: "v" }, "config.authHeaderName"],
        [{ authType: "header", authHeaderName: "x-key" }, "config.authHeaderValue"],
        [{ authType: "header", authHeaderName: "webhook-id", authHeaderValue: "v" }, "config.authHeaderName"],
        [
          { authType: "bearer", bearerToken: "t", customHeaders: [{ name: "Authorization", value: "v" }] },
          "config.customHeaders[0].name"
        ],
        [{ customHeaders: [{ name: "x", value: "a\nb" }] }, "config.customHeaders[0].value"]
      ]
      for (const [config, path] of cases) {
        assert.strictEqual((yield* refused(config)).path, path, JSON.stringify(config))
      }
    }))

  it.effect("does not override the headers that are Hookline's or the connection's", () =>
    Effect.gen(function*() {
      for (
        const name of [
          "Webhook-Id",
          "webhook-signature",
          "webhook-anything",
          "Content-Length",
          "content-type",
          "Host",
          "Transfer-Encoding",
          "connection",
          "X-Delivery-Id",
          "no spaces",
          "colon:",
          ""
        ]
      ) {
        const error = yield* refused({ customHeaders: [{ name, value: "v" }] })
        assert.strictEqual(error.path, "config.customHeaders[0].name", name)
      }
    }))

  it.effect("is refused without a word of its secrets", () =>
    Effect.gen(function*() {
      const secret = "hunter2\nhunter2"
      for (
        const config of [
          { authType: "bearer", bearerToken: secret },
          { authType: "header", authHeaderName: "x", authHeaderValue: secret },
          { authType: "basic", basicUsername: "u", basicPassword: { secret } }
        ]
      ) assert.notInclude(JSON.stringify(yield* refused(config)), "hunter2")
    }))

  it.effect("has secrets that leave with every view of it", () =>
    Effect.gen(function*() {
      const open = { url, authType: "bearer", basicUsername: "u", authHeaderName: "x" }
      const config = { ...open, bearerToken: "t", basicPassword: "p", authHeaderValue: "v" }
      assert.deepStrictEqual(yield* SecretFields.without(provider.config, config), open)
    }))

  it.live("with a forbidden target is refused before it is saved, with the words of the attempt's refusal", () =>
    Effect.gen(function*() {
      const bound = yield* provider.bind({ url: "http://2130706433:9/" })
      const saved = yield* Effect.flip(bound.check)
      const sent = yield* Effect.flip(bound.deliver(yield* attemptAt(nowMs)))
      assert.strictEqual(saved.path, "config.url")
      assert.deepInclude(sent, { _tag: "Permanent", code: "ForbiddenTarget", message: saved.message })
    }).pipe(Effect.provide(EgressNode.layer())))
})
