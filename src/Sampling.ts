/**
 * Which traces are told: OpenTelemetry's samplers, around a tracer that tells every span that is sampled.
 *
 * @see https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling
 */
import { Tracer } from "effect"

/**
 * The samplers, by the names that `OTEL_TRACES_SAMPLER` has for them.
 *
 * @category constants
 * @since 0.1.0
 */
export const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

/** @category models @since 0.1.0 */
export type Sampler = typeof samplers[number]

/**
 * The share of the traces that begin here which is told unless something else is said: those that came with a sampled parent are told
 * whatever it is.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultRatio = 0.01

/**
 * A tracer that samples. `ratio`, from 0 to 1, is that of the samplers whose name says so.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sampled = (sampler: Sampler, ratio: number) => (tracer: Tracer.Tracer): Tracer.Tracer => {
  const kind = sampler.replace("parentbased_", "")
  const share = kind === "always_on" ? 1 : kind === "always_off" ? 0 : ratio
  const isParentBased = kind !== sampler
  const { context } = tracer
  return Tracer.make({
    ...(context === undefined ? {} : { context }),
    span: (options) => {
      // Spans of one process are told together: only where a trace begins, or comes from outside, is there a choice.
      const parent = options.root ? undefined : options.parent._tag === "Some" ? options.parent.value : undefined
      if (parent !== undefined && (isParentBased || parent._tag === "Span")) return tracer.span(options)
      if (!isParentBased && parent?._tag === "ExternalSpan") {
        return tracer.span({ ...options, sampled: isWithin(parent.traceId, share) })
      }
      if (!options.sampled || share >= 1) return tracer.span(options)
      const span = tracer.span(options)
      return isWithin(span.traceId, share) ? span : tracer.span({ ...options, sampled: false })
    }
  })
}

// --- internal ---

/** By the last bits of the trace's id, which are random, as many as a number holds: all that see a trace decide alike. */
const isWithin = (traceId: string, share: number): boolean => Number.parseInt(traceId.slice(-13), 16) < share * 2 ** 52
