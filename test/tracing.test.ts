/**
 * The trace of a message, from its emit to the provider of its attempts, and what logs say of it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema, type Tracer } from "effect"
import * as Logs from "../src/cli/Logs.ts"
import * as Hook from "../src/Hook.ts"
import * as Hookline from "../src/Hookline.ts"
import * as Plugin from "../src/Plugin.ts"
import * as Provider from "../src/Provider.ts"
import { Storage } from "../src/Storage.ts"
import * as StorageMemory from "../src/StorageMemory.ts"
import { recording } from "./support/spans.ts"
import { Broken, Created, Endpoints, IncidentPlugin, layer, SecretsTest, subscribe, until } from "./support/world.ts"

const payload = { incidentId: "i1", systemIds: ["s1"] }

const traceId = "0af7651916cd43dd8448eb211c80319c"
const traceparent = `00-${traceId}-b7ad6b7169203331-01`

const parentOf = ({ parent }: Tracer.NativeSpan) => parent._tag === "Some" ? parent.value.spanId : undefined

const textOf = ({ spanId, traceId }: Tracer.AnySpan) => `00-${traceId}-${spanId}-01`

describe("a message with a trace", () => {
  it.effect("has its routing and each attempt in it, and each attempt's span is what its provider sends", () => {
    const endpoints = new Endpoints()
    const { layer: traced, named } = recording()
    endpoints.behaviours.set(
      "a",
      (attempt) =>
        attempt.number === 1
          ? Effect.fail(new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 503", statusCode: 503 }))
          : Effect.succeed({ statusCode: 200 })
    )
    return Effect.gen(function*() {
      const { id: subscriptionId } = yield* subscribe("a")
      const id = yield* Hook.emit(Created, payload, { traceparent })
      yield* until("it was attempted twice", () => endpoints.seen.length === 2)
      yield* until(
        "both attempts have ended",
        () => named("Hookline.attempt").every(({ status }) => status._tag === "Ended")
      )
      const [route] = named("Hookline.route")
      const attempts = named("Hookline.attempt")
      assert.deepStrictEqual([route, ...attempts].map((span) => span?.traceId), [traceId, traceId, traceId])
      assert.deepStrictEqual(attempts.map(parentOf), ["b7ad6b7169203331", "b7ad6b7169203331"])
      assert.deepStrictEqual(endpoints.seen.map(({ attempt }) => attempt.traceparent), attempts.map(textOf))
      assert.deepStrictEqual(
        attempts.map(({ attributes }) =>
          ["hookline.outcome", "http.response.status_code"].map((name) => attributes.get(name))
        ),
        [["retryable", 503], ["success", 200]]
      )
      for (const { attributes } of attempts) {
        assert.strictEqual(attributes.get("hookline.message.id"), id)
        assert.strictEqual(attributes.get("hookline.subscription.id"), subscriptionId)
      }
    }).pipe(Effect.provide(Layer.provide(layer(endpoints), traced)))
  })

  it.effect("that could not be routed has why in its routing", () => {
    const { layer: traced, named } = recording()
    return Effect.gen(function*() {
      yield* subscribe("a", ["incident.*"])
      yield* Hook.emit(Broken, { n: -1 }, { traceparent })
      yield* until("it was set aside", () => named("Hookline.route").length === 1)
      assert.include(String(named("Hookline.route")[0]?.attributes.get("hookline.set_aside")), "no negative numbers")
    }).pipe(Effect.provide(Layer.provide(layer(new Endpoints()), traced)))
  })

  it.effect("goes on with the trace that it came with, where no tracer was given", () => {
    const endpoints = new Endpoints()
    return Effect.gen(function*() {
      yield* subscribe("a")
      yield* Hook.emit(Created, payload, { traceparent: "01-" + traceparent.slice(3) + "-more" })
      yield* until("it was attempted", () => endpoints.seen.length === 1)
      assert.strictEqual(endpoints.seen[0]?.attempt.traceparent, traceparent)
    }).pipe(Effect.provide(layer(endpoints)))
  })

  it.effect("hands it on to what a handler of it emits", () => {
    const { layer: traced, named, tracer } = recording()
    const endpoints = new Endpoints()
    const Seen = Hook.make("seen", { payload: Schema.Struct({ incidentId: Schema.String }) })
    const handled = Plugin.make("handling", {
      hooks: [Seen],
      handlers: [
        Hook.on(Created, ({ incidentId }) => Hook.emit(Seen, { incidentId }), { mode: "work-queue", workerGroup: "q" })
      ]
    })
    return Effect.gen(function*() {
      yield* Hook.emit(Created, payload).pipe(Effect.withSpan("request"), Effect.withTracer(tracer))
      yield* until("the handler has emitted", () => named("Hook.emit").length === 2)
      const [request] = named("request")
      const [attempt] = named("Hookline.attempt")
      const [first, second] = named("Hook.emit")
      assert.strictEqual(first && parentOf(first), request?.spanId)
      assert.strictEqual(attempt && parentOf(attempt), first?.spanId)
      assert.strictEqual(second && parentOf(second), attempt?.spanId)
    }).pipe(
      Effect.provide(
        Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, handled) }).pipe(
          Layer.provide([StorageMemory.layer, SecretsTest]),
          Layer.provide(traced)
        )
      ),
      Effect.tap(() => Effect.sync(() => assert.deepStrictEqual(endpoints.seen, [])))
    )
  })
})

describe("a message without a trace", () => {
  it.effect("has no span of Hookline's and sends none, though a tracer was given", () => {
    const endpoints = new Endpoints()
    const { layer: traced, named } = recording()
    return Effect.gen(function*() {
      yield* subscribe("a")
      const ids = [
        yield* Hook.emit(Created, payload),
        yield* Hook.emit(Created, payload, { traceparent: traceparent.replace(/1$/u, "0") }),
        yield* Hook.emit(Created, payload, { traceparent: "not what the W3C says" })
      ]
      yield* until("all were attempted", () => endpoints.seen.length === 3)
      for (const { attempt } of endpoints.seen) assert.notProperty(attempt, "traceparent")
      for (const id of ids) {
        const stored = yield* Effect.fromOption(yield* Storage.use((storage) => storage.getMessage(id)))
        assert.notProperty(stored, "traceparent")
      }
      assert.deepStrictEqual(named("Hookline.attempt"), [])
      assert.deepStrictEqual(named("Hookline.route"), [])
    }).pipe(Effect.provide(Layer.provide(layer(endpoints), traced)))
  })
})

describe("a log line of an attempt", () => {
  it.effect("says which message, delivery and subscription it is of, and where in which trace", () => {
    const endpoints = new Endpoints()
    const { layer: traced, named } = recording()
    const lines: Array<{ readonly json: string; readonly logfmt: string }> = []
    const logger = Logger.make<unknown, void>((options) => {
      lines.push({ json: Logs.formats.json.log(options), logfmt: Logs.formats.logfmt.log(options) })
    })
    endpoints.behaviours.set(
      "a",
      () => Effect.as(Effect.logWarning("the room is full").pipe(Effect.annotateLogs("message", "hidden")), {})
    )
    return Effect.gen(function*() {
      const { id: subscriptionId } = yield* subscribe("a")
      const messageId = yield* Hook.emit(Created, payload, { traceparent })
      yield* until("it was attempted", () => lines.length > 0)
      const { deliveryId } = endpoints.seen[0]?.attempt ?? assert.fail("it was attempted")
      const { spanId } = named("Hookline.attempt")[0] ?? assert.fail("an attempt has a span")
      const [line] = lines
      const { timestamp: _, fiberId: __, ...entry } = Schema.decodeUnknownSync(
        Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))
      )(line?.json)
      assert.deepStrictEqual(entry, {
        level: "WARN",
        message: "the room is full",
        messageId,
        deliveryId,
        subscriptionId,
        traceId,
        spanId
      })
      assert.include(
        line?.logfmt,
        `messageId=${messageId} deliveryId=${deliveryId} subscriptionId=${subscriptionId} message=hidden ` +
          `traceId=${traceId} spanId=${spanId}`
      )
    }).pipe(
      Effect.provide(layer(endpoints).pipe(Layer.provide(traced), Layer.provide(Logger.layer([logger]))))
    )
  })
})
