/**
 * A mutant: the code under test with one thing broken on purpose, to see that the simulation notices. Mutants change the
 * seams around the production code, never the code itself.
 */
import type { Bindings } from "../../src/Bindings.ts"
import type { Limits } from "../../src/Limits.ts"
import { Tables } from "../../src/StorageMemoryTables.ts"
import type { Verbs } from "./Database.ts"

export interface Mutant {
  /** What it does, as one says of somebody. */
  readonly name: string
  /** The promise that it breaks. */
  readonly breaks: string
  /** Where to begin to look for a history in which it does: most don't have what that takes. */
  readonly seed: number
  /** What the database is made of. */
  readonly tables: () => Tables
  /** Breaks the verbs where the database executes them. */
  readonly storage: (storage: Verbs) => Verbs
  /** Breaks them where a runner calls them. */
  readonly wire: (storage: Verbs, limits: Limits) => Verbs
  readonly bindings: (bindings: Bindings["Service"]) => Bindings["Service"]
  readonly limits: (limits: Limits) => Limits
}

/** Nothing is broken. */
export const none: Mutant = {
  name: "does nothing",
  breaks: "",
  seed: 1,
  tables: () => new Tables(),
  storage: (storage) => storage,
  wire: (storage) => storage,
  bindings: (bindings) => bindings,
  limits: (limits) => limits
}
