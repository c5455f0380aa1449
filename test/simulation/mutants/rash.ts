/**
 * What was emitted before and waits to be routed is forgotten: only deliveries are put in order.
 */
import { Tables } from "../../../src/StorageMemoryTables.ts"
import { type Mutant, none } from "../Mutant.ts"

class Rash extends Tables {
  override places(id: Parameters<Tables["places"]>[0]) {
    const place = super.places(id)
    return (work: Parameters<typeof place>[0]) => place(work) === "early" ? "free" : place(work)
  }
}

export const rash: Mutant = {
  ...none,
  name: "sends what comes after a message that is not routed yet",
  seed: 48,
  breaks: "ordered",
  tables: () => new Rash()
}
