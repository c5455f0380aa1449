/**
 * Pools of connections beside the caller's: to the same server, with sizes and timeouts of their own.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { StorageUnavailable } from "../Storage.ts"
import * as PgErrors from "./PgErrors.ts"

/**
 * Opens a pool with the caller's settings, but for those that are given; it closes with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  client: PgClient.PgClient,
  options: Partial<PgClient.PgPoolConfig>
): Effect.Effect<PgClient.PgClient, StorageUnavailable, Scope.Scope> =>
  PgErrors.engine(PgClient.make({
    ...client.config,
    ...options,
    startupParameters: { ...client.config.startupParameters, ...options.startupParameters }
  })).pipe(Effect.provide(Reactivity.layer))
