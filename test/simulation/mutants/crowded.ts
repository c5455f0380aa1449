/**
 * A runner allows itself more attempts at once than the subscription does.
 */
import { Effect } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const crowded: Mutant = {
  ...none,
  name: "has more attempts under way at once than a subscription allows",
  breaks: "limits",
  wire: (storage) => ({
    ...storage,
    subscriptions: Effect.map(storage.subscriptions, ({ items, ...rest }) => ({
      ...rest,
      items: items.map((item) =>
        item.maxConcurrency === undefined ? item : { ...item, maxConcurrency: item.maxConcurrency + 2 }
      )
    }))
  })
}
