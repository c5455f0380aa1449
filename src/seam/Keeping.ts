/**
 * Keys of the HTTP API, as the storage keeps them. A part of `Storage`.
 */
import type { Effect, Option } from "effect"
import type { KeyId } from "../Id.ts"
import type { Key } from "../Key.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Page } from "./Administration.ts"

/**
 * Keeping API keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keeping {
  readonly createKey: (key: Key) => Effect.Effect<void, StorageUnavailable>
  readonly getKey: (id: KeyId) => Effect.Effect<Option.Option<Key>, StorageUnavailable>
  /** The key with a digest, whether or not it is still good. */
  readonly findKey: (digest: string) => Effect.Effect<Option.Option<Key>, StorageUnavailable>
  /** Keys, newest first; revoked ones too. */
  readonly listKeys: (
    filter: { readonly tenantId?: string },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Key>, StorageUnavailable>
  /** Revokes a key; returns whether it was not before. */
  readonly revokeKey: (id: KeyId, atMs: number) => Effect.Effect<boolean, StorageUnavailable>
  /** Notes when keys were used last. */
  readonly useKeys: (
    uses: ReadonlyArray<{ readonly id: KeyId; readonly atMs: number }>
  ) => Effect.Effect<void, StorageUnavailable>
}
