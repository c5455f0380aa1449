import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { call, emission, eventually, server, subscription } from "./support.ts"

/** The value of a series, 0 where there is none yet. */
const valueOf = (text: string, series: string): number => {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `))
  return line === undefined ? 0 : Number(line.slice(series.length + 1))
}

describe("GET /metrics", () => {
  layer(server(), { excludeTestServices: true })((it) => {
    it.effect("tells Prometheus what was routed, attempted and delivered, and how long it took", () =>
      Effect.gen(function*() {
        const made = yield* call("POST", "/api/v1/subscriptions", subscription({ tenantId: "secretive" }))
        const before = yield* call("GET", "/metrics")
        assert.strictEqual(before.status, 200)
        assert.include(String(before.type), "text/plain; version=0.0.4")
        for (let n = 0; n < 3; n++) yield* call("POST", "/api/v1/messages", emission({ tenantId: "secretive" }))
        const series = [
          `hookline_messages_routed_total{event="incident.incident.created"}`,
          `hookline_attempts_total{provider="test.endpoint",outcome="success"}`,
          `hookline_deliveries_total{provider="test.endpoint",status="success"}`,
          `hookline_attempt_duration_seconds_count{provider="test.endpoint"}`
        ]
        const { text } = yield* eventually(
          "each is three more",
          call("GET", "/metrics"),
          ({ text }) => series.every((one) => valueOf(text, one) === valueOf(before.text, one) + 3)
        )
        assert.strictEqual(valueOf(text, "hookline_ready"), 1)
        assert.isAtLeast(valueOf(text, "hookline_dispatchers"), 1)
        assert.notInclude(text, "secretive")
        assert.notInclude(text, String(made.json["id"]))
      }))

    it.effect("is for keys that may read, of no tenant", () =>
      Effect.gen(function*() {
        const keyOf = (body: object) =>
          Effect.map(
            call("POST", "/api/v1/keys", { name: "k", ...body }),
            ({ json }) => ({ authorization: `Bearer ${String(json["key"])}` })
          )
        const read = yield* keyOf({ scopes: ["read"] })
        const emit = yield* keyOf({ scopes: ["emit"] })
        const bound = yield* keyOf({ scopes: ["read"], tenantId: "a" })
        assert.strictEqual((yield* call("GET", "/metrics", undefined, read)).status, 200)
        assert.strictEqual((yield* call("GET", "/metrics", undefined, emit)).status, 403)
        assert.strictEqual((yield* call("GET", "/metrics", undefined, bound)).status, 403)
        assert.strictEqual((yield* call("GET", "/metrics", undefined, { authorization: "" })).status, 401)
      }))
  })
})
