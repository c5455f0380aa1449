/**
 * Pools of connections beside the caller's: to the same server, with sizes, timeouts and settings of their own.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, type Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { StorageUnavailable } from "../Storage.ts"
import * as PgErrors from "./PgErrors.ts"

/**
 * Settings of all of the engine's sessions.
 *
 * @category constants
 * @since 0.1.0
 */
export const engine: Readonly<Record<string, string>> = {
  // The fence relies on a statement's seeing what was committed while it waited.
  default_transaction_isolation: "read committed",
  // So a number that decides a plan, as a limit, has to stand in a statement's text.
  plan_cache_mode: "force_generic_plan"
}

/**
 * Settings of the sessions that deliver. Their statements are planned once, as a rule while the tables are empty, when a plan that
 * reads all of a table is the best. All of these statements find what they want by an index, and leave the planner no other:
 *
 * - What is given finds its rows by bounds, `w.id between g.id and g.id`. An equality is a reason to read an index from end to end, for
 *   its order.
 * - A condition that a partial index is made for is said in other words where that index is not meant, as
 *   `coalesce(w.epoch, -1) = -1`: it would be read from end to end.
 * - An order that is asked for names all of the columns of the index that has it.
 *
 * @category constants
 * @since 0.1.0
 */
export const pump: Readonly<Record<string, string>> = {
  ...engine,
  enable_seqscan: "off",
  enable_mergejoin: "off",
  // Of bounds the planner thinks that many rows are between them.
  enable_bitmapscan: "off",
  // It is made for long statements, which are guessed by the cost: of what is turned off that is huge.
  jit: "off"
}

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
