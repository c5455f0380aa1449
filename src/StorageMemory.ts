/**
 * The storage in memory, for tests and programs that may forget: the same rules as the database's, with transactions of its
 * own that roll back.
 */
import { Context, Effect, Layer } from "effect"
import { Storage } from "./Storage.ts"
import * as Administration from "./StorageMemoryAdministration.ts"
import * as Appending from "./StorageMemoryAppending.ts"
import * as Auditing from "./StorageMemoryAuditing.ts"
import * as Broadcasting from "./StorageMemoryBroadcasting.ts"
import * as Connecting from "./StorageMemoryConnecting.ts"
import * as Counting from "./StorageMemoryCounting.ts"
import * as Dispatching from "./StorageMemoryDispatching.ts"
import * as Keeping from "./StorageMemoryKeeping.ts"
import * as Measuring from "./StorageMemoryMeasuring.ts"
import * as Membership from "./StorageMemoryMembership.ts"
import * as Ownership from "./StorageMemoryOwnership.ts"
import * as Replaying from "./StorageMemoryReplaying.ts"
import * as Retaining from "./StorageMemoryRetaining.ts"
import { Tables } from "./StorageMemoryTables.ts"
import * as Transaction from "./StorageMemoryTransaction.ts"
import * as Walking from "./StorageMemoryWalking.ts"

/**
 * Transactions of the memory storage.
 *
 * **Details**
 *
 * What an effect and the fibers it forks emit is stored when it succeeds and forgotten when it fails or is interrupted. One
 * inside another is a savepoint: what it emitted is forgotten by itself. Subscriptions are not part of a transaction.
 *
 * **Gotchas**
 *
 * Two transactions that take the same two idempotency keys in opposite order wait for each other for ever.
 *
 * @category services
 * @since 0.1.0
 */
export class MemoryTransactions extends Context.Service<MemoryTransactions, {
  /** Runs an effect as a transaction. */
  readonly withTransaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("hookline/StorageMemory/MemoryTransactions") {}

/**
 * Layer of an empty storage.
 *
 * **Gotchas**
 *
 * All is lost when the process ends, and memory grows with the history that is kept.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Storage | MemoryTransactions> = Layer.effectContext(Effect.sync(() => {
  const tables = new Tables()
  return Context.make(
    Storage,
    Storage.of({
      ...Appending.make(tables),
      ...Ownership.make(tables),
      ...Dispatching.make(tables),
      ...Administration.make(tables),
      ...Keeping.make(tables),
      ...Connecting.make(tables),
      ...Auditing.make(tables),
      ...Counting.make(tables),
      ...Walking.make(tables),
      ...Measuring.make(tables),
      ...Membership.make(tables),
      ...Broadcasting.make(tables),
      ...Replaying.make(tables),
      ...Retaining.make(tables)
    })
  ).pipe(
    Context.add(MemoryTransactions, { withTransaction: (effect) => Transaction.run(tables, effect) })
  )
}))
