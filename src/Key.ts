/**
 * API keys as data: what one may do, whose things it sees, and how it is told from others without knowing it.
 */
import { Schema } from "effect"
import type { KeyId } from "./Id.ts"

/**
 * What a key may do: `read` what there is; `manage` it, which includes reading; `emit` messages; `admin` may all of it, and
 * make keys.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Scope = Schema.Literals(["admin", "manage", "read", "emit"]).annotate({ identifier: "Scope" })
/** @category models @since 0.1.0 */
export type Scope = typeof Scope.Type

/**
 * A key as it is kept: the key itself is not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  readonly id: KeyId
  /** Whose things it sees and makes; `allTenants` for everybody's. */
  readonly tenantId: string
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** How it begins, to be told from others by people. */
  readonly prefix: string
  /** SHA-256 of the key, in hexadecimal digits: it has more randomness than anybody could guess. */
  readonly digest: string
  readonly expiresAtMs: number | undefined
  readonly revokedAtMs: number | undefined
  /** Known to a minute. */
  readonly lastUsedAtMs: number | undefined
  readonly createdAtMs: number
}
