/**
 * The contract of subscriptions.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ConnectionId, MessageId, SubscriptionId } from "../Id.ts"
import { RequestPreview, ResponseExcerpt } from "../Provider.ts"
import { RateLimit } from "../RateLimit.ts"
import { RetryJson } from "../RetrySchedule.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { DeliveryView } from "./DeliveryShapes.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { NotFound, PreconditionFailed, Refused, TooManyRequests, Unavailable } from "./Problem.ts"
import { closed, id, Name, Text } from "./Shapes.ts"
import { Time } from "./Time.ts"

const limited = {
  ordered: Schema.optionalKey(Schema.Boolean).pipe(told("One after the other for each ordering key, through retries")),
  maxConcurrency: Schema.optionalKey(Schema.Json).pipe(
    told("Attempts that may be under way at once; null ends the limit")
  ),
  rateLimit: Schema.optionalKey(Schema.Json).pipe(
    told("`messages` within `intervalMs`, up to `burst` at once; null ends the limit")
  )
}

/** @category schemas @since 0.1.0 */
export const SubscriptionInput = Schema.Struct({
  name: Schema.String.pipe(told("Its name for people")),
  description: Schema.optionalKey(Schema.String).pipe(told("What it is for")),
  events: Schema.Array(Schema.String).pipe(told("Event ids or patterns, as `incident.*`")),
  providerId: Schema.String.pipe(told("How it is delivered, as `webhook.webhook`")),
  config: Schema.Json.pipe(told("As the provider's `configSchema` wants it")),
  connectionId: Schema.optionalKey(Schema.String).pipe(
    told("Whose credentials it uses, where its provider has connections")
  ),
  signingSecret: Schema.optionalKey(Schema.String).pipe(told("`whsec_…` or `whsk_…`; made when left out")),
  retry: Schema.optionalKey(Schema.Json).pipe(
    told("When further attempts are made; the event's or the provider's schedule when left out")
  ),
  filter: Schema.optionalKey(Schema.Json).pipe(told("Which messages of its events it wants; all when left out")),
  enabled: Schema.optionalKey(Schema.Boolean).pipe(told("Whether attempts are made; true when left out")),
  tenantId: Schema.optionalKey(Schema.String).pipe(
    told("Whose it is; the tenant of the key, or `default`, when left out")
  ),
  ...limited
}).annotate({ identifier: "SubscriptionInput" })

/** @category schemas @since 0.1.0 */
export const SubscriptionPatch = Schema.Struct({
  name: Schema.optionalKey(Schema.String).pipe(told("Its name for people")),
  description: Schema.optionalKey(Schema.String).pipe(told("What it is for")),
  events: Schema.optionalKey(Schema.Array(Schema.String)).pipe(told("Event ids or patterns, as `incident.*`")),
  config: Schema.optionalKey(Schema.Json).pipe(
    told("Merged into the stored one: a secret that is blank stays, one that is null is taken away")
  ),
  connectionId: Schema.optionalKey(Schema.String).pipe(told("Another connection of its provider")),
  retry: Schema.optionalKey(Schema.Json).pipe(told("When further attempts are made; null takes the default")),
  filter: Schema.optionalKey(Schema.Json).pipe(told("Which messages of its events it wants; null wants all")),
  enabled: Schema.optionalKey(Schema.Boolean).pipe(told("Whether attempts are made")),
  ...limited
}).annotate({ identifier: "SubscriptionPatch" })

const subscriptionFields = {
  id: SubscriptionId.pipe(told("The subscription's id")),
  tenantId: Schema.String.pipe(told("Whose it is")),
  name: Schema.String.pipe(told("Its name for people")),
  description: Schema.optionalKey(Schema.String).pipe(told("What it is for")),
  events: Schema.Array(Schema.String).pipe(told("Event ids or patterns, as `incident.*`")),
  providerId: Schema.String.pipe(told("How it is delivered")),
  config: Schema.Json.pipe(told("Without its secrets")),
  connectionId: Schema.optionalKey(ConnectionId).pipe(
    told("Whose credentials it uses, where its provider has connections")
  ),
  retry: Schema.optionalKey(RetryJson).pipe(told("When further attempts are made; left out where it is the default")),
  filter: Schema.optionalKey(Schema.Json).pipe(
    told("Which messages of its events it wants; left out where it wants all")
  ),
  ordered: Schema.optionalKey(Schema.Boolean).pipe(
    told("One after the other for each ordering key; left out where it is false")
  ),
  maxConcurrency: Schema.optionalKey(Schema.Int).pipe(told("Attempts that may be under way at once")),
  rateLimit: Schema.optionalKey(RateLimit).pipe(told("How many may begin within a time")),
  health: Schema.optionalKey(Schema.Struct({
    failures: Schema.Int.pipe(told("Attempts in a row that were not accepted")),
    failingSince: Time.pipe(told("Since when nothing was accepted")),
    circuit: Schema.Literals(["closed", "open", "half-open"]).pipe(
      told("Whether attempts begin: not while it is open, one at a time while it is half-open")
    ),
    openUntil: Schema.optionalKey(Time).pipe(told("When the circuit lets a probe through"))
  })).pipe(told("How it fares, where its last attempt was not accepted")),
  signingPublicKeys: Schema.optionalKey(Schema.Array(Schema.String)).pipe(
    told("With which receivers verify, where signing secrets are private keys; newest first")
  ),
  enabled: Schema.Boolean.pipe(told("Whether attempts are made")),
  disabledReason: Schema.optionalKey(Schema.String).pipe(told("Why Hookline disabled it: `gone` or `failing`")),
  createdAt: Time.pipe(told("When it was made")),
  updatedAt: Time.pipe(told("When it was changed last"))
}

/** @category schemas @since 0.1.0 */
export const SubscriptionView = Schema.Struct(subscriptionFields).annotate({ identifier: "Subscription" })

/** @category schemas @since 0.1.0 */
export const SubscriptionCreated = Schema.Struct({
  ...subscriptionFields,
  signingSecret: Schema.String.pipe(told("Signs its messages, and is in this answer only"))
})
  .annotate({ identifier: "SubscriptionCreated" })

/** @category schemas @since 0.1.0 */
export const BlockedKeyView = Schema.Struct({
  orderingKey: Schema.String.pipe(told("The key")),
  head: DeliveryView.pipe(told("The delivery that the others wait for")),
  waiting: Schema.Int.pipe(told("How many wait behind it, up to 1000"))
}).annotate({ identifier: "BlockedKey" })

const sample = {
  messageId: Schema.optionalKey(MessageId).pipe(told("A past message")),
  eventId: Schema.optionalKey(Schema.String).pipe(
    told("The event to take an example of; the first that matches when left out")
  ),
  payload: Schema.optionalKey(Schema.Json).pipe(told("Instead of the event's example")),
  orderingKey: Schema.optionalKey(Text).pipe(told("The message's ordering key"))
}

/** @category schemas @since 0.1.0 */
export const PreviewInput = Schema.Struct({
  subscriptionId: Schema.optionalKey(SubscriptionId).pipe(told("A stored subscription")),
  providerId: Schema.optionalKey(Schema.String).pipe(told("Or a provider, with a `config` that is not saved")),
  config: Schema.optionalKey(Schema.Json).pipe(told("As the provider's `configSchema` wants it")),
  connectionId: Schema.optionalKey(ConnectionId).pipe(told("Needed where the provider has connections")),
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
  eventId: Schema.String.pipe(told("The event of the message that was sent")),
  messageId: MessageId.pipe(told("Its id, which is in no log")),
  outcome: Schema.Literals(["success", "retryable", "permanent", "gone", "timeout"]).pipe(told("What came of it")),
  durationMs: Schema.Finite.pipe(told("How long it took, in milliseconds")),
  statusCode: Schema.optionalKey(Schema.Int).pipe(told("The status that the endpoint answered with")),
  externalId: Schema.optionalKey(Schema.String).pipe(told("The id that the other system gave to what was delivered")),
  error: Schema.optionalKey(
    Schema.Struct({
      tag: Schema.String.pipe(told("What it was, in a word, as `Timeout` or `HttpStatus`")),
      message: Schema.String.pipe(told("The same in a sentence"))
    })
  ).pipe(told("What went wrong")),
  response: Schema.optionalKey(ResponseExcerpt).pipe(told("The beginning of the answer, without secrets"))
}).annotate({ identifier: "Trial" })

/**
 * When the attempts of a retry schedule would come if each failed at once; jitter is drawn once.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ScheduleView = Schema.Struct({
  attempts: Schema.Int.pipe(told("Attempts in all, the first included")),
  delaysMs: Schema.Array(Schema.Finite).pipe(told("The delay before each further attempt, in milliseconds")),
  totalMs: Schema.Finite.pipe(told("All delays together, in milliseconds"))
}).annotate({ identifier: "SchedulePreview" })

/** @category schemas @since 0.1.0 */
export const FilterTest = Schema.Struct({ filter: Schema.Json.pipe(told("The filter to try")), ...sample }).annotate({
  identifier: "FilterTest"
})

/** @category schemas @since 0.1.0 */
export const FilterVerdict = Schema.Struct({
  eventId: Schema.String.pipe(told("The event of the message that was judged")),
  passes: Schema.Boolean.pipe(told("Whether the filter holds")),
  reason: Schema.optionalKey(Schema.String).pipe(told("The first condition that fails"))
}).annotate({ identifier: "FilterVerdict" })

/** @category schemas @since 0.1.0 */
export const RotationInput = Schema.Struct({
  signingSecret: Schema.optionalKey(Schema.String).pipe(
    told("The new secret; made when left out, of the kind of the present one")
  ),
  overlapMs: Schema.optionalKey(Schema.Int).pipe(
    told("How long the old ones sign beside it, in milliseconds; a day when left out")
  )
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
      failing: Schema.optionalKey(Schema.Literals(["true", "false"])).pipe(
        told("Those whose last attempt was not accepted, or all others")
      ),
      connectionId: Schema.optionalKey(ConnectionId)
    },
    success: Page.of(SubscriptionView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List subscriptions",
      description:
        "Newest first, page by page; all, or those that are enabled or not, fail or not, or deliver through a connection.",
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
    description:
      "Changes the properties that are sent; null takes away a retry schedule, a filter, a limit or a secret. A change of an address in the " +
      "configuration has to bring the secrets that are sent there. With If-Match it changes the version that was read, " +
      "or answers 412.",
    request: { enabled: false },
    answer: { ...Examples.subscription, enabled: false },
    versioned: true
  })).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("remove", "/subscriptions/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: conditional
  }).annotateMerge(
    described({
      summary: "Delete a subscription",
      description:
        "No attempt begins after the answer; what has not ended is cancelled. With If-Match it deletes the " +
        "version that was read, or answers 412."
    })
  ),
  HttpApiEndpoint.post("preview", "/subscriptions/preview", {
    payload: PreviewInput,
    success: Schema.Struct({
      eventId: Schema.String.pipe(told("The event of the message that was rendered")),
      request: RequestPreview.pipe(told("The request, without secrets"))
    }),
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
    payload: Schema.Struct({ retry: RetryJson.pipe(told("The schedule to show")) }).annotate({
      identifier: "ScheduleInput"
    }),
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
    error: [...changing, TooManyRequests]
  }).annotateMerge(described({
    summary: "Try a subscription",
    description:
      "Sends the event's example, a payload or a past message to the subscription's endpoint, once, whether or not " +
      "it is enabled, and answers what came of it. It stands in no delivery log. A runner has so many tests under way, " +
      "of which keys of one tenant may have a quarter: else 503, or 429.",
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
    error: conditional
  }).annotateMerge(
    described({
      summary: "Rotate the signing secret",
      description: "The new secret signs from now on; the one before signs beside it for a while, so that receivers " +
        "can follow. With If-Match a repetition rotates nothing again, and answers 412.",
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
