import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { StorageModel, StorageSuite } from "../../src/testing/index.ts"
import { prepareDay, storage } from "./support.ts"

StorageSuite.suite("PgStorage", {
  layer: storage,
  transact: Effect.map(PgClient.PgClient, (sql) => (effect) => sql.withTransaction(effect)),
  virtualTime: false,
  advance: (ms) => Effect.sleep(ms),
  prepareDay
})

StorageModel.suite("PgStorage", storage)
