/**
 * The version check is forgotten: a routing is written whatever it was matched against.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const unversioned: Mutant = {
  ...none,
  name: "forgets the version check",
  breaks: "routing",
  storage: (storage) => ({
    ...storage,
    route: (routing) => Effect.flatMap(storage.subscriptions, ({ version }) => storage.route({ ...routing, version }))
  })
}
