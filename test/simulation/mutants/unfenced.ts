/**
 * The fence is skipped: a superseded owner claims, routes and records as before.
 */
import { Tables } from "../../../src/StorageMemoryTables.ts"
import { type Mutant, none } from "../Mutant.ts"

class Unfenced extends Tables {
  override isFenced(): boolean {
    return true
  }
}

export const unfenced: Mutant = {
  ...none,
  name: "skips the fence",
  seed: 48,
  breaks: "owners",
  tables: () => new Unfenced()
}
