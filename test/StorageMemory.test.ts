import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as StorageMemory from "../src/StorageMemory.ts"
import { StorageSuite } from "../src/testing/index.ts"

StorageSuite.suite("StorageMemory", {
  layer: StorageMemory.layer,
  transact: Effect.map(StorageMemory.MemoryTransactions, ({ withTransaction }) => withTransaction),
  virtualTime: true,
  advance: TestClock.adjust
})
