import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Egress, type EgressRequest } from "../../src/Egress.ts"
import * as Limits from "../../src/Limits.ts"
import * as EgressFake from "../../src/testing/EgressFake.ts"
import * as Endpoints from "../../src/testing/Endpoints.ts"
import * as Requests from "../../src/testing/Requests.ts"

const url = "https://example.com/hook"

const send = (request: Partial<EgressRequest> = {}) =>
  Effect.flatMap(Egress, (egress) => egress.send({ method: "POST", url, headers: [], body: "", ...request }))

/** Sends while time passes as it has to. */
const sent = Effect.fnUntraced(function*(request: Partial<EgressRequest> = {}) {
  const fiber = yield* Effect.forkChild(Effect.result(send(request)), { startImmediately: true })
  while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(100)
  const result = yield* Fiber.join(fiber)
  return result._tag === "Success" ? result.success.statusCode : result.failure._tag
})

const results = Effect.map(Requests.all, (requests) => requests.map(({ result }) => result))

describe("EgressFake", () => {
  it.effect("answers by script in turn, the last one for good; without a script with 200", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* sent(), 200)
      yield* Endpoints.script(url, [500, Endpoints.reply(429), 204])
      assert.deepStrictEqual([yield* sent(), yield* sent(), yield* sent(), yield* sent()], [500, 429, 204, 204])
      // One endpoint, however its URL is spelt; another for another path.
      assert.strictEqual(yield* sent({ url: "HTTPS://EXAMPLE.com:443/hook" }), 204)
      yield* Endpoints.otherwise([418])
      assert.strictEqual(yield* sent({ url: "https://example.com/" }), 418)
      assert.strictEqual(yield* sent(), 204)
      assert.lengthOf(yield* Requests.to(url), 7)
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("refuses what the real door refuses: headers that can't be sent, names and passwords in URLs", () =>
    Effect.gen(function*() {
      for (const headers of [["x-a", "a\r\nb"], ["x-a", "日本"], ["x a", "b"], ["", "b"], ["expect", "100-continue"]]) {
        assert.strictEqual(yield* sent({ headers }), "ConnectionFailed", headers.join())
      }
      assert.strictEqual(yield* sent({ url: "https://a:b@example.com/hook" }), "ForbiddenTarget")
      assert.strictEqual(yield* sent({ headers: ["X-A", "é\tb"] }), 200)
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("answers each request as a function says, also an effectful one", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, ({ json }) => json === 1 ? 201 : 400)
      assert.deepStrictEqual([yield* sent({ body: "1" }), yield* sent({ body: "2" })], [201, 400])
      yield* Endpoints.script(url, () => Effect.as(Effect.sleep(500), 202))
      assert.strictEqual(yield* sent(), 202)
      assert.strictEqual(yield* Clock.currentTimeMillis, 500)
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("gives answers with headers and bodies, cut at what is read of them", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [Endpoints.reply(200, { headers: { "Retry-After": "7" }, body: { id: "ä" } })])
      assert.deepStrictEqual(yield* send(), {
        statusCode: 200,
        headers: { "retry-after": "7" },
        body: "{\"id\":\"ä\"}"
      })
      yield* Endpoints.script(url, [Endpoints.reply(200, { body: "x".repeat(20) })])
      assert.strictEqual((yield* send()).body, "x".repeat(12))
    }).pipe(
      Effect.provide(EgressFake.layer.pipe(Layer.provide(Limits.layer({ responseBytes: 12 }))))
    ))

  it.effect("delays, hangs, refuses and breaks, and records how each request ended", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [
        Endpoints.reply(200, { delayMs: 900 }),
        Endpoints.reply(200, { delayMs: 1100 }),
        Endpoints.hangs,
        Endpoints.refuses(),
        Endpoints.breaks("EPIPE", { status: 204, delayMs: 100 })
      ])
      const outcomes = yield* Effect.replicateEffect(sent({ timeoutMs: 1000 }), 5)
      assert.deepStrictEqual(outcomes, [200, "EgressTimeout", "EgressTimeout", "ConnectionFailed", "ConnectionFailed"])
      assert.deepStrictEqual(yield* results, [
        { _tag: "Answered", statusCode: 200 },
        { _tag: "TimedOut" },
        { _tag: "TimedOut" },
        { _tag: "Failed", code: "ECONNREFUSED" },
        { _tag: "Failed", code: "EPIPE", lostStatusCode: 204 }
      ])
      assert.deepStrictEqual((yield* Requests.all).map(Requests.isAccepted), [true, false, false, false, false])
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("times out by the limit where the request names no time", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [Endpoints.hangs])
      assert.strictEqual(yield* sent(), "EgressTimeout")
      assert.strictEqual(yield* Clock.currentTimeMillis, 300)
    }).pipe(Effect.provide(EgressFake.layer.pipe(Layer.provide(Limits.layer({ requestTimeoutMs: 300 }))))))

  it.effect("shows a request while it is under way, and one that was interrupted", () =>
    Effect.gen(function*() {
      yield* Endpoints.script(url, [Endpoints.hangs])
      const fiber = yield* Effect.forkChild(send(), { startImmediately: true })
      assert.deepStrictEqual(yield* results, [{ _tag: "UnderWay" }])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* results, [{ _tag: "Interrupted" }])
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("records what was sent, with names of headers in lower case and the body parsed", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust(1234)
      yield* send({ method: "PUT", headers: ["X-A", "1", "x-a", "2", "B", "3"], body: "{\"a\":[null]}" })
      yield* send({ body: "a=b" })
      const [first, second] = yield* Requests.all
      assert.deepStrictEqual(first, {
        method: "PUT",
        url,
        headers: { "x-a": "1, 2", b: "3" },
        body: "{\"a\":[null]}",
        json: { a: [null] },
        atMs: 1234,
        result: { _tag: "Answered", statusCode: 200 }
      })
      assert.isUndefined(second?.json)
    }).pipe(Effect.provide(EgressFake.layer)))

  it.effect("forbids what the test forbids, when it is saved and when it is sent to, and what is no URL; else nothing", () =>
    Effect.gen(function*() {
      const egress = yield* Egress
      for (const allowed of ["http://127.0.0.1:80/", "http://[::1]/", "https://internal/"]) {
        yield* egress.check(allowed)
        assert.strictEqual(yield* sent({ url: allowed }), 200)
      }
      yield* Endpoints.forbid(url, "it is inside")
      assert.deepInclude(yield* Effect.flip(egress.check(url)), { _tag: "ForbiddenTarget", message: "it is inside" })
      for (const refused of [url, "no url", "ftp://example.com/"]) {
        assert.strictEqual((yield* Effect.flip(egress.check(refused)))._tag, "ForbiddenTarget")
        assert.strictEqual(yield* sent({ url: refused }), "ForbiddenTarget")
      }
      assert.lengthOf(yield* Requests.all, 3)
    }).pipe(Effect.provide(EgressFake.layer)))
})
