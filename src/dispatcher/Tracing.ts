/**
 * Spans of what is done for messages that carry a trace, told to the runner's tracer: their routing and each attempt. Where
 * there is no tracer, what came with a message goes on to its receivers as it is. Of other messages nothing is made.
 */
import { Cause, Clock, Context, Effect, Exit, Option, type Tracer } from "effect"
import type { Message } from "../Message.ts"
import type { Delivered, ProviderError } from "../Provider.ts"
import type { Routing, Unrouted } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import * as TraceContext from "../TraceContext.ts"
import type { Ready } from "./Lane.ts"

/** What the router and the sender tell. */
export interface Tracing {
  /** The time, to be told to `routed`; 0 where nobody asks. */
  readonly now: () => bigint
  /** Tells that a message with a trace was routed or set aside, as a part of a routing that began then. */
  readonly routed: (
    message: Unrouted,
    made: Pick<Routing["messages"][number], "matched" | "filtered" | "error">,
    sinceNanos: bigint
  ) => void
  /** Whether the attempts of a message are made in spans. */
  readonly isSpanned: (message: Message) => boolean
  /** Makes an attempt, in a span of its message's trace where there is one; `deliver` gets the context to send along. */
  readonly attempt: (
    ready: Ready,
    subscription: Subscription,
    deliver: (traceparent: string | undefined) => Effect.Effect<Delivered, ProviderError>
  ) => Effect.Effect<Delivered, ProviderError>
}

/** Makes it, for the tracer of whoever makes it. */
export const make: Effect.Effect<Tracing> = Effect.withFiberSucceed((fiber) => {
  const { tracer } = fiber.cache
  if (tracer === undefined || !TraceContext.isTraced(fiber)) return silent
  const clock = fiber.getRef(Clock.Clock)
  const now = () => clock.currentTimeNanosUnsafe()
  return {
    now,
    isSpanned: ({ traceparent }) => traceparent !== undefined,
    routed: ({ eventId, id, traceparent = "" }, { error, filtered, matched }, sinceNanos) => {
      const span = tracer.span({
        name: "Hookline.route",
        parent: Option.some(TraceContext.external(traceparent)),
        annotations: Context.empty(),
        links: [],
        startTime: sinceNanos,
        kind: "consumer",
        root: false,
        sampled: true
      })
      span.attribute("hookline.message.id", id)
      span.attribute("hookline.event.id", eventId)
      span.attribute("hookline.matched", matched)
      span.attribute("hookline.filtered", filtered)
      if (error !== undefined) span.attribute("hookline.set_aside", error)
      span.end(now(), Exit.void)
    },
    attempt: ({ claimed, message }, subscription, deliver) =>
      message.traceparent === undefined ? Effect.suspend(() => deliver(undefined)) : Effect.useSpan(
        "Hookline.attempt",
        {
          parent: TraceContext.external(message.traceparent),
          kind: "producer",
          attributes: {
            "hookline.message.id": message.id,
            "hookline.event.id": message.eventId,
            "hookline.delivery.id": claimed.deliveryId,
            "hookline.subscription.id": subscription.id,
            "hookline.provider.id": subscription.providerId,
            "hookline.attempt.number": claimed.attemptCount + 1
          }
        },
        (span) =>
          Effect.suspend(() => deliver(TraceContext.ofSpan(span))).pipe(
            Effect.withParentSpan(span, { captureStackTrace: false }),
            Effect.onExit((exit) => Effect.sync(() => tell(span, exit)))
          )
      )
  }
})

// --- internal ---

const silent: Tracing = {
  now: () => 0n,
  isSpanned: () => false,
  routed: () => {},
  attempt: ({ message }, _, deliver) => Effect.suspend(() => deliver(message.traceparent))
}

/** How an attempt went, in the words of the delivery log. */
const tell = (span: Tracer.Span, exit: Exit.Exit<Delivered, ProviderError>): void => {
  const failed = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  const statusCode = Exit.isSuccess(exit) ? exit.value.statusCode : failed?.statusCode
  if (statusCode !== undefined) span.attribute("http.response.status_code", statusCode)
  if (failed) span.attribute("error.type", failed.code)
  span.attribute(
    "hookline.outcome",
    Exit.isSuccess(exit)
      ? "success"
      : failed?._tag === "Retryable" && failed.timedOut === true
      ? "timeout"
      : failed
      ? failed._tag.toLowerCase()
      : Cause.hasInterruptsOnly(exit.cause)
      ? "interrupted"
      : "defect"
  )
}
