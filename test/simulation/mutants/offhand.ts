/**
 * What is stored is handed over without the version of the subscriptions: it goes to those that were known before.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const offhand: Mutant = {
  ...none,
  name: "hands messages over to the subscriptions that it knows of",
  breaks: "routing",
  storage: (storage) => ({
    ...storage,
    append: (messages, runnerId) =>
      Effect.map(storage.append(messages, runnerId), (placed) => placed.map((one) => ({ ...one, version: 0 })))
  })
}
