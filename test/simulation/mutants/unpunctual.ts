/**
 * The times of a message are forgotten on the way: what is to be delivered later is due at once.
 */
import { type Mutant, none } from "../Mutant.ts"

export const unpunctual: Mutant = {
  ...none,
  name: "delivers at once what is to be delivered later",
  breaks: "times",
  storage: (storage) => ({
    ...storage,
    route: (routing) =>
      storage.route({ ...routing, messages: routing.messages.map(({ dueAtMs: _dueAtMs, ...message }) => message) })
  })
}
