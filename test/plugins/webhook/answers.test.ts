import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  ConnectionFailed,
  Egress,
  type EgressError,
  type EgressResponse,
  EgressTimeout,
  ForbiddenTarget
} from "../../../src/Egress.ts"
import * as Limits from "../../../src/Limits.ts"
import { provider } from "../../../src/plugins/webhook/index.ts"
import { attemptAt, nowMs, url } from "./support.ts"

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

  it.effect("is kept without secrets that it repeats, however it spells them", () =>
    Effect.gen(function*() {
      const bearerToken = "abc/def+ghi=é"
      const spellings = [
        bearerToken,
        JSON.stringify({ got: bearerToken }),
        JSON.stringify({ got: bearerToken }).replaceAll("/", "\\/"),
        new URLSearchParams({ got: bearerToken }).toString(),
        Buffer.from(bearerToken, "latin1").toString("utf8")
      ]
      for (const body of spellings) {
        const error = yield* failed({ statusCode: 400, headers: { "x-got": body }, body }, {
          authType: "bearer",
          bearerToken
        })
        assert.notInclude(JSON.stringify([error.message, error.response]), "def", body)
      }
      const header = { authType: "header", authHeaderName: "authorization", authHeaderValue: "ApiKey 12345secret" }
      const error = yield* failed({ statusCode: 400, body: "invalid key 12345secret" }, header)
      assert.strictEqual(error.message, "HTTP 400: invalid key ***")
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
