import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as TraceContext from "../src/TraceContext.ts"
import { recording } from "./support/spans.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const traceparent = `00-${traceId}-${spanId}-01`

describe("a traceparent", () => {
  it("is taken as the W3C writes it, where it is sampled", () => {
    assert.strictEqual(TraceContext.sampled(traceparent), traceparent)
    assert.strictEqual(TraceContext.sampled(`00-${traceId}-${spanId}-03`), traceparent)
  })

  it("of a later version is taken by its first four parts", () => {
    assert.strictEqual(TraceContext.sampled(`01-${traceId}-${spanId}-01-more`), traceparent)
    assert.strictEqual(TraceContext.sampled(`01-${traceId}-${spanId}-01`), traceparent)
  })

  it("is as good as none where it is not sampled, or malformed", () => {
    const none = [
      undefined,
      "",
      `00-${traceId}-${spanId}-00`,
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId}-${spanId}`,
      `00-${traceId}-${spanId}-01\r\nx: y`,
      traceparent.repeat(2)
    ]
    assert.deepStrictEqual(none.map(TraceContext.sampled), none.map(() => undefined))
  })

  it("is of a span, and a span of it", () => {
    const span = TraceContext.external(traceparent)
    assert.deepInclude(span, { traceId, spanId, sampled: true })
    assert.strictEqual(TraceContext.ofSpan(span), traceparent)
    assert.isUndefined(TraceContext.ofSpan({ ...span, sampled: false }))
    assert.isUndefined(TraceContext.ofSpan({ ...span, traceId: "not of the W3C's form" }))
    assert.strictEqual(
      TraceContext.ofSpan({ ...span, traceId: traceId.slice(16) }),
      `00-${"0".repeat(16)}${traceId.slice(16)}-${spanId}-01`
    )
  })
})

describe("the context of a fiber", () => {
  it.effect("is that of its span, where a tracer was given to it", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const found = yield* TraceContext.current.pipe(Effect.withSpan("outer"), Effect.withTracer(tracer))
      assert.strictEqual(found, `00-${spans[0]?.traceId}-${spans[0]?.spanId}-01`)
      assert.isUndefined(yield* TraceContext.current.pipe(Effect.withTracer(tracer)))
      const unsampled = Effect.withSpan(TraceContext.current, "outer", { sampled: false })
      assert.isUndefined(yield* Effect.withTracer(unsampled, tracer))
    }))

  it.effect("is that which came from outside, where nobody is told of spans", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* Effect.withSpan(TraceContext.current, "outer"))
      const within = TraceContext.current.pipe(
        Effect.withSpan("inner"),
        Effect.withParentSpan(TraceContext.external(traceparent))
      )
      assert.strictEqual(yield* within, traceparent)
    }))
})

describe("a span of Hookline's", () => {
  it.effect("is made where a tracer was given, and nowhere else", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const inside = Effect.option(Effect.currentSpan).pipe(TraceContext.withSpan("here", { kind: "producer" }))
      assert.strictEqual((yield* inside)._tag, "None")
      assert.strictEqual((yield* Effect.withTracer(inside, tracer))._tag, "Some")
      assert.deepStrictEqual(spans.map(({ kind, name }) => [name, kind]), [["here", "producer"]])
    }))

  it.effect("begins no trace of statements that are in nobody's", () =>
    Effect.gen(function*() {
      const { spans, tracer } = recording()
      const statement = TraceContext.within(Effect.withSpan(Effect.void, "statement"))
      yield* Effect.withTracer(statement, tracer)
      assert.deepStrictEqual(spans, [])
      yield* statement.pipe(Effect.withSpan("request"), Effect.withTracer(tracer))
      assert.deepStrictEqual(spans.map(({ name }) => name), ["request", "statement"])
    }))
})
