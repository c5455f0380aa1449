/**
 * The contract of the HTTP API, from which come the server and `openapi.json`.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeliveryReason, DeliveryStatus } from "../Delivery.ts"
import { Verdict } from "../Explanations.ts"
import { DeliveryId, MessageId, SubscriptionId } from "../Id.ts"
import { defaults } from "../Limits.ts"
import { PayloadProperty } from "../PayloadProperties.ts"
import { RequestPreview } from "../Provider.ts"
import { RateLimit } from "../RateLimit.ts"
import { RetryJson } from "../RetrySchedule.ts"
import { Auth } from "./Bearer.ts"
import { ClusterGroup } from "./ClusterApi.ts"
import { DeliveryDetail, DeliveryView } from "./DeliveryShapes.ts"
import * as Page from "./Page.ts"
import { PluginsGroup, ProvidersGroup } from "./PluginsApi.ts"
import { Conflict, NotFound, Problems, Refused, Unavailable } from "./Problem.ts"
import { StreamGroup } from "./StreamApi.ts"
import { IsoTime } from "./Time.ts"

// -- shapes

const JsonObject = Schema.Record(Schema.String, Schema.Json)

/** @category schemas @since 0.1.0 */
export const EventView = Schema.Struct({
  id: Schema.String,
  pluginId: Schema.String,
  displayName: Schema.String,
  description: Schema.optionalKey(Schema.String),
  category: Schema.String,
  payloadSchema: JsonObject
}).annotate({ identifier: "Event" })

/**
 * How many dispatcher partitions the messages of an event are shared out to.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Partitions = Schema.Struct({
  partitions: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.partitions }))
}).annotate({ identifier: "Partitions" })

const text = Schema.String.check(
  Schema.isMinLength(1),
  Schema.isMaxLength(defaults.keyLength),
  // Two keys that differ there alone would be one in the database.
  Schema.makeFilter((text: string) => text.isWellFormed() ? undefined : "a text without lone surrogates")
)

/** @category schemas @since 0.1.0 */
export const Emission = Schema.Struct({
  eventId: Schema.String,
  payload: Schema.Json,
  idempotencyKey: Schema.optionalKey(text),
  orderingKey: Schema.optionalKey(text),
  tenantId: Schema.optionalKey(text),
  /** When it is delivered, and from when on no attempt begins. */
  deliverAt: Schema.optionalKey(IsoTime),
  expiresAt: Schema.optionalKey(IsoTime)
}).annotate({ identifier: "Emission" })

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

const limited = {
  ordered: Schema.optionalKey(Schema.Boolean),
  maxConcurrency: Schema.optionalKey(Schema.Json),
  rateLimit: Schema.optionalKey(Schema.Json)
}

/** For bodies in which a misspelt property must not pass for one that was left out. */
const closed = { onExcessProperty: "error" } as const

/** @category schemas @since 0.1.0 */
export const SubscriptionInput = Schema.Struct({
  name: Schema.String,
  description: Schema.optionalKey(Schema.String),
  events: Schema.Array(Schema.String),
  providerId: Schema.String,
  config: Schema.Json,
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

/** @category schemas @since 0.1.0 */
export const ExplanationView = Schema.Struct({
  subscription: Schema.Struct({ id: SubscriptionId, name: Schema.String, enabled: Schema.Boolean }),
  verdict: Verdict,
  reason: Schema.String,
  delivery: Schema.optionalKey(DeliveryView)
}).annotate({ identifier: "Explanation" })

const sample = {
  messageId: Schema.optionalKey(MessageId),
  eventId: Schema.optionalKey(Schema.String),
  payload: Schema.optionalKey(Schema.Json),
  orderingKey: Schema.optionalKey(text)
}

/** @category schemas @since 0.1.0 */
export const PreviewInput = Schema.Struct({
  subscriptionId: Schema.optionalKey(SubscriptionId),
  providerId: Schema.optionalKey(Schema.String),
  config: Schema.optionalKey(Schema.Json),
  ...sample
}).annotate({ identifier: "PreviewInput" })

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

/** A name to filter by: PostgreSQL's texts hold no NUL. */
const name = Schema.String.check(
  Schema.isMaxLength(defaults.keyLength),
  Schema.isPattern(/^[^\0]*$/u, { message: "a text without NUL characters" })
)

const id = { params: { id: Schema.String } }

// -- groups

/** @category groups @since 0.1.0 */
export class Events extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("list", "/events", {
    query: { groupBy: Schema.optionalKey(Schema.Literal("category")) },
    success: Schema.Union([
      Page.whole(EventView),
      Schema.Struct({
        categories: Schema.Array(Schema.Struct({ category: Schema.String, events: Schema.Array(EventView) }))
      })
    ])
  }),
  HttpApiEndpoint.get("get", "/events/:id", { ...id, success: EventView, error: NotFound }),
  HttpApiEndpoint.get("partitions", "/events/:id/partitions", {
    ...id,
    success: Partitions,
    error: [NotFound, Unavailable]
  }),
  HttpApiEndpoint.put("setPartitions", "/events/:id/partitions", {
    ...id,
    payload: Partitions,
    success: Partitions,
    error: [NotFound, Refused, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("schema", "/events/:id/schema", {
    ...id,
    success: Schema.Struct({ payloadSchema: JsonObject, availableProperties: Schema.Array(PayloadProperty) }),
    error: NotFound
  })
) {}

/** @category groups @since 0.1.0 */
export class Messages extends HttpApiGroup.make("messages").add(
  HttpApiEndpoint.post("emit", "/messages", {
    payload: Emission,
    success: Schema.Struct({ id: MessageId }).pipe(HttpApiSchema.status(202)),
    error: [Refused, Conflict, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/messages", {
    query: { ...Page.query, eventId: Schema.optionalKey(name), tenantId: Schema.optionalKey(name) },
    success: Page.of(MessageView),
    error: [Refused, Unavailable]
  }),
  HttpApiEndpoint.get("get", "/messages/:id", { ...id, success: MessageView, error: [NotFound, Unavailable] }),
  HttpApiEndpoint.get("explain", "/messages/:id/explain", {
    ...id,
    query: Page.query,
    success: Schema.Struct({ message: MessageView, ...Page.of(ExplanationView).fields }),
    error: [NotFound, Refused, Unavailable]
  }),
  HttpApiEndpoint.post("retry", "/messages/:id/retry", {
    ...id,
    success: Schema.Struct({ id: MessageId }).pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  })
) {}

const changing = [NotFound, Refused, Unavailable] as const

/** @category groups @since 0.1.0 */
export class SubscriptionsGroup extends HttpApiGroup.make("subscriptions").add(
  HttpApiEndpoint.post("create", "/subscriptions", {
    payload: SubscriptionInput,
    success: SubscriptionCreated.pipe(HttpApiSchema.status(201)),
    error: [Refused, Unavailable]
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("list", "/subscriptions", {
    query: {
      ...Page.query,
      tenantId: Schema.optionalKey(name),
      enabled: Schema.optionalKey(Schema.Literals(["true", "false"]))
    },
    success: Page.of(SubscriptionView),
    error: [Refused, Unavailable]
  }),
  HttpApiEndpoint.get("get", "/subscriptions/:id", {
    ...id,
    success: SubscriptionView,
    error: [NotFound, Unavailable]
  }),
  HttpApiEndpoint.patch("update", "/subscriptions/:id", {
    ...id,
    payload: SubscriptionPatch,
    success: SubscriptionView,
    error: changing
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.delete("remove", "/subscriptions/:id", {
    ...id,
    success: HttpApiSchema.NoContent,
    error: changing
  }),
  HttpApiEndpoint.post("preview", "/subscriptions/preview", {
    payload: PreviewInput,
    success: Schema.Struct({ eventId: Schema.String, request: RequestPreview }),
    error: changing
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.post("testFilter", "/subscriptions/test-filter", {
    payload: FilterTest,
    success: FilterVerdict,
    error: changing
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.post("rotateSecret", "/subscriptions/:id/rotate-secret", {
    ...id,
    payload: RotationInput,
    success: SubscriptionCreated,
    error: changing
  }).annotate(HttpApi.PayloadParseOptions, closed),
  HttpApiEndpoint.get("blockedKeys", "/subscriptions/:id/blocked-keys", {
    ...id,
    query: Page.query,
    success: Page.of(BlockedKeyView),
    error: [NotFound, Refused, Unavailable]
  }),
  HttpApiEndpoint.post("enable", "/subscriptions/:id/enable", { ...id, success: SubscriptionView, error: changing }),
  HttpApiEndpoint.post("disable", "/subscriptions/:id/disable", { ...id, success: SubscriptionView, error: changing })
) {}

/** @category groups @since 0.1.0 */
export class Deliveries extends HttpApiGroup.make("deliveries").add(
  HttpApiEndpoint.get("list", "/deliveries", {
    query: {
      ...Page.query,
      tenantId: Schema.optionalKey(name),
      subscriptionId: Schema.optionalKey(SubscriptionId),
      eventId: Schema.optionalKey(name),
      messageId: Schema.optionalKey(MessageId),
      status: Schema.optionalKey(DeliveryStatus),
      reason: Schema.optionalKey(DeliveryReason),
      from: Schema.optionalKey(IsoTime),
      to: Schema.optionalKey(IsoTime)
    },
    success: Page.of(DeliveryView),
    error: [Refused, Unavailable]
  }),
  HttpApiEndpoint.post("skip", "/deliveries/:id/skip", {
    ...id,
    success: Schema.Struct({ id: DeliveryId }),
    error: [NotFound, Conflict, Unavailable]
  }),
  HttpApiEndpoint.get("get", "/deliveries/:id", { ...id, success: DeliveryDetail, error: [NotFound, Unavailable] }),
  HttpApiEndpoint.post("retry", "/deliveries/:id/retry", {
    ...id,
    success: Schema.Struct({ id: DeliveryId }).pipe(HttpApiSchema.status(202)),
    error: [NotFound, Conflict, Unavailable]
  })
) {}

/**
 * The whole API.
 *
 * @category api
 * @since 0.1.0
 */
export class Api extends HttpApi.make("hookline")
  .add(Events)
  .add(Messages)
  .add(SubscriptionsGroup)
  .add(Deliveries)
  .add(PluginsGroup)
  .add(ProvidersGroup)
  .add(StreamGroup)
  .add(ClusterGroup)
  .prefix("/api/v1")
  .middleware(Problems)
  .middleware(Auth)
  .annotateMerge(OpenApi.annotations({ title: "Hookline", version: "0.1.0" }))
{}
