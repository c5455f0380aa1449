/**
 * The trace that a message belongs to, as text: W3C Trace Context's `traceparent`. It is stored with the message, and each
 * attempt's span carries it on. A context that is malformed or not sampled is as good as none: nobody pays for it.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
import { Effect, type Fiber, Tracer } from "effect"

/**
 * A `traceparent` as it is stored, where it is well-formed and sampled.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sampled = (traceparent: string | undefined): string | undefined => {
  const found = traceparent === undefined ? null : pattern.exec(traceparent)
  if (found === null) return undefined
  const [, version = "", traceId = "", spanId = "", flags = "", more = ""] = found
  // A later version may say more, and says these four first.
  const isKnown = version === "00" ? more === "" : version !== "ff"
  const isThere = traceId !== noTrace && spanId !== noSpan && (Number.parseInt(flags, 16) & 1) === 1
  return isKnown && isThere ? textOf(traceId, spanId) : undefined
}

/**
 * The span that a stored `traceparent` names: the parent of what is done for its message.
 *
 * @category conversions
 * @since 0.1.0
 */
export const external = (traceparent: string): Tracer.ExternalSpan => {
  const [, traceId = "", spanId = ""] = traceparent.split("-")
  return Tracer.externalSpan({ traceId, spanId, sampled: true })
}

/**
 * The `traceparent` of a span; none where it is not sampled, or its ids are not of the W3C's form.
 *
 * @category conversions
 * @since 0.1.0
 */
export const ofSpan = ({ sampled: isSampled, spanId, traceId }: Tracer.AnySpan): string | undefined =>
  isSampled ? sampled(textOf(traceId.padStart(32, "0"), spanId)) : undefined

/**
 * Whether spans of a fiber go anywhere: a tracer was given to it. Effect's own keeps them in memory, for nobody.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTraced = ({ cache: { tracer, tracerEnabled } }: Fiber.Fiber<unknown, unknown>): boolean =>
  tracerEnabled && tracer !== undefined && tracer !== Tracer.nativeTracer

/**
 * The context of a fiber, where it is sampled: that of its span, or, where spans go nowhere, that which came from outside and
 * is passed on as it is.
 *
 * @category getters
 * @since 0.1.0
 */
export const ofFiber = (fiber: Fiber.Fiber<unknown, unknown>): string | undefined => {
  const { span } = fiber.cache
  if (span === undefined) return undefined
  if (isTraced(fiber)) return ofSpan(span)
  const outer = outermost(span)
  return outer._tag === "ExternalSpan" ? ofSpan(outer) : undefined
}

/**
 * The context of the calling fiber, as `ofFiber`.
 *
 * @category getters
 * @since 0.1.0
 */
export const current: Effect.Effect<string | undefined> = Effect.withFiberSucceed(ofFiber)

/**
 * Runs an effect in a span where spans go somewhere; elsewhere it costs nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withSpan =
  (name: string, options?: Tracer.SpanOptionsNoTrace) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.withFiber<A, E, R>((fiber) =>
      isTraced(fiber) ? Effect.withSpan(effect, name, { ...options, captureStackTrace: false }) : effect
    )

/**
 * Begins no trace: what is done in nobody's has no spans, as a runner's own statements, which come all the time.
 *
 * @category combinators
 * @since 0.1.0
 */
export const within = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.cache.span === undefined && fiber.cache.tracerEnabled ? Effect.withTracerEnabled(effect, false) : effect
  )

// --- internal ---

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/u
const noTrace = "0".repeat(32)
const noSpan = "0".repeat(16)

const textOf = (traceId: string, spanId: string): string => `00-${traceId}-${spanId}-01`

/** Spans of this process end at one from outside, or at their root. */
const outermost = (span: Tracer.AnySpan): Tracer.AnySpan =>
  span._tag === "Span" && span.parent._tag === "Some" ? outermost(span.parent.value) : span
