/**
 * Administration of API keys: made, listed and revoked by people, and looked up for every request. A key is shown once, when
 * it is made; what is kept tells it from others, and no more.
 */
import { Cache, Context, DateTime, Effect, Exit, Layer, Option, Redacted, Schema, Semaphore } from "effect"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import type { Asker } from "./Access.ts"
import * as Audit from "./Audit.ts"
import * as Id from "./Id.ts"
import type { Key, Scope } from "./Key.ts"
import { Limits } from "./Limits.ts"
import { allTenants, oneTenantExpected } from "./Message.ts"
import * as Storable from "./Storable.ts"
import { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"
import * as TraceContext from "./TraceContext.ts"

// -- models

/** @category models @since 0.1.0 */
export interface NewKey {
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** Whose things it sees and makes; everybody's when left out. */
  readonly tenantId?: string | undefined
  /** Until when it is good; for ever when left out. */
  readonly expiresAt?: DateTime.Utc | undefined
}

// -- errors

/**
 * The key is refused: the caller's fault, at a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyRefused extends Schema.TaggedError<KeyRefused>()("KeyRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()("KeyNotFound", { id: Schema.String }) {}

// -- service

/**
 * Administration.
 *
 * @category services
 * @since 0.1.0
 */
export class Keys extends Context.Service<Keys, {
  /** Makes a key, which is shown only here. */
  readonly create: (input: NewKey) => Effect.Effect<
    { readonly key: Key; readonly secret: Redacted.Redacted<string> },
    KeyRefused | StorageUnavailable
  >
  readonly get: (id: Id.KeyId) => Effect.Effect<Key, KeyNotFound | StorageUnavailable>
  /** Keys, newest first; revoked and expired ones too. */
  readonly list: (
    filter: { readonly tenantId?: string },
    page: { readonly cursor: string | undefined; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<Key>, StorageUnavailable>
  /** Revokes a key: at once in this process, within `Limits.keyCacheMs` in others. One that was revoked stays so. */
  readonly revoke: (id: Id.KeyId) => Effect.Effect<void, KeyNotFound | StorageUnavailable>
  /** Whose key it is; none for one that is unknown, revoked or expired. */
  readonly verify: (secret: Redacted.Redacted<string>) => Effect.Effect<Option.Option<Asker>, StorageUnavailable>
  /** The same for a key that was verified before. */
  readonly verifyAgain: (id: Id.KeyId) => Effect.Effect<Option.Option<Asker>, StorageUnavailable>
}>()("hookline/Keys") {}

// -- layers

/**
 * Layer of the administration.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Keys, never, Storage> = Layer.effect(
  Keys,
  Effect.gen(function*() {
    const storage = yield* Storage
    const limits = yield* Limits
    const audit = Audit.writer(storage)
    const remembered = {
      capacity: limits.keyCacheKeys,
      timeToLive: (exit: Exit.Exit<unknown, unknown>) => Exit.isSuccess(exit) ? limits.keyCacheMs : 0
    }
    const lookups = yield* Semaphore.make(limits.keyLookups)
    const byDigest = yield* Cache.makeWith(
      (digest: string) => lookups.withPermits(1)(storage.findKey(digest)),
      remembered
    )
    const byId = yield* Cache.makeWith((id: Id.KeyId) => storage.getKey(id), remembered)

    const used = new Map<Id.KeyId, number>()
    const note = Effect.suspend(() => {
      if (used.size === 0) return Effect.void
      const uses = [...used].map(([id, atMs]) => ({ id, atMs }))
      used.clear()
      // It is for people to look at: what is lost of it is no harm.
      return Effect.ignore(storage.useKeys(uses))
    })
    yield* Effect.addFinalizer(() => note)
    const scope = yield* Effect.scope
    let notedAtMs = 0
    /** Notes that a key was used: at once if nothing was noted for a while, else with what comes. */
    const use = (id: Id.KeyId, nowMs: number) => {
      used.set(id, nowMs)
      if (nowMs - notedAtMs < limits.keyUseMs) return Effect.void
      notedAtMs = nowMs
      return Effect.forkIn(note, scope)
    }

    const existing = (id: Id.KeyId) =>
      Effect.flatMap(
        storage.getKey(id),
        Option.match({ onNone: () => Effect.fail(new KeyNotFound({ id })), onSome: Effect.succeed })
      )

    /** Whose key it is, if it is still good; and that it was used. */
    const good = (found: Option.Option<Key>) =>
      Effect.gen(function*() {
        const nowMs = yield* storage.now
        const key = Option.getOrUndefined(found)
        const isGood = key !== undefined && key.revokedAtMs === undefined &&
          (key.expiresAtMs ?? Number.POSITIVE_INFINITY) > nowMs
        if (!isGood) return Option.none<Asker>()
        yield* use(key.id, nowMs)
        return Option.some<Asker>({
          actor: { kind: "key", id: key.id, name: key.name },
          scopes: key.scopes,
          tenantId: key.tenantId === allTenants ? undefined : key.tenantId
        })
      })

    return Keys.of({
      create: Effect.fn("Keys.create")(function*({ expiresAt, name, scopes, tenantId }) {
        const refusal = Storable.refusal(name, { length: limits.nameLength })
        if (refusal !== undefined) return yield* new KeyRefused({ path: "name", message: refusal })
        if (tenantId !== undefined) {
          // Left out it is a key for all tenants, which nobody gets by what a tenant is called.
          const wrong = tenantId === allTenants
            ? oneTenantExpected
            : Storable.refusal(tenantId, { length: limits.keyLength })
          if (wrong !== undefined) return yield* new KeyRefused({ path: "tenantId", message: wrong })
        }
        if (scopes.length === 0) {
          return yield* new KeyRefused({
            path: "scopes",
            message: "Expected at least one of admin, manage, read, emit"
          })
        }
        const nowMs = yield* storage.now
        const expiresAtMs = expiresAt === undefined ? undefined : DateTime.toEpochMillis(expiresAt)
        if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
          return yield* new KeyRefused({ path: "expiresAt", message: "Expected a time in the future" })
        }
        const secret = generate()
        const key: Key = {
          id: yield* Id.keyId(nowMs),
          tenantId: tenantId ?? allTenants,
          name,
          scopes: [...new Set(scopes)],
          prefix: secret.slice(0, prefixLength),
          digest: digestOf(secret),
          expiresAtMs,
          revokedAtMs: undefined,
          lastUsedAtMs: undefined,
          createdAtMs: nowMs
        }
        yield* storage.atomically(Effect.andThen(
          storage.createKey(key),
          audit({
            action: "key.create",
            resourceId: key.id,
            tenantId: key.tenantId,
            before: undefined,
            after: {
              name,
              scopes: key.scopes,
              prefix: key.prefix,
              ...(expiresAt === undefined ? {} : { expiresAt: DateTime.formatIso(expiresAt) })
            }
          })
        ))
        return { key, secret: Redacted.make(secret) }
      }),
      get: existing,
      list: storage.listKeys,
      revoke: Effect.fn("Keys.revoke")(function*(id) {
        const { digest, name, prefix, tenantId } = yield* existing(id)
        const nowMs = yield* storage.now
        yield* storage.atomically(Effect.gen(function*() {
          if (!(yield* storage.revokeKey(id, nowMs))) return
          yield* audit({
            action: "key.revoke",
            resourceId: id,
            tenantId,
            before: { name, prefix },
            after: undefined
          })
        }))
        yield* Effect.andThen(Cache.invalidate(byDigest, digest), Cache.invalidate(byId, id))
      }),
      verify: Effect.fnUntraced(function*(secret) {
        const text = Redacted.value(secret)
        if (!isWellFormed(text)) return Option.none()
        const digest = digestOf(text)
        const found = yield* Cache.get(byDigest, digest)
        return yield* good(Option.filter(found, (key) => timingSafeEqual(Buffer.from(key.digest), Buffer.from(digest))))
      }, TraceContext.withSpan("Keys.verify")),
      verifyAgain: (id) => Effect.flatMap(Cache.get(byId, id), good)
    })
  })
)

// --- internal ---

/** Of what is shown of a key: enough to tell keys apart, and no help to guess one. */
const prefixLength = 11

/** From the system's generator: whoever can foresee a key has it. */
const generate = (): string => `hk_${randomBytes(32).toString("base64url")}`

const isWellFormed = (text: string): boolean => /^hk_[\w-]{43}$/u.test(text)

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex")
