/**
 * The contract of messages: emitting, reading, explaining.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Verdict } from "../Explanations.ts"
import { MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { DeliveryView } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"
import { IsoTime, Time } from "./Time.ts"

/** @category schemas @since 0.1.0 */
export const Emission = Schema.Struct({
  eventId: Schema.String.pipe(told("The event, as `incident.incident.created`")),
  payload: Schema.Json.pipe(told("What happened, as the event's schema wants it")),
  idempotencyKey: Schema.optionalKey(Text).pipe(
    told("A repetition with the same key, within a day, is the same message")
  ),
  orderingKey: Schema.optionalKey(Text).pipe(
    told("Messages of one key reach an ordered subscription one after the other")
  ),
  tenantId: Schema.optionalKey(Text).pipe(told("Whose it is; the tenant of the key, or `default`, when left out")),
  deliverAt: Schema.optionalKey(IsoTime).pipe(
    told("Not delivered before; up to 30 days ahead, and no further than history is kept")
  ),
  expiresAt: Schema.optionalKey(IsoTime).pipe(told("From when on no attempt begins; up to 60 days ahead"))
}).annotate({ identifier: "Emission" })

/** @category schemas @since 0.1.0 */
export const EmissionBatch = Schema.Struct({
  messages: Schema.Array(Emission).check(Schema.isMinLength(1), Schema.isMaxLength(defaults.batchMessages)).pipe(
    told("Stored all or none, in this order")
  )
}).annotate({ identifier: "EmissionBatch" })

/** @category schemas @since 0.1.0 */
export const MessageView = Schema.Struct({
  id: MessageId.pipe(told("The message's id")),
  eventId: Schema.String.pipe(told("Its event")),
  tenantId: Schema.String.pipe(told("Whose it is")),
  orderingKey: Schema.optionalKey(Schema.String).pipe(told("Messages of one key are in an order")),
  payload: Schema.Json.pipe(told("As it was emitted; null where its body has expired")),
  bodyExpired: Schema.optionalKey(Schema.Literal(true)).pipe(
    told("Its tenant keeps bodies for a shorter time: this one was emptied, and can't be delivered again")
  ),
  state: Schema.Literals(["unrouted", "routed", "set-aside"]).pipe(
    told("How far its routing is; `set-aside` is what failed to be routed")
  ),
  matched: Schema.optionalKey(Schema.Int).pipe(told("Subscriptions that it was routed to")),
  filtered: Schema.optionalKey(Schema.Int).pipe(told("Subscriptions of its event whose filter did not hold")),
  deliverAt: Schema.optionalKey(Time).pipe(told("Not delivered before")),
  expiresAt: Schema.optionalKey(Time).pipe(told("From when on no attempt begins")),
  error: Schema.optionalKey(Schema.String).pipe(told("Why it was set aside")),
  traceparent: Schema.optionalKey(Schema.String).pipe(told("The trace that it belongs to (W3C Trace Context)")),
  createdAt: Time.pipe(told("When it was emitted")),
  routedAt: Schema.optionalKey(Time).pipe(told("When it was routed"))
}).annotate({ identifier: "Message" })

/** @category schemas @since 0.1.0 */
export const ExplanationView = Schema.Struct({
  subscription: Schema.Struct({
    id: SubscriptionId.pipe(told("Its id")),
    name: Schema.String.pipe(told("Its name")),
    enabled: Schema.Boolean.pipe(told("Whether it is enabled now"))
  }).pipe(told("Whose explanation it is")),
  verdict: Verdict.pipe(told("Whether it got the message, or which rule said no")),
  reason: Schema.String.pipe(told("The same in a sentence")),
  delivery: Schema.optionalKey(DeliveryView).pipe(told("What it got, as it is now"))
}).annotate({ identifier: "Explanation" })

const Taken = Schema.Struct({ id: MessageId.pipe(told("The message's id")) })

/** @category groups @since 0.1.0 */
export class Messages extends HttpApiGroup.make("messages").add(
  HttpApiEndpoint.post("emit", "/messages", {
    payload: Emission,
    success: Taken.pipe(HttpApiSchema.status(202)),
    error: [Refused, Conflict, Unavailable]
  }).annotateMerge(described({
    summary: "Emit a message",
    description: "Stores a message of an event; with the answer it is committed and will be delivered. A repetition " +
      "with the same idempotency key and content answers the same id; with other content, 409.",
    request: Examples.emission,
    answer: Examples.messageTaken
  })).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, { scope: "emit" }),
  HttpApiEndpoint.post("emitBatch", "/messages/batch", {
    payload: EmissionBatch,
    success: Schema.Struct({ ids: Schema.Array(MessageId).pipe(told("Their ids, in the order of the batch")) }).pipe(
      HttpApiSchema.status(202)
    ),
    error: [Refused, Conflict, Unavailable]
  }).annotateMerge(described({
    summary: "Emit a batch of messages",
    description:
      "Stores up to 1,000 messages in one transaction, all or none, and answers their ids in order. What is " +
      "refused is told with its place, as `messages[3].payload.title`.",
    request: { messages: [Examples.emission] },
    answer: { ids: [Examples.messageId] }
  })).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, { scope: "emit" }),
  HttpApiEndpoint.get("list", "/messages", {
    query: {
      ...Page.query,
      eventId: Schema.optionalKey(Name),
      tenantId: Schema.optionalKey(Name),
      state: Schema.optionalKey(Schema.Literal("set-aside")).pipe(told("Only what failed to be routed"))
    },
    success: Page.of(MessageView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List messages",
      description: "Newest first, page by page; with `state=set-aside` those whose routing failed.",
      answer: Examples.messages
    })
  ),
  HttpApiEndpoint.get("get", "/messages/:id", { ...id, success: MessageView, error: [NotFound, Unavailable] })
    .annotateMerge(
      described({
        summary: "Read a message",
        description: "With its payload, and how far its routing is.",
        answer: Examples.message
      })
    ),
  HttpApiEndpoint.get("explain", "/messages/:id/explain", {
    ...id,
    query: Page.query,
    success: Schema.Struct({
      message: MessageView.pipe(told("The message, as it is now")),
      ...Page.of(ExplanationView).fields
    }),
    error: [NotFound, Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "Explain a message",
      description: "For each subscription of its tenant, whether it got the message and why, or why not.",
      answer: Examples.explanations
    })
  ),
  HttpApiEndpoint.post("retry", "/messages/:id/retry", {
    ...id,
    success: Taken.pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  }).annotateMerge(
    described({
      summary: "Route a message again",
      description: "For one that was set aside because its routing failed.",
      answer: Examples.messageTaken
    })
  )
).annotateMerge(OpenApi.annotations({ description: "Emitting events, and what became of each." })) {}
