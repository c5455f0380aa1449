/**
 * A subscription as data: who wants which events, through which provider, with which configuration. Secrets in it are
 * sealed; only the provider's `bind` sees them open.
 */
import { Option, Schema } from "effect"
import type { Filter } from "./Filter.ts"
import { type ConnectionId, SubscriptionId } from "./Id.ts"
import { allTenants, workerGroup } from "./Message.ts"
import type { RateLimit } from "./RateLimit.ts"
import type { RetryJson } from "./RetrySchedule.ts"

/**
 * A signing secret, sealed; one with an expiry was rotated out and signs beside the newer ones until then.
 *
 * @category models
 * @since 0.1.0
 */
export interface SigningSecret {
  readonly sealed: string
  /** `whpk_…`, for receivers to verify with, where the secret is the private key of a pair. */
  readonly publicKey?: string
  readonly createdAtMs: number
  readonly expiresAtMs?: number
}

/** @category models @since 0.1.0 */
export interface Subscription {
  readonly id: SubscriptionId
  readonly tenantId: string
  readonly name: string
  readonly description: string | undefined
  /** Event ids and patterns: `incident.incident.created`, `incident.*`, `*`. */
  readonly events: ReadonlyArray<string>
  /** Qualified: `webhook.webhook`. */
  readonly providerId: string
  /** The provider's configuration, encoded; fields marked secret are sealed. */
  readonly config: Schema.Json
  /** Whose credentials it uses, where its provider has connections. */
  readonly connectionId: ConnectionId | undefined
  /** Newest first. */
  readonly signingSecrets: ReadonlyArray<SigningSecret>
  readonly retry: RetryJson | undefined
  /** Which messages of its events it wants; all when undefined. */
  readonly filter: Filter | undefined
  /** Its deliveries of one ordering key are attempted one after the other, in the order their messages were stored. */
  readonly ordered: boolean
  /** How many attempts of it may be under way at once, in the whole cluster. */
  readonly maxConcurrency: number | undefined
  /** How many attempts of it may begin in a time, in the whole cluster. */
  readonly rateLimit: RateLimit | undefined
  readonly enabled: boolean
  /** Why it is disabled, where Hookline did it: `gone`. */
  readonly disabledReason: string | undefined
  /** Since when it is disabled. */
  readonly disabledAtMs: number | undefined
  /** Grows with every change of any subscription: two states of one subscription never share a version. */
  readonly version: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/**
 * The subscription enabled or disabled at a time; `reason` says why, where Hookline does it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withEnabled = (self: Subscription, enabled: boolean, atMs: number, reason?: string): Subscription => ({
  ...self,
  enabled,
  disabledReason: enabled ? undefined : reason,
  disabledAtMs: enabled ? undefined : self.disabledAtMs ?? atMs,
  updatedAtMs: atMs
})

const patternSyntax = /^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$/u

/**
 * Tells whether a text has the form of an event id or pattern.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEventPattern = (text: string): boolean => patternSyntax.test(text)

/**
 * Tells whether a pattern matches an event: the id itself, `prefix.*` at any depth below the prefix, `*` for every event but
 * those of Hookline itself, which must be named.
 *
 * @category guards
 * @since 0.1.0
 */
export const matchesEvent = (pattern: string, eventId: string): boolean =>
  pattern === "*"
    ? !eventId.startsWith("hookline.")
    : pattern.endsWith(".*")
    ? eventId.startsWith(pattern.slice(0, -1))
    : pattern === eventId

/**
 * The patterns that may match an event.
 *
 * @category conversions
 * @since 0.1.0
 */
export const patternsFor = (eventId: string): ReadonlyArray<string> => {
  const found = [eventId, "*"]
  for (let dot = eventId.indexOf("."); dot >= 0; dot = eventId.indexOf(".", dot + 1)) {
    found.push(`${eventId.slice(0, dot)}.*`)
  }
  return found
}

/**
 * Tells whether a subscription is Hookline's own: it hears of a hook whether or not that is exposed as an event, and in
 * the payload's original form.
 *
 * @category guards
 * @since 0.1.0
 */
export const isInternal = (self: Pick<Subscription, "tenantId">): boolean => self.tenantId === allTenants

/**
 * Tells whether a subscription wants a message: same tenant, and one of its patterns matches the event.
 *
 * @category guards
 * @since 0.1.0
 */
export const wants = (
  self: Pick<Subscription, "tenantId" | "events">,
  message: { readonly tenantId: string; readonly eventId: string }
): boolean =>
  (isInternal(self) || self.tenantId === message.tenantId) &&
  self.events.some((pattern) => matchesEvent(pattern, message.eventId))

const ownGroups = "subscription."

/**
 * The worker group of a subscription that needs one owner of all its deliveries, whatever their event.
 *
 * @category conversions
 * @since 0.1.0
 */
export const ownGroup = (
  self: Pick<Subscription, "id" | "ordered" | "maxConcurrency" | "rateLimit">
): string | undefined =>
  self.ordered || self.maxConcurrency !== undefined || self.rateLimit !== undefined ? ownGroups + self.id : undefined

/**
 * The worker group that owns a subscription's deliveries of an event.
 *
 * @category conversions
 * @since 0.1.0
 */
export const groupOf = (self: Parameters<typeof ownGroup>[0], eventId: string): string =>
  ownGroup(self) ?? workerGroup(eventId)

/**
 * The subscription that a worker group is of, where it is one's own.
 *
 * @category conversions
 * @since 0.1.0
 */
export const ofGroup = (group: string): SubscriptionId | undefined =>
  group.startsWith(ownGroups) ? Option.getOrUndefined(decodeId(group.slice(ownGroups.length))) : undefined

const decodeId = Schema.decodeUnknownOption(SubscriptionId)
