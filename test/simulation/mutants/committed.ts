/**
 * A rollback is ignored: what is emitted in a transaction is stored at once.
 */
import { Effect } from "effect"
import * as Transaction from "../../../src/StorageMemoryTransaction.ts"
import { type Mutant, none } from "../Mutant.ts"

export const committed: Mutant = {
  ...none,
  name: "ignores a rollback",
  breaks: "durable",
  storage: (storage) => ({
    ...storage,
    append: (messages, runnerId) =>
      Effect.provideService(storage.append(messages, runnerId), Transaction.Current, undefined),
    appendOnce: (message, options) =>
      Effect.provideService(storage.appendOnce(message, options), Transaction.Current, undefined)
  })
}
