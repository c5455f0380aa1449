/**
 * A message: one emission of a hook, its payload encoded once. What it is of is told by its event id, `pluginId.hookId`,
 * whether or not the hook is exposed as an event; when it was made is told by its id.
 */
import { timeOf } from "./Id.ts"
import type { MessageId } from "./Id.ts"

/**
 * The tenant of whoever names none.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultTenant = "default"

/**
 * The tenant of Hookline's own subscriptions, which hear of the messages of all; nobody else's.
 *
 * @category constants
 * @since 0.1.0
 */
export const allTenants = "*"

/**
 * What somebody is told who names `allTenants` where one tenant is meant.
 *
 * @category constants
 * @since 0.1.0
 */
export const oneTenantExpected = `Expected a tenant: "${allTenants}" stands for all of them`

/**
 * What is left of a payload that was emptied, because its tenant keeps bodies for a shorter time: no JSON text is empty.
 *
 * @category constants
 * @since 0.1.0
 */
export const emptied = ""

/**
 * A message as it is appended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  readonly id: MessageId
  readonly eventId: string
  readonly tenantId: string
  readonly orderingKey: string | undefined
  /** The payload as JSON text, encoded with the hook's schema. */
  readonly payloadJson: string
  /** Before which it is not attempted. */
  readonly deliverAtMs?: number
  /** From which on it is not attempted any more. */
  readonly expiresAtMs?: number
  /** The trace that it belongs to, sampled: see `TraceContext`. */
  readonly traceparent?: string
  /** As it was emitted, where `payloadJson` is what the event's transform has made of it. */
  readonly emittedJson?: string
}

/**
 * Where a message is on its way: not yet routed, routed, or set aside because its routing threw.
 *
 * @category models
 * @since 0.1.0
 */
export type MessageState =
  | { readonly _tag: "Unrouted" }
  | {
    readonly _tag: "Routed"
    readonly atMs: number
    /** Of the subscriptions that it was matched against. */
    readonly version: number
    readonly matched: number
    /** Subscriptions of its event whose filter did not hold. */
    readonly filtered: number
  }
  | { readonly _tag: "SetAside"; readonly atMs: number; readonly error: string }

/**
 * When the message was emitted, in milliseconds since 1970.
 *
 * @category conversions
 * @since 0.1.0
 */
export const timestampMs = (self: { readonly id: MessageId }): number => timeOf(self.id)

/**
 * The worker group that owns the messages of an event.
 *
 * @category conversions
 * @since 0.1.0
 */
export const workerGroup = (eventId: string): string => `integration.${eventId}`

/**
 * The worker group that owns a message of an event whose messages are shared out to some dispatcher partitions. Its name
 * tells the partition and their number: a message stays where it was put when that number changes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const partitionGroup = (message: Parameters<typeof slotOf>[0] & { readonly eventId: string }, count: number) =>
  count <= 1
    ? workerGroup(message.eventId)
    : `${workerGroup(message.eventId)}#${Math.floor((slotOf(message) * count) / slots)}.${count}`

/**
 * The worker group of an event, of one of its dispatcher partitions or of the event itself.
 *
 * @category conversions
 * @since 0.1.0
 */
export const baseGroup = (group: string): string => group.split("#", 1)[0] ?? group

/**
 * The event whose messages a worker group owns; none where it is another kind of group.
 *
 * @category conversions
 * @since 0.1.0
 */
export const eventOfGroup = (group: string): string | undefined =>
  group.startsWith(eventGroups) ? baseGroup(group).slice(eventGroups.length) : undefined

const eventGroups = "integration."

/** Dispatcher partitions are ranges of slots. */
const slots = 1024

/**
 * The slot of a message, 0 to 1023: messages of one ordering key share it. FNV-1a over the UTF-16 units: slots are
 * stored, and neither a database's hash nor Effect's is promised to stay the same.
 *
 * @see https://datatracker.ietf.org/doc/html/rfc9923
 * @category conversions
 * @since 0.1.0
 */
export const slotOf = (self: Pick<Message, "id" | "tenantId" | "orderingKey">): number => {
  const text = self.orderingKey === undefined ? self.id : `${self.tenantId}\0${self.orderingKey}`
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % slots
}
