/**
 * Whoever is down is sent to all the same: claims look at no circuit.
 */
import { Tables } from "../../../src/StorageMemoryTables.ts"
import { type Mutant, none } from "../Mutant.ts"

class Tireless extends Tables {
  override isOpen() {
    return false
  }
}

export const tireless: Mutant = {
  ...none,
  name: "claims while a circuit is open",
  seed: 231,
  breaks: "circuits",
  tables: () => new Tireless()
}
