/**
 * One story told in the examples of the API's description: an incident, a webhook that wants to know, and what came of it.
 */
import type { Schema } from "effect"

type Example = { readonly [name: string]: Schema.Json }

const uuid = "0198f3c1a2b37d4e8f90a1b2c3d4e5f6"
/** @category constants @since 0.1.0 */
export const messageId = `msg_${uuid}`
const subscriptionId = `sub_${uuid}`
const deliveryId = `dlv_${uuid}`
const runnerId = `run_${uuid}`
const eventId = "incident.incident.created"
const createdAt = "2026-01-31T12:00:00.000Z"

/** @category constants @since 0.1.0 */
export const connection: Example = {
  id: `con_${uuid}`,
  tenantId: "default",
  providerId: "jira.jira",
  name: "Jira of operations",
  config: { baseUrl: "https://example.atlassian.net", email: "ada@example.com" },
  createdAt,
  updatedAt: createdAt
}
/** @category constants @since 0.1.0 */
export const replay: Example = {
  id: `rpl_${uuid}`,
  filter: { subscriptionId, status: "failed", from: createdAt },
  freshWebhookId: false,
  state: "running",
  counts: { matched: 500, replayed: 498, skipped: 2, notKept: 1 },
  createdAt,
  updatedAt: createdAt
}
const tally = { success: 118, failed: 1, cancelled: 0, attempts: 125 }
const volume = { deliveries: 119, ...tally }
/** @category constants @since 0.1.0 */
export const stats: Example = {
  from: createdAt,
  to: "2026-01-31T13:00:00.000Z",
  stepMs: 3_600_000,
  totals: { ...volume, pending: 2, retrying: 1, waitingAtLeast: false },
  byEvent: [{ eventId, ...volume }],
  byProvider: [{ providerId: "webhook.webhook", ...volume }],
  bySubscription: [{ subscriptionId, name: "Status page", providerId: "webhook.webhook", ...volume }],
  series: [{ at: createdAt, ...tally }]
}
/** @category constants @since 0.1.0 */
export const session: Example = {
  actor: { kind: "key", id: `key_${uuid}`, name: "dashboard" },
  scopes: ["manage"],
  tenantId: "default"
}

const page = (item: Example): Example => ({ items: [item], nextCursor: null })

/** @category constants @since 0.1.0 */
export const emission: Example = {
  eventId,
  payload: { incidentId: "inc_42", severity: "high" },
  idempotencyKey: "inc_42-created"
}
/** @category constants @since 0.1.0 */
export const messageTaken: Example = { id: messageId }
/** @category constants @since 0.1.0 */
export const message: Example = {
  id: messageId,
  eventId,
  tenantId: "default",
  payload: { incidentId: "inc_42", severity: "high" },
  state: "routed",
  matched: 1,
  filtered: 0,
  routedAt: "2026-01-31T12:00:00.012Z",
  createdAt
}
/** @category constants @since 0.1.0 */
export const messages = page(message)
/** @category constants @since 0.1.0 */
export const connections = page(connection)
/** @category constants @since 0.1.0 */
export const replays = page(replay)

/** @category constants @since 0.1.0 */
export const delivery: Example = {
  id: deliveryId,
  messageId,
  eventId,
  subscriptionId,
  tenantId: "default",
  status: "success",
  attemptCount: 1,
  createdAt,
  completedAt: "2026-01-31T12:00:00.180Z"
}
/** @category constants @since 0.1.0 */
export const deliveries = page(delivery)
/** @category constants @since 0.1.0 */
export const deliveryDetail: Example = {
  ...delivery,
  attempts: [{
    number: 1,
    startedAt: "2026-01-31T12:00:00.020Z",
    durationMs: 160,
    outcome: "success",
    statusCode: 204,
    request: {
      method: "POST",
      url: "https://example.com/hooks/incidents",
      headers: [{ name: "content-type", value: "application/json" }, { name: "authorization", value: "Bearer ***" }]
    },
    response: { headers: { "content-type": "text/plain" }, body: "" }
  }]
}
/** @category constants @since 0.1.0 */
export const deliveryTaken: Example = { id: deliveryId }

/** @category constants @since 0.1.0 */
export const explanations: Example = {
  message,
  ...page({
    subscription: { id: subscriptionId, name: "Incident channel", enabled: true },
    verdict: "delivery",
    reason: "It was delivered.",
    delivery
  })
}

/** @category constants @since 0.1.0 */
export const subscriptionInput: Example = {
  name: "Incident channel",
  events: ["incident.*"],
  providerId: "webhook.webhook",
  config: { url: "https://example.com/hooks/incidents" },
  filter: { field: "payload.severity", equals: "high" }
}
/** @category constants @since 0.1.0 */
export const subscription: Example = {
  id: subscriptionId,
  tenantId: "default",
  ...subscriptionInput,
  enabled: true,
  createdAt,
  updatedAt: createdAt
}
/** @category constants @since 0.1.0 */
export const subscriptions = page(subscription)
/** @category constants @since 0.1.0 */
export const subscriptionCreated: Example = {
  ...subscription,
  signingSecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
}
/** @category constants @since 0.1.0 */
export const blockedKeys = page({ orderingKey: "inc_42", head: delivery, waiting: 3 })
/** @category constants @since 0.1.0 */
export const preview: Example = {
  eventId,
  request: {
    method: "POST",
    url: "https://example.com/hooks/incidents",
    headers: [{ name: "webhook-id", value: messageId }],
    body: `{"type":"${eventId}","timestamp":"${createdAt}","data":{"incidentId":"inc_42","severity":"high"}}`
  }
}

/** @category constants @since 0.1.0 */
export const event: Example = {
  id: eventId,
  pluginId: "incident",
  displayName: "Incident Created",
  category: "Incidents",
  payloadSchema: { type: "object", properties: { incidentId: { type: "string" } } }
}
/** @category constants @since 0.1.0 */
export const events = page(event)
/** @category constants @since 0.1.0 */
export const eventSchema: Example = {
  payloadSchema: { type: "object", properties: { incidentId: { type: "string" } } },
  availableProperties: [{ path: "payload.incidentId", type: "string" }]
}

/** @category constants @since 0.1.0 */
export const plugins = page({
  id: "incident",
  hooks: [{ id: "incident.created", eventId, exposed: true }],
  events: [eventId],
  providers: [],
  handlers: []
})
/** @category constants @since 0.1.0 */
export const provider: Example = {
  id: "webhook.webhook",
  pluginId: "webhook",
  displayName: "Webhook",
  configSchema: { type: "object", properties: { url: { type: "string" } } },
  secretFields: ["config.bearerToken"],
  optionResolvers: [],
  supportsTest: false
}
/** @category constants @since 0.1.0 */
export const providers = page(provider)

/** @category constants @since 0.1.0 */
export const cluster: Example = {
  runners: [{
    id: runnerId,
    self: true,
    alive: true,
    leaseUntil: "2026-01-31T12:00:02.000Z",
    shards: 300,
    dispatchers: 1,
    events: [eventId],
    providers: ["webhook.webhook"]
  }],
  shards: { total: 300, held: 300 },
  due: { groups: 0 },
  codeMissing: []
}
/** @category constants @since 0.1.0 */
export const dispatchers = page({ workerGroup: `integration.${eventId}`, partition: 0, epoch: 1, runnerId })

/** @category constants @since 0.1.0 */
export const keyInput: Example = {
  name: "Billing",
  scopes: ["emit"],
  tenantId: "acme",
  expiresAt: "2027-01-01T00:00:00Z"
}
/** @category constants @since 0.1.0 */
export const key: Example = {
  id: `key_${uuid}`,
  name: "Billing",
  prefix: "hk_Yk3v",
  scopes: ["emit"],
  tenantId: "acme",
  expiresAt: "2027-01-01T00:00:00.000Z",
  createdAt
}
/** @category constants @since 0.1.0 */
export const keys = page(key)
/** @category constants @since 0.1.0 */
export const keyCreated: Example = { ...key, key: "hk_Yk3v_the_rest_is_shown_in_this_answer_only" }

/** @category constants @since 0.1.0 */
export const auditEntries = page({
  id: `aud_${uuid}`,
  at: createdAt,
  actor: { kind: "key", id: `key_${uuid}`, name: "Billing" },
  action: "subscription.update",
  resourceId: subscriptionId,
  tenantId: "default",
  before: { enabled: true },
  after: { enabled: false }
})

/** @category constants @since 0.1.0 */
export const tenantTerm: Example = { tenantId: "acme", keptDays: 7 }
/** @category constants @since 0.1.0 */
export const retention: Example = {
  historyKeptMs: 2_592_000_000,
  attemptsKeptMs: 1_209_600_000,
  tables: [{ table: "messages", partitions: 38, oldestDay: "2026-01-01", bytes: 1_073_741_824, rows: 4_000_000 }],
  expired: [{ day: "2025-12-31", of: "history", heldBy: [{ holder: "set-aside", count: 1 }], isDropping: false }],
  tenants: [tenantTerm]
}
/** @category constants @since 0.1.0 */
export const retentionApplied: Example = {
  dropped: [{ day: "2025-12-30", of: "history" }],
  bodiesEmptied: 1200,
  more: false
}
