/**
 * The subscriptions as a dispatcher uses them: a copy with the version it was read at, matched by event and tenant, and
 * bound to their providers on first use.
 */
import { Effect, Semaphore } from "effect"
import { type Binding, type BindingError, Bindings } from "../Bindings.ts"
import type { Connection } from "../Connection.ts"
import * as Filter from "../Filter.ts"
import type { ConnectionId, SubscriptionId } from "../Id.ts"
import { Registry } from "../Registry.ts"
import { Storage } from "../Storage.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import { patternsFor, type Subscription, wants } from "../Subscription.ts"

/** A subscription with its filter compiled, where it has one. */
export interface Matching {
  readonly subscription: Subscription
  readonly holds: ((input: Filter.Input, steps?: Filter.Steps) => boolean) | undefined
}

/** The cached subscriptions. */
export interface Subscribed {
  /** The version of the copy; -1 before the first reading. */
  readonly version: () => number
  /** Reads the subscriptions anew. */
  readonly reload: Effect.Effect<void, StorageUnavailable>
  /** The subscriptions that want messages of an event and tenant, whether or not they are enabled. */
  readonly matching: (event: { readonly eventId: string; readonly tenantId: string }) => ReadonlyArray<Matching>
  /** Whether the last attempt of a subscription was not accepted, when it was read. */
  readonly isFailing: (id: SubscriptionId) => boolean
  /** Whose a subscription is. */
  readonly tenantOf: (id: SubscriptionId) => string
  readonly get: (id: SubscriptionId) => Subscription | undefined
  /** The ids of the providers whose code this runner has. */
  readonly providers: ReadonlyArray<string>
  /** Whether this runner has the code of a subscription's provider. */
  readonly hasProvider: (subscription: Subscription) => boolean
  /** What a subscription of this version is bound to, where that is known already. */
  readonly binding: (subscription: Subscription) => Binding | undefined
  /** A subscription bound to its provider, once for each version. */
  readonly bind: (subscription: Subscription) => Effect.Effect<Binding, BindingError>
}

/** Makes the cache; it reads nothing until it is reloaded. */
export const make = Effect.gen(function*() {
  const storage = yield* Storage
  const registry = yield* Registry
  const binder = yield* Bindings
  const reading = yield* Semaphore.make(1)
  const providers = new Map((yield* registry.providers).map((provider) => [provider.providerId, provider]))
  let version = -1
  let byId = new Map<SubscriptionId, Subscription>()
  let connections = new Map<ConnectionId, Connection>()
  let failing = new Set<SubscriptionId>()
  let byPattern = new Map<string, ReadonlyArray<Subscription>>()
  let byEvent = new Map<string, ReadonlyArray<Matching>>()
  let bindings = new Map<SubscriptionId, { readonly version: number; readonly binding: Binding }>()

  const supports = (subscription: Subscription, eventId: string) =>
    providers.get(subscription.providerId)?.supportedEvents?.includes(eventId) ?? true

  const self: Subscribed = {
    version: () => version,
    reload: reading.withPermits(1)(Effect.map(storage.subscriptions, (read) => {
      const kept = new Map<SubscriptionId, { readonly version: number; readonly binding: Binding }>()
      byId = new Map(read.items.map((item) => [item.id, item]))
      connections = new Map(read.connections.map((connection) => [connection.id, connection]))
      failing = new Set(read.health.map(({ subscriptionId }) => subscriptionId))
      byPattern = patterned(read.items)
      byEvent = new Map()
      for (const [id, bound] of bindings) if (byId.get(id)?.version === bound.version) kept.set(id, bound)
      bindings = kept
      version = read.version
    })),
    matching: (event) => {
      const key = `${event.tenantId}\0${event.eventId}`
      const known = byEvent.get(key)
      if (known) return known
      const found = [...new Set(patternsFor(event.eventId).flatMap((pattern) => byPattern.get(pattern) ?? []))]
        .filter((item) => wants(item, event) && supports(item, event.eventId))
        .map((subscription) => ({ subscription, holds: subscription.filter && Filter.compile(subscription.filter) }))
      byEvent.set(key, found)
      return found
    },
    isFailing: (id) => failing.has(id),
    tenantOf: (id) => byId.get(id)?.tenantId ?? "",
    get: (id) => byId.get(id),
    providers: [...providers.keys()],
    hasProvider: (subscription) => providers.has(subscription.providerId),
    binding: (subscription) => {
      const known = bindings.get(subscription.id)
      return known?.version === subscription.version ? known.binding : undefined
    },
    bind: (subscription) => {
      const { connectionId } = subscription
      const connection = connectionId === undefined ? undefined : connections.get(connectionId)
      return Effect.tap(binder.bind(subscription, connection), (binding) =>
        Effect.sync(() => {
          if (byId.get(subscription.id)?.version === subscription.version) {
            bindings.set(subscription.id, { version: subscription.version, binding })
          }
        }))
    }
  }
  return self
})

// --- internal ---

/** The subscriptions by what they ask for: an event is looked up among few, where there are very many. */
const patterned = (subscriptions: ReadonlyArray<Subscription>): Map<string, ReadonlyArray<Subscription>> => {
  const found = new Map<string, Array<Subscription>>()
  for (const subscription of subscriptions) {
    // A pattern may be there twice.
    for (const pattern of new Set(subscription.events)) {
      const known = found.get(pattern)
      if (known) known.push(subscription)
      else found.set(pattern, [subscription])
    }
  }
  return found
}
