/**
 * The contract of subscriptions.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ConnectionId, MessageId, SubscriptionId } from "../Id.ts"
import { RequestPreview, ResponseExcerpt } from "../Provider.ts"
import { RateLimit } from "../RateLimit.ts"
import { RetryJson } from "../RetrySchedule.ts"
import { Needs } from "./Bearer.ts"
import { DeliveryView } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, PreconditionFailed, Refused, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"

const limited = {
  ordered: Schema.optionalKey(Schema.Boolean),
  maxConcurrency: Schema.optionalKey(Schema.Json),
  rateLimit: Schema.optionalKey(Schema.Json)
}

/** @category schemas @since 0.1.0 */
export const SubscriptionInput = Schema.Struct({
  name: Schema.String,
  description: Schema.optionalKey(Schema.String),
  events: Schema.Array(Schema.String),
  providerId: Schema.String,
  config: Schema.Json,
  connectionId: Schema.optionalKey(Schema.String),
  signingSecret: Schema.optionalKey(Schema.String),
  retry: Schema.optionalKey(Schema.Json),
  filter: Schema.optionalKey(Schema.Json),
  enabled: Schema.optionalKey(Schema.Boolean),
  tenantId: Schema.optionalKey(Schema.String),
  ...limited
}).annotate({ identifier: "SubscriptionInput" })

/** @category schemas @since 0.1.0 */
export const SubscriptionPatch = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  description: Schema.optionalKey(Schema.String),
  events: Schema.optionalKey(Schema.Array(Schema.String)),
  config: Schema.optionalKey(Schema.Json),
  connectionId: Schema.optionalKey(Schema.String),
  retry: Schema.optionalKey(Schema.Json),
  filter: Schema.optionalKey(Schema.Json),
  enabled: Schema.optionalKey(Schema.Boolean),
  ...limited
}).annotate({ identifier: "SubscriptionPatch" })

const subscriptionFields = {
  id: SubscriptionId,
  tenantId: Schema.String,
  name: Schema.String,
  description: Schema.optionalKey(Schema.String),
  events: Schema.Array(Schema.String),
  providerId: Schema.String,
  /** Without its secrets. */
  config: Schema.Json,
  /** Whose credentials it uses, where its provider has connections. */
  connectionId: Schema.optionalKey(ConnectionId),
  retry: Schema.optionalKey(RetryJson),
  filter: Schema.optionalKey(Schema.Json),
  /** Left out where it is false. */
  ordered: Schema.optionalKey(Schema.Boolean),
  maxConcurrency: Schema.optionalKey(Schema.Int),
  rateLimit: Schema.optionalKey(RateLimit),
  /** How it fares, where its last attempt was not accepted; failures are those in a row. */
  health: Schema.optionalKey(Schema.Struct({
    failures: Schema.Int,
    failingSince: Schema.String,
    circuit: Schema.Literals(["closed", "open", "half-open"]),
    openUntil: Schema.optionalKey(Schema.String)
  })),
  /** With which receivers verify, where signing secrets are private keys; newest first. */
  signingPublicKeys: Schema.optionalKey(Schema.Array(Schema.String)),
  enabled: Schema.Boolean,
  disabledReason: Schema.optionalKey(Schema.String),
  createdAt: Schema.String,
  updatedAt: Schema.String
}

/** @category schemas @since 0.1.0 */
export const SubscriptionView = Schema.Struct(subscriptionFields).annotate({ identifier: "Subscription" })

/** @category schemas @since 0.1.0 */
export const SubscriptionCreated = Schema.Struct({ ...subscriptionFields, signingSecret: Schema.String })
  .annotate({ identifier: "SubscriptionCreated" })

/** @category schemas @since 0.1.0 */
export const BlockedKeyView = Schema.Struct({
  orderingKey: Schema.String,
  /** The delivery that the others wait for. */
  head: DeliveryView,
  /** How many wait behind it, up to 1000. */
  waiting: Schema.Int
}).annotate({ identifier: "BlockedKey" })

const sample = {
  messageId: Schema.optionalKey(MessageId),
  eventId: Schema.optionalKey(Schema.String),
  payload: Schema.optionalKey(Schema.Json),
  orderingKey: Schema.optionalKey(Text)
}

/** @category schemas @since 0.1.0 */
export const PreviewInput = Schema.Struct({
  subscriptionId: Schema.optionalKey(SubscriptionId),
  providerId: Schema.optionalKey(Schema.String),
  config: Schema.optionalKey(Schema.Json),
  connectionId: Schema.optionalKey(ConnectionId),
  ...sample
}).annotate({ identifier: "PreviewInput" })

/** @category schemas @since 0.1.0 */
export const TrialInput = Schema.Struct(sample).annotate({ identifier: "TrialInput" })

/**
 * What came of one attempt that was made to try a subscription.
 *
 * @category schemas
 * @since 0.1.0
 */
export const TrialView = Schema.Struct({
  eventId: Schema.String,
  messageId: MessageId,
  outcome: Schema.Literals(["success", "retryable", "permanent", "gone", "timeout"]),
  durationMs: Schema.Finite,
  statusCode: Schema.optionalKey(Schema.Int),
  externalId: Schema.optionalKey(Schema.String),
  error: Schema.optionalKey(Schema.Struct({ tag: Schema.String, message: Schema.String })),
  response: Schema.optionalKey(ResponseExcerpt)
}).annotate({ identifier: "Trial" })

/**
 * When the attempts of a retry schedule would come if each failed at once; jitter is drawn once.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ScheduleView = Schema.Struct({
  /** The first included. */
  attempts: Schema.Int,
  delaysMs: Schema.Array(Schema.Finite),
  totalMs: Schema.Finite
}).annotate({ identifier: "SchedulePreview" })

/** @category schemas @since 0.1.0 */
export const FilterTest = Schema.Struct({ filter: Schema.Json, ...sample }).annotate({ identifier: "FilterTest" })

/** @category schemas @since 0.1.0 */
export const FilterVerdict = Schema.Struct({
  eventId: Schema.String,
  passes: Schema.Boolean,
  /** The first condition that fails. */
  reason: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "FilterVerdict" })

/** @category schemas @since 0.1.0 */
export const RotationInput = Schema.Struct({
  signingSecret: Schema.optionalKey(Schema.String),
  overlapMs: Schema.optionalKey(Schema.Int)
}).annotate({ identifier: "RotationInput" })

const changing = [NotFound, Refused, Unavailable] as const

/** Of what is changed, of the version that `If-Match` names where it is sent. */
const conditional = [...changing, PreconditionFailed] as const

/** @category groups @since 0.1.0 */
export class SubscriptionsGroup extends HttpApiGroup.make("subscriptions").add(
  HttpApiEndpoint.post("create", "/subscriptions", {
    payload: SubscriptionInput,
    success: SubscriptionCreated.pipe(HttpApiSchema.status(201)),
    error: [Refused, Unavailable]
  }).annotateMerge(described({
    summary: "Subscribe",
    description: "Makes a subscription. Every message that is emitted after the answer is matched against it. Its " +
      "signing secret is made unless it is given, and shown in this answer only.",
    request: Examples.subscriptionInput,
    answer: Examples.subscriptionCreated,
    versioned: true
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/subscriptions", {
    query: {
      ...Page.query,
      tenantId: Schema.optionalKey(Name),
      enabled: Schema.optionalKey(Schema.Literals(["true", "false"])),
      connectionId: Schema.optionalKey(ConnectionId)
    },
    success: Page.of(SubscriptionView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List subscriptions",
      description:
        "Newest first, page by page; all, or those that are enabled or not, or deliver through a connection.",
      answer: Examples.subscriptions
    })
  ),
  HttpApiEndpoint.get("get", "/subscriptions/:id", {
    ...id,
    success: SubscriptionView,
    error: [NotFound, Unavailable]
  }).annotateMerge(
    described({
      summary: "Read a subscription",
      description: "Without its secrets. The ETag of the answer is what a change sends as If-Match.",
      answer: Examples.subscription,
      versioned: true
    })
  ),
  HttpApiEndpoint.patch("update", "/subscriptions/:id", {
    ...id,
    payload: SubscriptionPatch,
    success: SubscriptionView,
    error: conditional
  }).annotateMerge(described({
    summary: "Change a subscription",
    description: "Changes the properties that are sent; null takes away what is optional. With If-Match it changes " +
      "the version that was read, or answers 412.",
    request: { enabled: false },
    answer: { ...Examples.subscription, enabled: false },
    versioned: true
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("remove", "/subscriptions/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: changing
  }).annotateMerge(
    described({
      summary: "Delete a subscription",
      description: "No attempt begins after the answer; what has not ended is cancelled."
    })
  ),
  HttpApiEndpoint.post("preview", "/subscriptions/preview", {
    payload: PreviewInput,
    success: Schema.Struct({ eventId: Schema.String, request: RequestPreview }),
    error: changing
  }).annotateMerge(described({
    summary: "Preview a request",
    description:
      "The exact request that would be sent for a message, a payload or an example, by a subscription or a " +
      "configuration that is not saved. Nothing is sent.",
    request: {
      providerId: "webhook.webhook",
      config: { url: "https://example.com/hooks/incidents" },
      eventId: "incident.incident.created"
    },
    answer: Examples.preview
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.post("testFilter", "/subscriptions/test-filter", {
    payload: FilterTest,
    success: FilterVerdict,
    error: changing
  }).annotateMerge(described({
    summary: "Test a filter",
    description: "Whether a filter that is not saved holds for a message, a payload or an example, and which " +
      "condition does not.",
    request: {
      filter: { field: "payload.severity", equals: "high" },
      eventId: "incident.incident.created",
      payload: { severity: "low" }
    },
    answer: { eventId: "incident.incident.created", passes: false, reason: "payload.severity is \"low\"" }
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.post("previewSchedule", "/subscriptions/preview-schedule", {
    payload: Schema.Struct({ retry: RetryJson }).annotate({ identifier: "ScheduleInput" }),
    success: ScheduleView,
    error: Refused
  }).annotateMerge(described({
    summary: "Preview a retry schedule",
    description: "When the attempts of a schedule would come if each failed at once; nothing is stored.",
    request: { retry: { type: "delays", delaysMs: [1000, 5000] } },
    answer: { attempts: 3, delaysMs: [1000, 5000], totalMs: 6000 }
  })).annotate(HttpApi.PayloadParseOptions, closed).annotate(Needs, { scope: "read" }),
  HttpApiEndpoint.post("test", "/subscriptions/:id/test", {
    ...id,
    payload: TrialInput,
    success: TrialView,
    error: changing
  }).annotateMerge(described({
    summary: "Try a subscription",
    description:
      "Sends the event's example, a payload or a past message to the subscription's endpoint, once, whether or not " +
      "it is enabled, and answers what came of it. It stands in no delivery log.",
    request: { eventId: "incident.incident.created" },
    answer: {
      eventId: "incident.incident.created",
      messageId: Examples.messageId,
      outcome: "success",
      durationMs: 84,
      statusCode: 204
    }
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.post("rotateSecret", "/subscriptions/:id/rotate-secret", {
    ...id,
    payload: RotationInput,
    success: SubscriptionCreated,
    error: changing
  }).annotateMerge(
    described({
      summary: "Rotate the signing secret",
      description:
        "The new secret signs from now on; the one before signs beside it for a while, so that receivers can follow.",
      request: { overlapMs: 3600000 },
      answer: Examples.subscriptionCreated,
      versioned: true
    })
  ).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("blockedKeys", "/subscriptions/:id/blocked-keys", {
    ...id,
    query: Page.query,
    success: Page.of(BlockedKeyView),
    error: [NotFound, Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List blocked ordering keys",
      description: "The keys of an ordered subscription whose first delivery waits or has failed for now, with what " +
        "waits behind it.",
      answer: Examples.blockedKeys
    })
  ),
  HttpApiEndpoint.post("enable", "/subscriptions/:id/enable", { ...id, success: SubscriptionView, error: conditional })
    .annotateMerge(
      described({
        summary: "Enable a subscription",
        description: "Deliveries that were held while it was disabled go out.",
        answer: Examples.subscription,
        versioned: true
      })
    ),
  HttpApiEndpoint.post("disable", "/subscriptions/:id/disable", {
    ...id,
    success: SubscriptionView,
    error: conditional
  }).annotateMerge(
    described({
      summary: "Disable a subscription",
      description: "No attempt begins after the answer; deliveries are collected and held.",
      answer: { ...Examples.subscription, enabled: false },
      versioned: true
    })
  )
).annotateMerge(OpenApi.annotations({ description: "Who wants which events, through which provider, how." })) {}
