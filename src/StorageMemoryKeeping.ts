/**
 * API keys in memory.
 */
import { Effect, Option } from "effect"
import type { Keeping } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of keeping keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Keeping => ({
  createKey: (key) => Effect.sync(() => void tables.keptKeys.set(key.id, key)),
  getKey: (id) => Effect.sync(() => Option.fromUndefinedOr(tables.keptKeys.get(id))),
  findKey: (digest) =>
    Effect.sync(() => Option.fromUndefinedOr([...tables.keptKeys.values()].find((key) => key.digest === digest))),
  listKeys: ({ tenantId }, { cursor, limit }) =>
    Effect.sync(() =>
      [...tables.keptKeys.values()]
        .filter((key) => tenantId === undefined || key.tenantId === tenantId)
        .filter((key) => cursor === undefined || key.id < cursor)
        .sort((a, b) => a.id < b.id ? 1 : -1)
        .slice(0, limit)
    ),
  revokeKey: (id, atMs) =>
    Effect.sync(() => {
      const key = tables.keptKeys.get(id)
      if (!key || key.revokedAtMs !== undefined) return false
      tables.keptKeys.set(id, { ...key, revokedAtMs: atMs })
      return true
    }),
  useKeys: (uses) =>
    Effect.sync(() => {
      for (const { atMs, id } of uses) {
        const key = tables.keptKeys.get(id)
        if (key) tables.keptKeys.set(id, { ...key, lastUsedAtMs: Math.max(atMs, key.lastUsedAtMs ?? 0) })
      }
    })
})
