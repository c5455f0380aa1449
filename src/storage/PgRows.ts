/**
 * Rows as the database gives them, in the words of the seam.
 */
import { Schema } from "effect"
import { type AttemptRecord, AttemptRecord as AttemptRecordSchema, Delivery } from "../Delivery.ts"
import * as Id from "../Id.ts"
import { emptied } from "../Message.ts"
import type { Health, StoredMessage } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import * as PgHttpText from "./PgHttpText.ts"

/** Milliseconds since 1970 of a timestamp column, as SQL. */
export const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`

/** The message id of a UUID. */
export const messageId = (uuid: string) => Id.trusted.message(`msg_${Id.fromUuid(uuid)}`)
/** The delivery id of a UUID. */
export const deliveryId = (uuid: string) => Id.trusted.delivery(`dlv_${Id.fromUuid(uuid)}`)
/** The subscription id of a UUID. */
export const subscriptionId = (uuid: string) => Id.trusted.subscription(`sub_${Id.fromUuid(uuid)}`)
/** The connection id of a UUID. */
export const connectionId = (uuid: string) => Id.ConnectionId.make(`con_${Id.fromUuid(uuid)}`)
/** The replay id of a UUID. */
export const replayId = (uuid: string) => Id.trusted.replay(`rpl_${Id.fromUuid(uuid)}`)

/** The columns of an attempt in outline, without its delivery. */
export const outlineColumns = `number::int as number, ${ms("started_at")} as started_at, duration_ms, outcome,
  status_code::int as status_code, error_tag, error_message, retry_after_ms::float8 as retry_after_ms, phases`

/** All of them. */
export const attemptColumns = `${outlineColumns}, response, request`

/** An attempt as it is stored, in outline. */
export interface OutlineRow {
  readonly number: number
  readonly started_at: number
  readonly duration_ms: number
  readonly outcome: string
  readonly status_code: number | null
  readonly error_tag: string | null
  readonly error_message: string | null
  readonly retry_after_ms: number | null
  readonly phases: string | null
}

/** What is kept of its answer and its request. */
export interface TextsRow {
  readonly response: string | null
  readonly request: string | null
}

const phaseNames = ["lookupMs", "connectMs", "tlsMs", "firstByteMs", "totalMs"] as const

/** Phases as they are stored: numbers in a fixed order, because every attempt has them. */
export const phasesText = (phases: AttemptRecord["phases"]): string | null => {
  if (phases === undefined) return null
  let text = ""
  for (const name of phaseNames) text += `${phases[name] ?? ""}/`
  return text.slice(0, -1)
}

const phasesOf = (text: string) => {
  const values = text.split("/")
  return Object.fromEntries(
    phaseNames.flatMap((name, i) => values[i] === undefined || values[i] === "" ? [] : [[name, Number(values[i])]])
  )
}

const decodeAttempt = Schema.decodeUnknownSync(AttemptRecordSchema)

/** Reads an attempt of a delivery; without that, in outline. */
export const attempt = (
  row: OutlineRow & Partial<TextsRow>,
  delivery?: Pick<Delivery, "id" | "messageId">
): AttemptRecord =>
  decodeAttempt({
    number: row.number,
    startedAtMs: row.started_at,
    durationMs: row.duration_ms,
    outcome: row.outcome,
    ...(row.status_code === null ? {} : { statusCode: row.status_code }),
    ...(row.error_tag === null ? {} : { error: { tag: row.error_tag, message: row.error_message ?? "" } }),
    ...(row.retry_after_ms === null ? {} : { retryAfterMs: row.retry_after_ms }),
    ...(row.phases === null ? {} : { phases: phasesOf(row.phases) }),
    ...(delivery === undefined ? {} : textsOf(row, delivery))
  })

const textsOf = (
  { request, response, started_at: startedAtMs }: Pick<OutlineRow, "started_at"> & Partial<TextsRow>,
  { id: deliveryId, messageId }: Pick<Delivery, "id" | "messageId">
) => {
  const around = { deliveryId, messageId, startedAtMs }
  return {
    ...(typeof response === "string" ? { response: PgHttpText.response(response, around) } : {}),
    ...(typeof request === "string" ? { request: PgHttpText.request(request, around) } : {})
  }
}

/** A delivery as it is stored, finished or not. */
export interface DeliveryRow {
  readonly id: string
  readonly message_id: string
  readonly event_id: string
  readonly subscription_id: string
  readonly tenant_id: string
  readonly status: string
  readonly reason: string | null
  readonly attempts: number
  readonly due_at: number | null
  readonly external_id: string | null
  readonly last_error: string | null
  readonly completed_at: number | null
}

const decodeDelivery = Schema.decodeUnknownSync(Delivery)

/** Reads a delivery. */
export const delivery = (row: DeliveryRow): Delivery => {
  const id = deliveryId(row.id)
  return decodeDelivery({
    id,
    messageId: messageId(row.message_id),
    eventId: row.event_id,
    subscriptionId: subscriptionId(row.subscription_id),
    tenantId: row.tenant_id,
    status: row.status,
    ...(row.reason === null ? {} : { reason: row.reason }),
    attemptCount: row.attempts,
    ...(row.due_at === null ? {} : { nextAttemptAtMs: row.due_at }),
    ...(row.external_id === null ? {} : { externalId: row.external_id }),
    ...(row.last_error === null ? {} : { lastError: row.last_error }),
    createdAtMs: Id.timeOf(id),
    ...(row.completed_at === null ? {} : { completedAtMs: row.completed_at })
  })
}

/** A number from outside that fits its column: one too large would have the whole batch refused. */
export const atMost = (value: number | undefined, limit: number): number | null =>
  value === undefined || Number.isNaN(value) ? null : Math.max(-limit, Math.min(Math.round(value), limit))

/** One that fits an `int`. */
export const int4 = (value: number | undefined): number | null => atMost(value, 2 ** 31 - 1)

/** A text, or that of the known ones which is the same: where many rows have one, each of theirs came by itself. */
export const oneOf = (known: Map<string, string>, text: string): string => {
  const found = known.get(text)
  if (found === undefined) known.set(text, text)
  return found ?? text
}

/** A message as it is stored. */
export interface MessageRow {
  readonly id: string
  readonly seq: number
  readonly event_id: string
  readonly tenant_id: string
  readonly ordering_key: string | null
  readonly payload: string
  readonly deliver_at: number | null
  readonly expires_at: number | null
  readonly traceparent: string | null
  readonly routed_at: number | null
  readonly version: number | null
  readonly matched: number | null
  readonly filtered: number | null
  readonly set_aside_at: number | null
  readonly error: string | null
}

/** The columns of a message that few have: its times and its trace. */
export const timeColumns = `${ms("m.deliver_at")} as deliver_at, ${ms("m.expires_at")} as expires_at, m.traceparent`

/** Reads them. */
export const times = (row: Pick<MessageRow, "deliver_at" | "expires_at" | "traceparent">) => {
  const found: { deliverAtMs?: number; expiresAtMs?: number; traceparent?: string } = {}
  if (row.deliver_at !== null) found.deliverAtMs = Math.round(row.deliver_at)
  if (row.expires_at !== null) found.expiresAtMs = Math.round(row.expires_at)
  if (row.traceparent !== null) found.traceparent = row.traceparent
  return found
}

/** Reads a message. */
export const message = (row: MessageRow): StoredMessage => ({
  id: messageId(row.id),
  seq: row.seq,
  eventId: row.event_id,
  tenantId: row.tenant_id,
  orderingKey: row.ordering_key ?? undefined,
  ...(row.payload === emptied ? { payloadJson: "null", bodyExpired: true } : { payloadJson: row.payload }),
  ...times(row),
  state: row.routed_at !== null
    ? {
      _tag: "Routed",
      atMs: row.routed_at,
      version: row.version ?? 0,
      matched: row.matched ?? 0,
      filtered: row.filtered ?? 0
    }
    : row.set_aside_at !== null
    ? { _tag: "SetAside", atMs: row.set_aside_at, error: row.error ?? "" }
    : { _tag: "Unrouted" }
})

/** The columns of a circuit `c`. */
export const healthColumns = `c.subscription_id::text as subscription_id, c.failures::int as failures,
  ${ms("c.failing_since")} as failing_since, c.opens::int as opens, ${ms("c.open_until")} as open_until,
  c.warned_at is not null as warned`

/** A circuit as it is stored. */
export interface HealthRow {
  readonly subscription_id: string
  readonly failures: number
  readonly failing_since: number
  readonly opens: number
  readonly open_until: number | null
  readonly warned: boolean
}

/** Reads a circuit. */
export const health = (row: HealthRow): Health => ({
  subscriptionId: subscriptionId(row.subscription_id),
  failures: row.failures,
  failingSinceMs: row.failing_since,
  opens: row.opens,
  openUntilMs: row.open_until ?? undefined,
  warned: row.warned
})

/** The columns of a subscription. */
export const subscriptionColumns =
  `id::text, tenant_id, name, description, events, provider_id, config, connection_id::text, signing_secrets,
  retry, filter, ordered, max_concurrency, rate_limit, enabled, disabled_reason, ${
    ms("disabled_at")
  } as disabled_at, version::float8 as version, ${ms("created_at")} as created_at,
  ${ms("updated_at")} as updated_at`

/** A subscription as it is stored. */
export interface SubscriptionRow {
  readonly id: string
  readonly tenant_id: string
  readonly name: string
  readonly description: string | null
  readonly events: ReadonlyArray<string>
  readonly provider_id: string
  readonly config: Subscription["config"]
  readonly connection_id: string | null
  readonly signing_secrets: Subscription["signingSecrets"]
  readonly retry: Subscription["retry"] | null
  readonly filter: Subscription["filter"] | null
  readonly ordered: boolean
  readonly max_concurrency: number | null
  readonly rate_limit: Subscription["rateLimit"] | null
  readonly enabled: boolean
  readonly disabled_reason: string | null
  readonly disabled_at: number | null
  readonly version: number
  readonly created_at: number
  readonly updated_at: number
}

/** Reads a subscription. */
export const subscription = (row: SubscriptionRow): Subscription => ({
  id: subscriptionId(row.id),
  tenantId: row.tenant_id,
  name: row.name,
  description: row.description ?? undefined,
  events: row.events,
  providerId: row.provider_id,
  config: row.config,
  connectionId: row.connection_id === null ? undefined : connectionId(row.connection_id),
  signingSecrets: row.signing_secrets,
  retry: row.retry ?? undefined,
  filter: row.filter ?? undefined,
  ordered: row.ordered,
  maxConcurrency: row.max_concurrency ?? undefined,
  rateLimit: row.rate_limit ?? undefined,
  enabled: row.enabled,
  disabledReason: row.disabled_reason ?? undefined,
  disabledAtMs: row.disabled_at ?? undefined,
  version: row.version,
  createdAtMs: row.created_at,
  updatedAtMs: row.updated_at
})
