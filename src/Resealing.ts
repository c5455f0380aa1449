/**
 * Changing the master key while everything runs: what an older key has sealed is sealed anew, one connection or
 * subscription after the other. Which texts are sealed their form tells, so that it needs no plugin's code.
 */
import { Context, Effect, Layer, type Schema } from "effect"
import * as Audit from "./Audit.ts"
import { Limits } from "./Limits.ts"
import { allTenants } from "./Message.ts"
import * as SealedConfig from "./SealedConfig.ts"
import { Secrets } from "./Secrets.ts"
import { type Page, Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"

/**
 * What was done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resealed {
  /** Secrets that were sealed anew, and the things that they belong to. */
  readonly secrets: number
  readonly owners: number
  /** Those of which something can't be opened, and why: with a key that was not given, or changed. */
  readonly unopened: ReadonlyArray<{ readonly id: string; readonly message: string }>
}

/**
 * Sealing anew.
 *
 * @category services
 * @since 0.1.0
 */
export class Resealing extends Context.Service<Resealing, {
  /** Seals everything with the key that seals now; to be done again if it was interrupted. */
  readonly reseal: Effect.Effect<Resealed, StorageUnavailable>
}>()("hookline/Resealing") {}

/**
 * Layer of it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Resealing, never, Secrets | Storage> = Layer.effect(
  Resealing,
  Effect.gen(function*() {
    const storage = yield* Storage
    const secrets = yield* Secrets
    const { pageSize } = yield* Limits
    const audit = Audit.writer(storage)

    /** Goes through a list, page by page. */
    const each = <A extends { readonly id: string }>(
      list: (page: Page) => Effect.Effect<ReadonlyArray<A>, StorageUnavailable>,
      use: (item: A) => Effect.Effect<void, StorageUnavailable>
    ) =>
      Effect.gen(function*() {
        for (let cursor: string | undefined, more = true; more;) {
          const page = yield* list({ cursor, limit: pageSize })
          yield* Effect.forEach(page, use, { discard: true })
          more = page.length === pageSize
          cursor = page.at(-1)?.id
        }
      })

    const reseal = Effect.gen(function*() {
      let sealed = 0
      let owners = 0
      const unopened: Array<{ readonly id: string; readonly message: string }> = []

      /** Seals the texts of a value anew that are stale, those that can be opened. */
      const anew = Effect.fnUntraced(function*(id: string, value: Schema.Json) {
        const fresh = new Map<string, string>()
        let refusal: string | undefined
        for (const text of SealedConfig.texts(value)) {
          if (!secrets.isStale(text) || fresh.has(text)) continue
          const opened = yield* Effect.result(secrets.open(text, id))
          if (opened._tag === "Failure") refusal = opened.failure.message
          else fresh.set(text, yield* secrets.seal(opened.success, id))
        }
        if (refusal !== undefined) unopened.push({ id, message: refusal })
        return fresh
      })

      // Whoever changes one meanwhile seals with the new key: only what is still as it was read is replaced.
      const counted = (fresh: ReadonlyMap<string, string>, update: Effect.Effect<unknown, StorageUnavailable>) =>
        fresh.size === 0 ? Effect.void : Effect.tap(update, () =>
          Effect.sync(() => {
            sealed += fresh.size
            owners++
          }))

      // Connections first: a subscription that is bound to one anew is read after it.
      yield* each(
        (page) => storage.listConnections({}, page),
        ({ config, id }) =>
          Effect.flatMap(anew(id, config), (fresh) =>
            counted(
              fresh,
              storage.updateConnection(id, (stored) => ({ ...stored, config: replaced(stored.config, fresh) }))
            ))
      )
      yield* each(
        (page) => storage.listSubscriptions({}, page),
        ({ config, id, signingSecrets }) =>
          Effect.flatMap(anew(id, [config, ...signingSecrets.map((secret) => secret.sealed)]), (fresh) =>
            counted(
              fresh,
              storage.updateSubscription(id, (stored) => ({
                ...stored,
                config: replaced(stored.config, fresh),
                signingSecrets: stored.signingSecrets.map((secret) => ({
                  ...secret,
                  sealed: fresh.get(secret.sealed) ?? secret.sealed
                }))
              }))
            ))
      )
      const after = { secrets: sealed, owners, unopened: unopened.length }
      yield* audit({
        action: "secrets.reseal",
        resourceId: "master-key",
        tenantId: allTenants,
        before: undefined,
        after
      })
      return { secrets: sealed, owners, unopened }
    })
    return Resealing.of({ reseal })
  })
)

// --- internal ---

const isList = (value: Schema.Json): value is ReadonlyArray<Schema.Json> => Array.isArray(value)

const replaced = (value: Schema.Json, fresh: ReadonlyMap<string, string>): Schema.Json => {
  if (typeof value === "string") return fresh.get(value) ?? value
  if (isList(value)) return value.map((item) => replaced(item, fresh))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, replaced(item, fresh)]))
}
