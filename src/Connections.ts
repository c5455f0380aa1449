/**
 * Administration of connections: credentials of a provider that many subscriptions share. What is saved has been checked by
 * the provider's schema, its secrets are sealed and shown to nobody, and a change is answered when it binds.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import * as Audit from "./Audit.ts"
import { difference, type Fields } from "./AuditEntry.ts"
import type { Connection } from "./Connection.ts"
import * as ConnectionProbe from "./ConnectionProbe.ts"
import type { ProbeFailed } from "./ConnectionProbe.ts"
import * as Destinations from "./Destinations.ts"
import { Dispatchers } from "./Dispatchers.ts"
import * as Id from "./Id.ts"
import type { ConnectionId } from "./Id.ts"
import { Limits } from "./Limits.ts"
import { allTenants, defaultTenant, oneTenantExpected } from "./Message.ts"
import * as Nearest from "./Nearest.ts"
import type { NoPlace } from "./NoPlace.ts"
import type { ConnectionKind, ConnectionOption, OptionContext } from "./Provider.ts"
import { Registry } from "./Registry.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import * as SealedConfig from "./SealedConfig.ts"
import * as SecretFields from "./SecretFields.ts"
import * as Secrets from "./Secrets.ts"
import * as Storable from "./Storable.ts"
import { type ConnectionUpdated, Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import type { Tryouts } from "./Tryouts.ts"

// -- models

/**
 * A connection to be made; `config` as it came, to be checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewConnection {
  readonly name: string
  readonly providerId: string
  readonly config: Schema.Json
  readonly tenantId?: string | undefined
}

/**
 * What may be changed: the keys of `config` are merged into the stored ones, where a blank secret keeps its stored value, and
 * what comes of it is checked whole. A change of an address has to bring the secrets that are sent there.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionChange {
  readonly name?: string
  readonly config?: Schema.Json
}

/**
 * How a test of credentials went; `message` is the provider's, without secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestResult {
  readonly success: boolean
  readonly message: string | undefined
}

// -- errors

/**
 * The connection is refused: the caller's fault, at a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionRefused extends Schema.TaggedError<ConnectionRefused>()("ConnectionRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export class ConnectionNotFound extends Schema.TaggedError<ConnectionNotFound>()("ConnectionNotFound", {
  id: Schema.String
}) {}

/**
 * Another change came first: the connection is not of the version that this one was meant for.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionChanged extends Schema.TaggedError<ConnectionChanged>()("ConnectionChanged", {
  id: Schema.String,
  version: Schema.Int
}) {}

/**
 * Subscriptions use the connection: it is not deleted.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionUsed extends Schema.TaggedError<ConnectionUsed>()("ConnectionUsed", {
  id: Schema.String,
  subscriptions: Schema.Int
}) {}

export { ProbeFailed } from "./ConnectionProbe.ts"

// -- service

/**
 * Administration; connections are shown without their secrets.
 *
 * @category services
 * @since 0.1.0
 */
export class Connections extends Context.Service<Connections, {
  readonly create: (input: NewConnection) => Effect.Effect<Connection, ConnectionRefused | StorageUnavailable>
  readonly get: (id: ConnectionId) => Effect.Effect<Connection, ConnectionNotFound | StorageUnavailable>
  /** Connections, newest first. */
  readonly list: (
    filter: { readonly tenantId?: string; readonly providerId?: string },
    page: { readonly cursor: string | undefined; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<Connection>, StorageUnavailable>
  /**
   * Changes a connection, of a certain version where one is given; when it answers, no attempt begins any more with the old
   * credentials, on any runner.
   */
  readonly update: (
    id: ConnectionId,
    change: ConnectionChange,
    options?: { readonly version?: number | undefined }
  ) => Effect.Effect<
    Connection,
    ConnectionNotFound | ConnectionRefused | ConnectionChanged | StorageUnavailable
  >
  /** Deletes a connection that no subscription uses, of a certain version where one is given. */
  readonly remove: (
    id: ConnectionId,
    options?: { readonly version?: number | undefined }
  ) => Effect.Effect<void, ConnectionNotFound | ConnectionUsed | ConnectionChanged | StorageUnavailable>
  /** Tries the credentials, in `Limits.connectionTestMs`. */
  readonly test: (
    id: ConnectionId
  ) => Effect.Effect<TestResult, ConnectionNotFound | ConnectionRefused | NoPlace | StorageUnavailable>
  /** Tries credentials that are not stored. */
  readonly testConfig: (
    providerId: string,
    config: Schema.Json
  ) => Effect.Effect<TestResult, ConnectionRefused | NoPlace>
  /** What a field of a subscription's configuration can be, in `Limits.connectionTestMs`. */
  readonly options: (
    id: ConnectionId,
    asked: { readonly resolver: string; readonly context: OptionContext }
  ) => Effect.Effect<
    ReadonlyArray<ConnectionOption>,
    ConnectionNotFound | ConnectionRefused | ProbeFailed | NoPlace | StorageUnavailable
  >
}>()("hookline/Connections") {}

// -- layers

/**
 * Layer of the administration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Connections,
  never,
  Storage | Registry | Secrets.Secrets | Dispatchers | Tryouts
> = Layer.effect(
  Connections,
  Effect.gen(function*() {
    const storage = yield* Storage
    const registry = yield* Registry
    const secrets = yield* Secrets.Secrets
    const dispatchers = yield* Dispatchers
    const limits = yield* Limits
    const probes = yield* ConnectionProbe.make
    const audit = Audit.writer(storage)

    const checkText = (path: string, text: string, length: number) => {
      const refusal = Storable.refusal(text, { length })
      return refusal === undefined ? Effect.void : refuse(path, refusal)
    }

    const provider = Effect.fnUntraced(function*(providerId: string) {
      const found = yield* registry.provider(providerId)
      if (found && !found.queue) return found
      const known = (yield* registry.providers).filter((item) => !item.queue).map((item) => item.providerId)
      return yield* refuse(
        "providerId",
        `There is no provider "${providerId}"; known are ${known.join(", ") || "none"}`
      )
    })

    const kindOf = Effect.fnUntraced(function*(providerId: string) {
      const { connection } = yield* provider(providerId)
      return connection ?? (yield* refuse("providerId", `The provider "${providerId}" has no connections`))
    })

    const checkConfig = Effect.fnUntraced(function*(kind: ConnectionKind<never>, config: Schema.Json) {
      if (new TextEncoder().encode(JSON.stringify(config)).length > limits.configBytes) {
        return yield* refuse("config", `Expected at most ${limits.configBytes} bytes of JSON`)
      }
      const unstorable = Storable.pathOfUnstorable(config, ["config"])
      if (unstorable) return yield* refuse(SchemaErrors.formatPath(unstorable), Storable.expected)
      yield* Effect.catch(kind.check(config, { closed: true }), ({ message, path }) => refuse(path, message))
    })

    const existing = (id: ConnectionId) =>
      Effect.flatMap(
        storage.getConnection(id),
        Option.match({ onNone: () => Effect.fail(new ConnectionNotFound({ id })), onSome: Effect.succeed })
      )

    const show = Effect.fnUntraced(function*(connection: Connection): Effect.fn.Return<Connection> {
      const kind = (yield* registry.provider(connection.providerId))?.connection
      // Without the provider's schema nobody knows which fields are secret.
      return { ...connection, config: kind ? yield* SecretFields.without(kind.schema, connection.config) : {} }
    })

    /** A connection as the audit log shows it. */
    const fieldsOf = (connection: Connection) =>
      Effect.map(show(connection), ({ config, name, providerId }): Fields => ({ name, providerId, config }))

    const merged = Effect.fnUntraced(function*(current: Connection, change: Schema.Json) {
      const kind = yield* kindOf(current.providerId)
      const opened = yield* Effect.catch(
        SealedConfig.open(secrets, kind.schema, current),
        ({ message }) => refuse("config", message)
      )
      const config = SealedConfig.merge(kind.schema, opened, change)
      yield* checkConfig(kind, config)
      const misdirected = Destinations.misdirected(kind.schema, { before: opened, change, after: config })
      if (misdirected) {
        const { message, path } = Destinations.refusal(misdirected)
        return yield* refuse(path, message)
      }
      return yield* SealedConfig.seal(secrets, kind.schema, { id: current.id, config })
    })

    /** Returns when no attempt begins any more under an older version of the subscriptions. */
    const binds = (subscriptions: ConnectionUpdated["subscriptions"]) =>
      subscriptions.length <= limits.connectionConfirms
        ? Effect.forEach(subscriptions, dispatchers.confirm, { concurrency: "unbounded", discard: true })
        // Each confirmation reads all subscriptions anew. A lease is prolonged by who knows of the change, and by nobody else.
        : Effect.sleep(limits.leaseMs)

    const update: Connections["Service"]["update"] = Effect.fn("Connections.update")(function*(id, change, options) {
      const current = yield* existing(id)
      // Before anything is merged with a state that the change is not for; it is judged again with the change.
      if (isOther(current, options)) return yield* new ConnectionChanged({ id, version: current.version })
      if (change.name !== undefined) yield* checkText("name", change.name, limits.nameLength)
      const config = change.config === undefined ? current.config : yield* merged(current, change.config)
      const now = yield* storage.now
      const seen: { before: Connection; is: "changed" | "other" | "overtaken" } = { before: current, is: "changed" }
      const updated = yield* storage.atomically(Effect.gen(function*() {
        const updated = yield* storage.updateConnection(id, (stored) => {
          seen.before = stored
          if (isOther(stored, options)) seen.is = "other"
          // What was merged and checked goes with a state that another change has replaced meanwhile.
          else if (change.config !== undefined && stored.version !== current.version) seen.is = "overtaken"
          else if (change.config !== undefined || (change.name !== undefined && change.name !== stored.name)) {
            return {
              ...stored,
              name: change.name ?? stored.name,
              config: change.config === undefined ? stored.config : config,
              updatedAtMs: now
            }
          }
          return stored
        })
        if (Option.isSome(updated) && updated.value.connection.version !== seen.before.version) {
          const { connection } = updated.value
          const states = difference(yield* fieldsOf(seen.before), yield* fieldsOf(connection))
          yield* audit({ action: "connection.update", resourceId: id, tenantId: connection.tenantId, ...states })
        }
        return updated
      }))
      if (Option.isNone(updated)) return yield* new ConnectionNotFound({ id })
      const { connection, subscriptions } = updated.value
      if (seen.is === "other") return yield* new ConnectionChanged({ id, version: connection.version })
      // Ends: each further turn means that another change was written.
      if (seen.is === "overtaken") return yield* update(id, change, options)
      yield* binds(subscriptions)
      return yield* show(connection)
    })

    /** The secrets of an opened connection, which nothing may tell. */
    const secretsOf = Effect.fnUntraced(function*(kind: ConnectionKind<never>, config: Schema.Json) {
      const found: Array<string> = []
      yield* SecretFields.map(kind.schema, config, (secret) => {
        found.push(secret)
        return Effect.succeed(secret)
      })
      return found
    })

    const tested = Effect.fnUntraced(function*(
      providerId: string,
      kind: ConnectionKind<never> | undefined,
      config: Schema.Json
    ): Effect.fn.Return<TestResult, NoPlace> {
      if (!kind?.test) {
        return { success: true, message: `The provider "${providerId}" does not support connection testing` }
      }
      return yield* probes.test(kind.test(config), yield* secretsOf(kind, config)).pipe(
        Effect.map((message) => ({ success: true, message })),
        Effect.catchTag("ProbeFailed", ({ message }) => Effect.succeed({ success: false, message }))
      )
    })

    return Connections.of({
      create: Effect.fn("Connections.create")(function*({ config, name, providerId, tenantId = defaultTenant }) {
        yield* checkText("name", name, limits.nameLength)
        yield* checkText("tenantId", tenantId, limits.keyLength)
        if (tenantId === allTenants) {
          return yield* refuse("tenantId", oneTenantExpected)
        }
        const kind = yield* kindOf(providerId)
        yield* checkConfig(kind, config)
        const now = yield* storage.now
        const id = yield* Id.connectionId(now)
        const connection: Connection = {
          id,
          tenantId,
          providerId,
          name,
          config: yield* SealedConfig.seal(secrets, kind.schema, { id, config }),
          version: 1,
          createdAtMs: now,
          updatedAtMs: now
        }
        const after = yield* fieldsOf(connection)
        yield* storage.atomically(Effect.andThen(
          storage.createConnection(connection),
          audit({ action: "connection.create", resourceId: id, tenantId, before: undefined, after })
        ))
        return yield* show(connection)
      }),
      get: (id) => Effect.flatMap(existing(id), show),
      list: (filter, page) => Effect.flatMap(storage.listConnections(filter, page), Effect.forEach(show)),
      update,
      remove: Effect.fn("Connections.remove")(function*(id, options) {
        yield* storage.atomically(Effect.gen(function*() {
          // Locked until the commit: the version that is judged is the one that is deleted.
          const locked = yield* storage.updateConnection(id, (stored) => stored)
          if (Option.isNone(locked)) return yield* new ConnectionNotFound({ id })
          const { connection } = locked.value
          const { tenantId, version } = connection
          if (isOther(connection, options)) return yield* new ConnectionChanged({ id, version })
          const before = yield* fieldsOf(connection)
          const subscriptions = Option.getOrElse(yield* storage.deleteConnection(id), () => 0)
          if (subscriptions > 0) return yield* new ConnectionUsed({ id, subscriptions })
          yield* audit({ action: "connection.delete", resourceId: id, tenantId, before, after: undefined })
        }))
      }),
      test: Effect.fn("Connections.test")(function*(id) {
        const connection = yield* existing(id)
        const kind = yield* kindOf(connection.providerId)
        const config = yield* Effect.result(SealedConfig.open(secrets, kind.schema, connection))
        return config._tag === "Failure"
          ? { success: false, message: config.failure.message }
          : yield* tested(connection.providerId, kind, config.success)
      }),
      testConfig: Effect.fn("Connections.testConfig")(function*(providerId, config) {
        const { connection: kind } = yield* provider(providerId)
        if (kind) yield* checkConfig(kind, config)
        return yield* tested(providerId, kind, config)
      }),
      options: Effect.fn("Connections.options")(function*(id, { context, resolver }) {
        const connection = yield* existing(id)
        const kind = yield* kindOf(connection.providerId)
        const resolve = kind.options.get(resolver)
        if (!resolve) {
          const known = [...kind.options.keys()]
          const near = Nearest.suggestion(resolver, known)
          return yield* refuse(
            "resolver",
            `There is no resolver "${resolver}"${near === "" ? `; known are ${known.join(", ") || "none"}` : near}`
          )
        }
        const config = yield* Effect.mapError(
          SealedConfig.open(secrets, kind.schema, connection),
          ({ message }) => new ConnectionProbe.ProbeFailed({ message })
        )
        return yield* probes.options(resolve(config, context), yield* secretsOf(kind, config))
      })
    })
  })
)

// --- internal ---

/** Whether a change is meant for another version than the stored one. */
const isOther = (stored: Connection, options: { readonly version?: number | undefined } | undefined): boolean =>
  options?.version !== undefined && options.version !== stored.version

const refuse = (path: string, message: string) => Effect.fail(new ConnectionRefused({ path, message }))
