import { assert, describe, it } from "@effect/vitest"
import { Context, Option, Tracer } from "effect"
import * as Sampling from "../src/Sampling.ts"

/** A tracer that samples, and the spans that it would tell. */
const tracer = (sampler: Sampling.Sampler, ratio = 1) =>
  Sampling.sampled(sampler, ratio)(Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }))

const span = (tracer: Tracer.Tracer, parent?: Tracer.AnySpan) =>
  tracer.span({
    name: "a",
    parent: Option.fromUndefinedOr(parent),
    annotations: Context.empty(),
    links: [],
    startTime: 0n,
    kind: "internal",
    root: false,
    sampled: parent?.sampled ?? true
  })

const external = (traceId: string, sampled: boolean) =>
  Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331", sampled })

const low = `${"0".repeat(18)}00000000000001`
const high = `${"0".repeat(18)}ffffffffffffff`

describe("a sampler", () => {
  it("takes all traces, or none, that begin here", () => {
    assert.isTrue(span(tracer("always_on")).sampled)
    assert.isFalse(span(tracer("always_off")).sampled)
    assert.isTrue(span(tracer("parentbased_always_on")).sampled)
    assert.isFalse(span(tracer("parentbased_always_off")).sampled)
  })

  it("takes a share of them, each by its id, whole", () => {
    const quarter = tracer("parentbased_traceidratio", 0.25)
    const roots = Array.from({ length: 4000 }, () => span(quarter))
    const taken = roots.filter(({ sampled }) => sampled)
    assert.isTrue(Math.abs(taken.length / roots.length - 0.25) < 0.05)
    for (const root of roots) assert.strictEqual(span(quarter, root).sampled, root.sampled)
    assert.isTrue(taken.every(({ traceId }) => Number.parseInt(traceId.slice(-13, -11), 16) < 64))
    assert.isTrue(Array.from({ length: 50 }, () => span(tracer("traceidratio", 0))).every(({ sampled }) => !sampled))
  })

  it("follows who began the trace elsewhere, where it is told to", () => {
    const none = tracer("parentbased_traceidratio", 0)
    assert.isTrue(span(none, external(high, true)).sampled)
    assert.isFalse(span(none, external(low, false)).sampled)
  })

  it("decides by itself otherwise, as everybody who sees that trace", () => {
    const half = tracer("traceidratio", 0.5)
    assert.isTrue(span(half, external(low, false)).sampled)
    assert.isFalse(span(half, external(high, true)).sampled)
    assert.isTrue(span(tracer("always_on"), external(high, false)).sampled)
    assert.isFalse(span(tracer("always_off"), external(low, true)).sampled)
  })
})
