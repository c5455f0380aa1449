/**
 * The contract of messages: emitting, reading, explaining.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Verdict } from "../Explanations.ts"
import { MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { Needs } from "./Bearer.ts"
import { DeliveryView } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Conflict, NotFound, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"
import { IsoTime } from "./Time.ts"

/** @category schemas @since 0.1.0 */
export const Emission = Schema.Struct({
  eventId: Schema.String,
  payload: Schema.Json,
  idempotencyKey: Schema.optionalKey(Text),
  orderingKey: Schema.optionalKey(Text),
  tenantId: Schema.optionalKey(Text),
  /** When it is delivered, and from when on no attempt begins. */
  deliverAt: Schema.optionalKey(IsoTime),
  expiresAt: Schema.optionalKey(IsoTime)
}).annotate({ identifier: "Emission" })

/** @category schemas @since 0.1.0 */
export const EmissionBatch = Schema.Struct({
  messages: Schema.Array(Emission).check(Schema.isMinLength(1), Schema.isMaxLength(defaults.batchMessages))
}).annotate({ identifier: "EmissionBatch" })

/** @category schemas @since 0.1.0 */
export const MessageView = Schema.Struct({
  id: MessageId,
  eventId: Schema.String,
  tenantId: Schema.String,
  orderingKey: Schema.optionalKey(Schema.String),
  payload: Schema.Json,
  state: Schema.Literals(["unrouted", "routed", "set-aside"]),
  /** Subscriptions that matched, and those of its event whose filter did not hold, once it is routed. */
  matched: Schema.optionalKey(Schema.Int),
  filtered: Schema.optionalKey(Schema.Int),
  deliverAt: Schema.optionalKey(Schema.String),
  expiresAt: Schema.optionalKey(Schema.String),
  /** Why it was set aside. */
  error: Schema.optionalKey(Schema.String),
  createdAt: Schema.String,
  routedAt: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Message" })

/** @category schemas @since 0.1.0 */
export const ExplanationView = Schema.Struct({
  subscription: Schema.Struct({ id: SubscriptionId, name: Schema.String, enabled: Schema.Boolean }),
  verdict: Verdict,
  reason: Schema.String,
  delivery: Schema.optionalKey(DeliveryView)
}).annotate({ identifier: "Explanation" })

/** @category groups @since 0.1.0 */
export class Messages extends HttpApiGroup.make("messages").add(
  HttpApiEndpoint.post("emit", "/messages", {
    payload: Emission,
    success: Schema.Struct({ id: MessageId }).pipe(HttpApiSchema.status(202)),
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
    success: Schema.Struct({ ids: Schema.Array(MessageId) }).pipe(HttpApiSchema.status(202)),
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
    query: { ...Page.query, eventId: Schema.optionalKey(Name), tenantId: Schema.optionalKey(Name) },
    success: Page.of(MessageView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({ summary: "List messages", description: "Newest first, page by page.", answer: Examples.messages })
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
    success: Schema.Struct({ message: MessageView, ...Page.of(ExplanationView).fields }),
    error: [NotFound, Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "Explain a message",
      description: "For each subscription, whether it got the message and why, or why not.",
      answer: Examples.explanations
    })
  ),
  HttpApiEndpoint.post("retry", "/messages/:id/retry", {
    ...id,
    success: Schema.Struct({ id: MessageId }).pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  }).annotateMerge(
    described({
      summary: "Route a message again",
      description: "For one that was set aside because its routing failed.",
      answer: Examples.messageTaken
    })
  )
).annotateMerge(OpenApi.annotations({ description: "Emitting events, and what became of each." })) {}
