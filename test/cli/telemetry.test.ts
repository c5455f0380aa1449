/**
 * One trace through real processes: from an emit in one, by the routing and the attempt in a runner, to the receiver; told to a
 * collector over HTTP, and found again in the runner's log.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Otlp } from "effect/observability"
import { createHash } from "node:crypto"
import * as StatusPage from "../../examples/status-page/hookline.config.ts"
import { Hooks } from "../../src/Hook.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { collector } from "../support/collector.ts"
import * as Postgres from "../support/postgres.ts"
import { exited, hookline, kill, run, until } from "../support/process.ts"
import { adminKey, config, freePort, get, ready } from "../support/runner.ts"
import { served } from "../support/served.ts"

const payload = (n: number) => ({
  incidentId: `i${n}`,
  systemIds: ["web"],
  title: "t",
  severity: "s",
  status: "open",
  createdAt: "2026-01-31T12:00:00Z"
})

const Entry = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

/** A receiver that refuses the first request of each message, and tells the traces that it was sent. */
const receiver = Effect.gen(function*() {
  const traces: Array<string | undefined> = []
  const seen = new Set<string>()
  const { port } = yield* served((request, response) => {
    request.resume().on("end", () => {
      traces.push(request.headers["traceparent"]?.toString())
      const id = String(request.headers["webhook-id"])
      response.writeHead(seen.has(id) ? 204 : 503).end()
      seen.add(id)
    })
  })
  return { traces, url: `http://127.0.0.1:${port}/` }
})

/** A runner on a database of its own, that tells a collector. */
const world = (more: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const { url } = yield* Postgres.testDatabase
    const told = yield* collector
    const endpoint = yield* receiver
    const port = yield* freePort
    const runner = yield* hookline(["start", "--config", config, "--port", String(port)], {
      DATABASE_URL: Redacted.value(url),
      HOOKLINE_MASTER_KEY: createHash("sha256").update("telemetry").digest("hex"),
      HOOKLINE_ADMIN_KEY: adminKey,
      HOOKLINE_EGRESS_ALLOW: "127.0.0.0/8",
      HOOKLINE_LOG_FORMAT: "json",
      OTEL_EXPORTER_OTLP_ENDPOINT: told.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_TRACES_SAMPLER: "parentbased_always_on",
      OTEL_EXPORTER_OTLP_HEADERS: "x-collector=a%20b",
      OTEL_BSP_SCHEDULE_DELAY: "50",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
      ...more
    })
    yield* until("the runner is ready", ready(port))
    const api = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
          method: "POST",
          headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json", ...headers },
          body: JSON.stringify(body)
        }).then((response) => response.status)
      )
    const created = yield* api("/subscriptions", {
      name: "a",
      events: ["incident.*"],
      providerId: "webhook.webhook",
      config: { url: endpoint.url },
      retry: { type: "delays", delaysMs: [50, 50] }
    })
    assert.strictEqual(created, 201)
    return { url, told, endpoint, port, runner, api }
  })

/** The trace and the span that a traceparent names. */
const parts = (traceparent: string | undefined) => {
  const [, traceId = "", spanId = ""] = traceparent?.split("-") ?? []
  return { traceId, spanId }
}

describe("telemetry", () => {
  it.live(
    "follows a message from an emit in one process to the receiver of another's attempts, in one trace",
    () =>
      Effect.gen(function*() {
        const { endpoint, told, url } = yield* world()
        const emitter = yield* Layer.build(
          Hookline.emitter({ plugins: StatusPage.default }).pipe(
            Layer.provide(PgStorage.layer()),
            Layer.provide(PgClient.layer({ url, maxConnections: 2 })),
            Layer.provideMerge(
              Otlp.layerJson({
                baseUrl: told.url,
                resource: { serviceName: "shop" },
                tracerExportInterval: "50 millis"
              }).pipe(Layer.provide(NodeHttpClient.layerUndici))
            )
          )
        )
        const messageId = yield* Hooks.use((hooks) => hooks.emitJson("incident.incident.created", payload(1))).pipe(
          Effect.withSpan("checkout"),
          Effect.provide(emitter)
        )
        yield* until("it came twice", Effect.sync(() => endpoint.traces.length === 2))
        const { traceId } = parts(endpoint.traces[0])
        yield* until(
          "all was told",
          Effect.sync(() =>
            told.named(traceId, "Hookline.attempt").length === 2 && told.named(traceId, "checkout").length === 1
          )
        )
        const [checkout] = told.named(traceId, "checkout")
        const [emit] = told.named(traceId, "Hook.emitJson")
        const routes = told.named(traceId, "Hookline.route")
        const attempts = told.named(traceId, "Hookline.attempt")
        assert.deepStrictEqual([checkout?.service, emit?.service], ["shop", "shop"])
        assert.strictEqual(emit?.parentSpanId, checkout?.spanId)
        assert.lengthOf(routes, 1)
        for (const span of [...routes, ...attempts]) {
          assert.strictEqual(span.service, "hookline")
          assert.strictEqual(span.parentSpanId, emit?.spanId)
          assert.strictEqual(span.attributes["hookline.message.id"], messageId)
          assert.strictEqual(span.attributes["hookline.event.id"], "incident.incident.created")
        }
        assert.deepInclude(routes[0]?.attributes, { "hookline.matched": 1, "hookline.filtered": 0 })
        // The receiver was sent each attempt's own span.
        assert.deepStrictEqual(
          attempts.map(({ spanId }) => spanId),
          endpoint.traces.map((traceparent) => parts(traceparent).spanId)
        )
        assert.deepStrictEqual(
          attempts.map(({ attributes, isError }) => [
            attributes["hookline.attempt.number"],
            attributes["http.response.status_code"],
            attributes["hookline.outcome"],
            isError
          ]),
          [[1, 503, "retryable", true], [2, 204, "success", false]]
        )
        for (const { attributes } of attempts) {
          assert.match(String(attributes["hookline.delivery.id"]), /^dlv_/u)
          assert.match(String(attributes["hookline.subscription.id"]), /^sub_/u)
          assert.strictEqual(attributes["hookline.provider.id"], "webhook.webhook")
        }
        // What a runner does all the time is in no trace.
        yield* until("metrics were told", Effect.sync(() => told.metrics.has("hookline_inbox_messages")))
        const roots = told.spans.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name)
        assert.deepStrictEqual(roots.sort(), ["POST", "checkout"])
        assert.isTrue(told.headers.includes("a b"))
        assert.include(JSON.stringify(told.logs), "Hookline runs")
      }),
    60_000
  )

  it.live(
    "continues the trace of a request, and makes none of what asks how a runner is",
    () =>
      Effect.gen(function*() {
        const { api, endpoint, port, told } = yield* world()
        const traceId = "0af7651916cd43dd8448eb211c80319c"
        const traceparent = `00-${traceId}-b7ad6b7169203331-01`
        yield* get(`http://127.0.0.1:${port}/metrics`)
        const emission = { eventId: "incident.incident.created", payload: payload(2) }
        assert.strictEqual(yield* api("/messages", emission, { traceparent }), 202)
        yield* until("it came twice", Effect.sync(() => endpoint.traces.length === 2))
        assert.strictEqual(parts(endpoint.traces[1]).traceId, traceId)
        yield* until("all was told", Effect.sync(() => told.named(traceId, "Hookline.attempt").length === 2))
        const [request] = told.named(traceId, "POST")
        const [emit] = told.named(traceId, "Hook.emitJson")
        assert.strictEqual(request?.parentSpanId, "b7ad6b7169203331")
        assert.strictEqual(emit?.parentSpanId, request?.spanId)
        // A trace that nobody keeps costs nothing.
        assert.strictEqual(yield* api("/messages", emission, { traceparent: traceparent.replace(/1$/u, "0") }), 202)
        yield* until("the other came twice", Effect.sync(() => endpoint.traces.length === 4))
        assert.deepStrictEqual(endpoint.traces.slice(2), [undefined, undefined])
        assert.deepStrictEqual(told.spans.filter(({ name }) => name === "GET"), [])
      }),
    60_000
  )

  it.live("passes a request's trace on where no collector is told, in logs of one form", () =>
    Effect.gen(function*() {
      const { api, endpoint, runner, told } = yield* world({ OTEL_SDK_DISABLED: "true" })
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const emission = { eventId: "incident.incident.created", payload: payload(3) }
      assert.strictEqual(yield* api("/messages/batch", { messages: [emission] }, { traceparent }), 202)
      yield* until("it came twice", Effect.sync(() => endpoint.traces.length === 2))
      assert.deepStrictEqual(endpoint.traces, [traceparent, traceparent])
      yield* kill(runner.child, "SIGTERM")
      assert.strictEqual(yield* exited(runner.child), 0)
      assert.deepStrictEqual([told.spans.length, told.metrics.size, told.logs.length], [0, 0, 0])
      const lines = runner.output.stderr.split("\n").filter((line) => line !== "")
      const entries = yield* Effect.forEach(lines, (line) => Schema.decodeUnknownEffect(Entry)(line))
      assert.deepInclude(entries[0], { level: "INFO", message: "Hookline runs", host: "127.0.0.1" })
    }), 60_000)

  it.live("holds up neither deliveries nor the stop where the collector is silent", () =>
    Effect.gen(function*() {
      const silent = yield* served(() => {})
      const { api, endpoint, runner } = yield* world({
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${silent.port}`,
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "1"
      })
      const emission = { eventId: "incident.incident.created", payload: payload(4) }
      for (let n = 0; n < 5; n++) assert.strictEqual(yield* api("/messages", emission), 202)
      yield* until("each came twice", Effect.sync(() => endpoint.traces.length === 10))
      assert.isAbove(silent.sockets.length, 0)
      const stopped = Date.now()
      yield* kill(runner.child, "SIGTERM")
      assert.strictEqual(yield* exited(runner.child), 0)
      assert.isBelow(Date.now() - stopped, 8000)
    }), 60_000)

  it.live("is refused in a sentence where the environment says what can't be", () =>
    Effect.gen(function*() {
      const start = (env: Record<string, string>) =>
        run(["start", "--dev", "--config", config], { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", ...env })
      for (
        const [name, value] of [
          ["OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"],
          ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
          ["OTEL_TRACES_SAMPLER", "sometimes"],
          ["OTEL_TRACES_SAMPLER_ARG", "2"],
          ["HOOKLINE_LOG_FORMAT", "xml"]
        ] as const
      ) {
        const { code, stderr } = yield* start({ [name]: value })
        assert.strictEqual(code, 1)
        assert.include(stderr, `The environment's ${name} can't be used`)
      }
    }), 60_000)
})
