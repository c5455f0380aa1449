/**
 * Administration of subscriptions: what is saved has been checked by the rules that apply when it is used, its secrets are
 * sealed, and a change is answered when it binds.
 */
import { Context, Effect, Layer, Option, type Redacted, Schema } from "effect"
import * as Audit from "./Audit.ts"
import { difference, type Fields } from "./AuditEntry.ts"
import * as Circuit from "./Circuit.ts"
import * as Destinations from "./Destinations.ts"
import { Dispatchers } from "./Dispatchers.ts"
import type * as Filter from "./Filter.ts"
import * as Id from "./Id.ts"
import type { SubscriptionId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import { allTenants, defaultTenant, oneTenantExpected } from "./Message.ts"
import { RateLimit } from "./RateLimit.ts"
import { Registry } from "./Registry.ts"
import * as SealedConfig from "./SealedConfig.ts"
import * as SecretFields from "./SecretFields.ts"
import * as Secrets from "./Secrets.ts"
import * as Signature from "./Signature.ts"
import { type Health, Storage, type SubscriptionFilter } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import { isInternal, ownGroup, type SigningSecret, type Subscription, withEnabled } from "./Subscription.ts"
import * as SubscriptionChecks from "./SubscriptionChecks.ts"
import type { SubscriptionRefused } from "./SubscriptionChecks.ts"
import * as SubscriptionConnections from "./SubscriptionConnections.ts"

// -- models

/**
 * A subscription to be made; `config`, `retry`, the limits and `signingSecret` as they came, to be checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewSubscription {
  readonly name: string
  readonly description?: string
  readonly events: ReadonlyArray<string>
  readonly providerId: string
  readonly config: Schema.Json
  /** Of the same tenant and provider; needed where the provider has connections. */
  readonly connectionId?: string
  readonly signingSecret?: Redacted.Redacted<string>
  readonly retry?: Schema.Json
  readonly filter?: Schema.Json
  readonly ordered?: boolean
  readonly maxConcurrency?: Schema.Json
  readonly rateLimit?: Schema.Json
  readonly enabled?: boolean
  readonly tenantId?: string
}

/**
 * What may be changed: the keys of `config` are merged into the stored ones, where a blank secret keeps its stored value;
 * `connectionId` names another connection;
 * `retry: null` takes the default, `filter: null` wants every message, `maxConcurrency: null` and `rateLimit: null` end a
 * limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscriptionChange {
  readonly name?: string
  readonly description?: string
  readonly events?: ReadonlyArray<string>
  readonly config?: Schema.Json
  readonly connectionId?: string
  readonly retry?: Schema.Json
  readonly filter?: Schema.Json
  readonly ordered?: boolean
  readonly maxConcurrency?: Schema.Json
  readonly rateLimit?: Schema.Json
  readonly enabled?: boolean
}

/**
 * How a signing secret is replaced.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rotation {
  /** The new secret; generated, of the kind of the present one, when left out. */
  readonly signingSecret?: Redacted.Redacted<string>
  /** How long the old secrets go on signing beside the new one; `Limits.rotationOverlapMs` when left out. */
  readonly overlapMs?: number
}

/**
 * A subscription as it is shown: without secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubscriptionView extends Omit<Subscription, "signingSecrets"> {
  /** The public keys (`whpk_…`) of the private keys that sign now, newest first. */
  readonly signingPublicKeys: ReadonlyArray<string>
  /** How it fares, where its last attempt was not accepted. */
  readonly health: Health | undefined
  /** Whether attempts begin: not while its circuit is open, one at a time while it is half-open. */
  readonly circuit: Circuit.State
}

// -- errors

export { SubscriptionRefused } from "./SubscriptionChecks.ts"

/** @category errors @since 0.1.0 */
export class SubscriptionNotFound extends Schema.TaggedError<SubscriptionNotFound>()("SubscriptionNotFound", {
  id: Schema.String
}) {}

/**
 * Another change came first: the subscription is not of the version that this one was meant for.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubscriptionChanged extends Schema.TaggedError<SubscriptionChanged>()("SubscriptionChanged", {
  id: Schema.String,
  version: Schema.Int
}) {}

// -- service

/**
 * Administration.
 *
 * @category services
 * @since 0.1.0
 */
export class Subscriptions extends Context.Service<Subscriptions, {
  /** Makes a subscription; every message emitted after the answer is matched against it. The secret is shown only here. */
  readonly create: (input: NewSubscription) => Effect.Effect<
    { readonly subscription: SubscriptionView; readonly signingSecret: Redacted.Redacted<string> },
    SubscriptionRefused | StorageUnavailable
  >
  readonly get: (id: SubscriptionId) => Effect.Effect<SubscriptionView, SubscriptionNotFound | StorageUnavailable>
  readonly list: (
    filter: SubscriptionFilter,
    page: { readonly cursor: string | undefined; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<SubscriptionView>, StorageUnavailable>
  /**
   * Changes a subscription, of a certain version where one is given; when it answers, no attempt begins any more under the
   * old state.
   */
  readonly update: (
    id: SubscriptionId,
    change: SubscriptionChange,
    options?: { readonly version?: number | undefined }
  ) => Effect.Effect<
    SubscriptionView,
    SubscriptionNotFound | SubscriptionRefused | SubscriptionChanged | StorageUnavailable
  >
  /**
   * Makes a new signing secret of a subscription, of a certain version where one is given; the old ones sign beside it for a
   * while. When it answers, every attempt that begins is signed with the new one.
   */
  readonly rotateSecret: (
    id: SubscriptionId,
    rotation: Rotation,
    options?: { readonly version?: number | undefined }
  ) => Effect.Effect<
    { readonly subscription: SubscriptionView; readonly signingSecret: Redacted.Redacted<string> },
    SubscriptionNotFound | SubscriptionRefused | SubscriptionChanged | StorageUnavailable
  >
  /** Checks a filter as for a subscription to these events. */
  readonly checkFilter: (filter: Schema.Json, events: ReadonlyArray<string>) => Effect.Effect<
    Filter.Filter,
    SubscriptionRefused
  >
  /**
   * Deletes a subscription, of a certain version where one is given; when it answers, no attempt of it begins any more.
   * Unfinished deliveries end as `cancelled`. A work queue's is refused while its handler is there.
   */
  readonly remove: (
    id: SubscriptionId,
    options?: { readonly version?: number | undefined }
  ) => Effect.Effect<void, SubscriptionNotFound | SubscriptionRefused | SubscriptionChanged | StorageUnavailable>
}>()("hookline/Subscriptions") {}

// -- layers

/**
 * Layer of the administration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Subscriptions, never, Storage | Registry | Secrets.Secrets | Dispatchers> = Layer
  .effect(
    Subscriptions,
    Effect.gen(function*() {
      const storage = yield* Storage
      const registry = yield* Registry
      const secrets = yield* Secrets.Secrets
      const dispatchers = yield* Dispatchers
      const limits = yield* Limits
      const audit = Audit.writer(storage)

      const {
        MaxConcurrency,
        checkConfig,
        checkEvents,
        checkFilter,
        checkOrdered,
        checkRetry,
        checkText,
        decoded,
        filterOf,
        provider,
        refuse
      } = SubscriptionChecks.make(registry, limits)
      const { connectionOf, hold } = SubscriptionConnections.make(storage, secrets)

      /** A signing secret as it is kept; the public key of a pair beside it. */
      const kept = Effect.fnUntraced(function*(secret: Redacted.Redacted<string>, id: SubscriptionId, nowMs: number) {
        yield* Signature.parseSecret(secret).pipe(
          Effect.mapError((error) => refuse("signingSecret", error.message))
        )
        const publicKey = yield* Effect.option(Signature.publicKeyOf(secret))
        const made: SigningSecret = {
          sealed: yield* secrets.seal(secret, id),
          createdAtMs: nowMs,
          ...(Option.isSome(publicKey) ? { publicKey: publicKey.value } : {})
        }
        return made
      })

      const viewAll = Effect.fnUntraced(function*(subscriptions: ReadonlyArray<Subscription>) {
        const ids = subscriptions.map((subscription) => subscription.id)
        const health = new Map((yield* storage.health(ids)).map((one) => [one.subscriptionId, one]))
        return yield* Effect.forEach(subscriptions, (subscription) => show(subscription, health.get(subscription.id)))
      })

      const view = (subscription: Subscription) =>
        Effect.flatMap(storage.health([subscription.id]), ([health]) => show(subscription, health))

      const show = Effect.fnUntraced(function*(
        subscription: Subscription,
        health: Health | undefined
      ): Effect.fn.Return<SubscriptionView> {
        const now = yield* storage.now
        const found = yield* registry.provider(subscription.providerId)
        // Without the provider's schema nobody knows which fields are secret.
        const config = found ? yield* SecretFields.without(found.config, subscription.config) : {}
        return {
          id: subscription.id,
          tenantId: subscription.tenantId,
          name: subscription.name,
          description: subscription.description,
          events: subscription.events,
          providerId: subscription.providerId,
          config,
          connectionId: subscription.connectionId,
          retry: subscription.retry,
          filter: subscription.filter,
          ordered: subscription.ordered,
          maxConcurrency: subscription.maxConcurrency,
          rateLimit: subscription.rateLimit,
          signingPublicKeys: subscription.signingSecrets.flatMap(({ expiresAtMs, publicKey }) =>
            expiresAtMs !== undefined && expiresAtMs <= now ? [] : publicKey ?? []
          ),
          health,
          circuit: Circuit.stateAt({ openUntilMs: health?.openUntilMs }, now),
          enabled: subscription.enabled,
          disabledReason: subscription.disabledReason,
          disabledAtMs: subscription.disabledAtMs,
          version: subscription.version,
          createdAtMs: subscription.createdAtMs,
          updatedAtMs: subscription.updatedAtMs
        }
      })

      const create = Effect.fn("Subscriptions.create")(function*(input: NewSubscription) {
        yield* checkText("name", input.name, limits.nameLength)
        yield* checkText("description", input.description ?? "", limits.descriptionLength)
        const tenantId = input.tenantId ?? defaultTenant
        yield* checkText("tenantId", tenantId, limits.keyLength)
        if (tenantId === allTenants) {
          return yield* refuse("tenantId", oneTenantExpected)
        }
        const found = yield* provider(input.providerId)
        if (found.queue) {
          return yield* refuse(
            "providerId",
            `"${input.providerId}" is a work queue: the plugin's handler subscribes it`
          )
        }
        yield* checkEvents(input.events, found.supportedEvents)
        const connection = yield* connectionOf(found, { tenantId, connectionId: input.connectionId })
        yield* checkConfig(input.providerId, input.config, connection?.config)
        const retry = yield* checkRetry(input.retry)
        const filter = yield* filterOf(input.filter, input.events)
        if (input.ordered === true) yield* checkOrdered(input.events)
        const maxConcurrency = yield* decoded("maxConcurrency", MaxConcurrency, input.maxConcurrency)
        const rateLimit = yield* decoded("rateLimit", RateLimit, input.rateLimit)
        const signingSecret = input.signingSecret ?? (yield* Signature.generateSecret)
        const now = yield* storage.now
        const id = yield* Id.subscriptionId(now)
        const subscription = {
          id,
          tenantId,
          name: input.name,
          description: input.description,
          events: input.events,
          providerId: input.providerId,
          config: yield* SealedConfig.seal(secrets, found.config, { id, config: input.config }),
          connectionId: connection?.id,
          signingSecrets: [yield* kept(signingSecret, id, now)],
          retry,
          filter,
          ordered: input.ordered ?? false,
          maxConcurrency,
          rateLimit,
          enabled: input.enabled ?? true,
          disabledReason: undefined,
          disabledAtMs: input.enabled === false ? now : undefined,
          createdAtMs: now,
          updatedAtMs: now
        }
        const after = yield* fieldsOf(subscription)
        const version = yield* storage.atomically(Effect.gen(function*() {
          yield* hold(connection)
          const version = yield* storage.createSubscription(subscription)
          yield* audit({ action: "subscription.create", resourceId: id, tenantId, before: undefined, after })
          return version
        }))
        return { subscription: yield* view({ ...subscription, version }), signingSecret }
      })

      /** A subscription as the audit log shows it: what people have chosen, without secrets. */
      const fieldsOf = Effect.fnUntraced(function*(subscription: Omit<Subscription, "version">) {
        const found = yield* registry.provider(subscription.providerId)
        const config = found ? yield* SecretFields.without(found.config, subscription.config) : {}
        const { description, disabledReason, enabled, events, maxConcurrency, name, ordered, providerId } = subscription
        const fields: Fields = {
          name,
          events,
          providerId,
          config,
          ordered,
          enabled,
          ...(description === undefined ? {} : { description }),
          ...(subscription.connectionId === undefined ? {} : { connectionId: subscription.connectionId }),
          ...(disabledReason === undefined ? {} : { disabledReason }),
          ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
          ...(subscription.retry === undefined ? {} : { retry: { ...subscription.retry } }),
          ...(subscription.filter === undefined ? {} : { filter: toJson(subscription.filter) ?? null }),
          ...(subscription.rateLimit === undefined ? {} : { rateLimit: { ...subscription.rateLimit } })
        }
        return fields
      })

      /** Changes a subscription, with an entry in the audit log; a change that changes nothing has none. */
      const changing = (
        action: string,
        id: SubscriptionId,
        change: (stored: Subscription) => Subscription,
        connection?: { readonly id: Id.ConnectionId; readonly tenantId: string }
      ) =>
        storage.atomically(Effect.gen(function*() {
          yield* hold(connection)
          const seen: { before?: Subscription } = {}
          const updated = yield* storage.updateSubscription(id, (stored) => {
            seen.before = stored
            return change(stored)
          })
          if (Option.isSome(updated) && seen.before && seen.before.version !== updated.value.version) {
            const states = difference(yield* fieldsOf(seen.before), yield* fieldsOf(updated.value))
            yield* audit({ action, resourceId: id, tenantId: updated.value.tenantId, ...states })
          }
          return updated
        }))

      const existing = (id: SubscriptionId) =>
        Effect.flatMap(
          storage.getSubscription(id),
          (found) => Option.isSome(found) ? Effect.succeed(found.value) : Effect.fail(new SubscriptionNotFound({ id }))
        )

      /** The configuration and the connection that come of a change. */
      const merged = Effect.fnUntraced(function*(current: Subscription, change: SubscriptionChange) {
        const { config } = current
        if (change.config === undefined && change.connectionId === undefined) return { config, connection: undefined }
        const found = yield* provider(current.providerId)
        const connection = yield* connectionOf(found, {
          tenantId: current.tenantId,
          connectionId: change.connectionId ?? current.connectionId
        })
        const opened = yield* Effect.mapError(
          SealedConfig.open(secrets, found.config, current),
          (error) => refuse("config", error.message)
        )
        const next = change.config === undefined ? opened : SealedConfig.merge(found.config, opened, change.config)
        yield* checkConfig(current.providerId, next, connection?.config)
        const misdirected = change.config !== undefined &&
          Destinations.misdirected(found.config, { before: opened, change: change.config, after: next })
        if (misdirected) {
          const { message, path } = Destinations.refusal(misdirected)
          return yield* refuse(path, message)
        }
        return {
          config: change.config === undefined
            ? config
            : yield* SealedConfig.seal(secrets, found.config, { id: current.id, config: next }),
          connection
        }
      })

      const checkChange = Effect.fnUntraced(function*(current: Subscription, change: SubscriptionChange) {
        if (change.name !== undefined) yield* checkText("name", change.name, limits.nameLength)
        if (change.description !== undefined) {
          yield* checkText("description", change.description, limits.descriptionLength)
        }
        if (change.events !== undefined) {
          yield* checkEvents(change.events, (yield* registry.provider(current.providerId))?.supportedEvents)
        }
        if (change.ordered ?? (change.events === undefined ? false : current.ordered)) {
          yield* checkOrdered(change.events ?? current.events)
        }
        return {
          retry: yield* checkRetry(change.retry),
          maxConcurrency: yield* decoded("maxConcurrency", MaxConcurrency, change.maxConcurrency),
          rateLimit: yield* decoded("rateLimit", RateLimit, change.rateLimit),
          filter: yield* filterOf(
            // A filter that stays has to fit events that change.
            change.filter === undefined && change.events !== undefined ? toJson(current.filter) : change.filter,
            change.events ?? current.events
          ),
          ...(yield* merged(current, change))
        }
      })

      const update: Subscriptions["Service"]["update"] = Effect.fn("Subscriptions.update")(
        function*(id, change, options) {
          const current = yield* existing(id)
          // Before anything is merged with a state that the change is not for; it is judged again with the change.
          if (isOther(current, options)) return yield* new SubscriptionChanged({ id, version: current.version })
          const { enabled: _, ...rest } = change
          const [path] = Object.keys(rest)
          if (isInternal(current) && path !== undefined) {
            return yield* refuse(
              path,
              "It belongs to a work queue, whose handler says what it is: only enabled can be changed"
            )
          }
          const { config, connection, filter, maxConcurrency, rateLimit, retry } = yield* checkChange(current, change)
          const now = yield* storage.now
          const seen = { overtaken: false, other: false }
          const updated = yield* changing("subscription.update", id, (stored) => {
            seen.other = isOther(stored, options)
            if (seen.other) return stored
            // What was merged and checked goes with a state that another change has replaced meanwhile.
            const { config: given, connectionId, events, filter: wanted, ordered } = change
            const merges = [given, connectionId, events, wanted, ordered].some((part) => part !== undefined)
            seen.overtaken = merges && stored.version !== current.version
            if (seen.overtaken) return stored
            return {
              ...(change.enabled === undefined ? stored : withEnabled(stored, change.enabled, now)),
              name: change.name ?? stored.name,
              description: change.description ?? stored.description,
              events: change.events ?? stored.events,
              config: change.config === undefined ? stored.config : config,
              connectionId: change.connectionId === undefined ? stored.connectionId : connection?.id,
              retry: change.retry === undefined ? stored.retry : retry,
              filter: change.filter === undefined ? stored.filter : filter,
              ordered: change.ordered ?? stored.ordered,
              maxConcurrency: change.maxConcurrency === undefined ? stored.maxConcurrency : maxConcurrency,
              rateLimit: change.rateLimit === undefined ? stored.rateLimit : rateLimit,
              updatedAtMs: now
            }
          }, change.connectionId === undefined ? undefined : connection)
          if (Option.isNone(updated)) return yield* new SubscriptionNotFound({ id })
          if (seen.other) return yield* new SubscriptionChanged({ id, version: updated.value.version })
          // Ends: each further turn means that another change was written.
          if (seen.overtaken) return yield* update(id, change, options)
          yield* dispatchers.confirm({ id, version: updated.value.version })
          const group = ownGroup(updated.value)
          if (group !== undefined) yield* dispatchers.wake(group)
          return yield* view(updated.value)
        }
      )

      const rotateSecret = Effect.fn("Subscriptions.rotateSecret")(function*(
        id: SubscriptionId,
        rotation: Rotation,
        options?: Versioned
      ) {
        const { overlapMs = limits.rotationOverlapMs } = rotation
        if (overlapMs < 0 || overlapMs > limits.rotationOverlapMaxMs) {
          return yield* refuse("overlapMs", `Expected 0 to ${limits.rotationOverlapMaxMs} milliseconds`)
        }
        const current = yield* existing(id)
        if (isInternal(current)) return yield* refuse("id", "It belongs to a work queue, which signs nothing")
        const generated = current.signingSecrets[0]?.publicKey === undefined
          ? Signature.generateSecret
          : Effect.map(Signature.generateKeyPair, ({ privateKey }) => privateKey)
        const signingSecret = rotation.signingSecret ?? (yield* generated)
        const now = yield* storage.now
        const secret = yield* kept(signingSecret, id, now)
        const seen = { other: false }
        const updated = yield* changing("subscription.rotate-secret", id, (stored) => {
          seen.other = isOther(stored, options)
          return seen.other ? stored : {
            ...stored,
            signingSecrets: [secret, ...overlapping(stored.signingSecrets, now, now + overlapMs)].slice(
              0,
              limits.signingSecrets
            ),
            updatedAtMs: now
          }
        })
        if (Option.isNone(updated)) return yield* new SubscriptionNotFound({ id })
        if (seen.other) return yield* new SubscriptionChanged({ id, version: updated.value.version })
        yield* dispatchers.confirm({ id, version: updated.value.version })
        return { subscription: yield* view(updated.value), signingSecret }
      })

      return Subscriptions.of({
        create,
        rotateSecret,
        checkFilter,
        get: (id) => Effect.flatMap(existing(id), view),
        list: (filter, page) => Effect.flatMap(storage.listSubscriptions(filter, page), viewAll),
        update,
        remove: Effect.fn("Subscriptions.remove")(function*(id, options) {
          const current = yield* existing(id)
          if ((yield* registry.provider(current.providerId))?.queue) {
            return yield* refuse(
              "id",
              `${current.name} is a work queue that this program has the handler of: disable it`
            )
          }
          yield* storage.atomically(Effect.gen(function*() {
            // Locked until the commit: the version that is judged is the one that is deleted.
            const locked = yield* storage.updateSubscription(id, (stored) => stored)
            if (Option.isNone(locked)) return yield* new SubscriptionNotFound({ id })
            const { tenantId, version } = locked.value
            if (isOther(locked.value, options)) return yield* new SubscriptionChanged({ id, version })
            const before = yield* fieldsOf(locked.value)
            yield* storage.deleteSubscription(id)
            yield* audit({ action: "subscription.delete", resourceId: id, tenantId, before, after: undefined })
          }))
          yield* dispatchers.confirm({ id, version: Number.MAX_SAFE_INTEGER })
        })
      })
    })
  )

// --- internal ---

interface Versioned {
  readonly version?: number | undefined
}

/** Whether a change is meant for another version than the stored one. */
const isOther = (stored: Subscription, options: Versioned | undefined): boolean =>
  options?.version !== undefined && options.version !== stored.version

/** The secrets that go on signing, each at most until a time. */
const overlapping = (
  secrets: ReadonlyArray<SigningSecret>,
  nowMs: number,
  untilMs: number
): ReadonlyArray<SigningSecret> =>
  secrets
    .map((secret) => ({ ...secret, expiresAtMs: Math.min(secret.expiresAtMs ?? untilMs, untilMs) }))
    .filter((secret) => secret.expiresAtMs > nowMs)

const toJson = (filter: Filter.Filter | undefined): Schema.Json | undefined =>
  filter && Schema.decodeUnknownSync(Schema.Json)(filter)
