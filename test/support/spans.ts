/**
 * A tracer as somebody gives it, with the spans that it made.
 */
import { Layer, Tracer } from "effect"

export const recording = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return {
    layer: Layer.succeed(Tracer.Tracer, tracer),
    tracer,
    spans,
    named: (name: string) => spans.filter((span) => span.name === name)
  }
}
