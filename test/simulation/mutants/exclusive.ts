/**
 * A hook has one work queue: whoever comes second is taken for the first.
 */
import { Effect, Equal } from "effect"
import { type Mutant, none } from "../Mutant.ts"

export const exclusive: Mutant = {
  ...none,
  name: "lets no second work queue have a hook",
  breaks: "queues",
  storage: (storage) => ({
    ...storage,
    ensureSubscription: (subscription, change) =>
      Effect.flatMap(storage.subscriptions, ({ items }) => {
        const first = items.find(({ events, tenantId }) =>
          tenantId === subscription.tenantId && Equal.equals(events, subscription.events)
        )
        return first ? Effect.succeed(first) : storage.ensureSubscription(subscription, change)
      })
  })
}
