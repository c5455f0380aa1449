/**
 * Whatever is due is claimed of an ordered subscription, whoever's turn it is.
 */
import { Tables } from "../../../src/StorageMemoryTables.ts"
import { type Mutant, none } from "../Mutant.ts"

class Disordered extends Tables {
  override places() {
    return () => "free" as const
  }
}

export const disordered: Mutant = {
  ...none,
  name: "sends what is behind another of its key",
  breaks: "ordered",
  tables: () => new Disordered()
}
