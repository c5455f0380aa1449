/**
 * What browsers are told with each answer, and which pages may ask.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { call, server } from "./support.ts"

const page = "https://app.example.com"

describe("for browsers, an answer", () => {
  it.live("is nothing to guess at, to keep, to run, to frame or to lend, whatever it is", () =>
    Effect.gen(function*() {
      for (const path of ["/api/v1/events", "/api/v1/events/none", "/nowhere", "/health/live"]) {
        const { headers } = yield* call("GET", path)
        assert.deepInclude(Object.fromEntries(headers), {
          "x-content-type-options": "nosniff",
          "cache-control": "no-store",
          "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
          "x-frame-options": "DENY",
          "cross-origin-resource-policy": "same-origin",
          "referrer-policy": "no-referrer"
        })
      }
    }).pipe(Effect.provide(server())))

  it.live("is for no page of another origin, unless it is named", () =>
    Effect.gen(function*() {
      const preflight = { origin: page, "access-control-request-method": "POST", authorization: "" }
      for (const [method, path] of [["OPTIONS", "/api/v1/messages"], ["GET", "/api/v1/events"]] as const) {
        const { headers } = yield* call(method, path, undefined, method === "GET" ? { origin: page } : preflight)
        assert.isNull(headers.get("access-control-allow-origin"))
      }
    }).pipe(Effect.provide(server())))

  it.live("is for the pages of an origin that is named, with a key and without cookies", () =>
    Effect.gen(function*() {
      const asked = yield* call("OPTIONS", "/api/v1/messages", undefined, {
        origin: page,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
        authorization: ""
      })
      assert.strictEqual(asked.status, 204)
      assert.strictEqual(asked.headers.get("access-control-allow-origin"), page)
      assert.include(asked.headers.get("access-control-allow-headers") ?? "", "authorization")
      assert.isNull(asked.headers.get("access-control-allow-credentials"))
      const read = yield* call("GET", "/api/v1/events", undefined, { origin: page })
      assert.strictEqual(read.headers.get("access-control-allow-origin"), page)
      assert.include(read.headers.get("access-control-expose-headers") ?? "", "etag")
      const other = yield* call("GET", "/api/v1/events", undefined, { origin: "https://evil.example.com" })
      assert.isNull(other.headers.get("access-control-allow-origin"))
    }).pipe(Effect.provide(server({ corsOrigins: [page] }))))
})
