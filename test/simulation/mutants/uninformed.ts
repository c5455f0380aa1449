/**
 * What waits is read without the version of the subscriptions: it goes ahead to those that were known before.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const uninformed: Mutant = {
  ...none,
  name: "delivers ahead of the routing to the subscriptions that it knows of",
  breaks: "routing",
  storage: (storage) => ({
    ...storage,
    unrouted: (owners, options) => Effect.map(storage.unrouted(owners, options), (found) => ({ ...found, version: 0 }))
  })
}
