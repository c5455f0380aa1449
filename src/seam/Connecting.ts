/**
 * Connections, as the storage keeps them. A part of `Storage`.
 */
import type { Effect, Option } from "effect"
import type { Connection } from "../Connection.ts"
import type { ConnectionId } from "../Id.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Subscription } from "../Subscription.ts"
import type { Page } from "./Administration.ts"

/**
 * What a change of a connection came to.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionUpdated {
  readonly connection: Connection
  /** The subscriptions that use it, where it has another configuration, each with the version that binds it. */
  readonly subscriptions: ReadonlyArray<Pick<Subscription, "id" | "version">>
}

/**
 * Keeping connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connecting {
  readonly createConnection: (connection: Connection) => Effect.Effect<void, StorageUnavailable>
  readonly getConnection: (id: ConnectionId) => Effect.Effect<Option.Option<Connection>, StorageUnavailable>
  /** As `getConnection`; inside `atomically` the connection is neither changed nor deleted before that ends. */
  readonly holdConnection: (id: ConnectionId) => Effect.Effect<Option.Option<Connection>, StorageUnavailable>
  /** Connections, newest first. */
  readonly listConnections: (
    filter: { readonly tenantId?: string; readonly providerId?: string },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Connection>, StorageUnavailable>
  /**
   * Applies a change to a connection's current state, which gives it its next version, and tells what came of it; none where
   * there is no such one. With another configuration the subscriptions that use it change with it: they get a new version,
   * and begin as ones of which nothing has failed.
   */
  readonly updateConnection: (
    id: ConnectionId,
    change: (current: Connection) => Connection
  ) => Effect.Effect<Option.Option<ConnectionUpdated>, StorageUnavailable>
  /** Deletes a connection, unless subscriptions use it: tells how many do; none where there is no such one. */
  readonly deleteConnection: (id: ConnectionId) => Effect.Effect<Option.Option<number>, StorageUnavailable>
}
