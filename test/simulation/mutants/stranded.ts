/**
 * A subscription that becomes a worker group of its own leaves behind what waits for it.
 */
import { Tables } from "../../../src/StorageMemoryTables.ts"
import { type Mutant, none } from "../Mutant.ts"

class Stranded extends Tables {
  override move() {}
}

export const stranded: Mutant = {
  ...none,
  name: "leaves deliveries behind when their subscription gets a group of its own",
  seed: 30,
  breaks: "quiet",
  tables: () => new Stranded()
}
