/**
 * A connection as data: credentials of a provider that many subscriptions share. Secrets in it are sealed; only the provider
 * sees them open.
 */
import type { Schema } from "effect"
import type { ConnectionId } from "./Id.ts"

/** @category models @since 0.1.0 */
export interface Connection {
  readonly id: ConnectionId
  readonly tenantId: string
  /** Qualified: `jira.issue`. */
  readonly providerId: string
  readonly name: string
  /** By the provider's schema of connections, encoded; fields marked secret are sealed. */
  readonly config: Schema.Json
  /** Of its own: 1, and one more with each change. */
  readonly version: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
}
