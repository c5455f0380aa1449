/**
 * Guarantees 9 and 10: once nothing goes wrong any more, all comes to rest in bounded time. Nothing due is forgotten.
 */
import type { Checker } from "./index.ts"

export const quiet: Checker = function*({ deliveries, isQuiet, messages }) {
  if (isQuiet) return
  const unrouted = messages.filter((message) => message.state._tag === "Unrouted").map((message) => message.id)
  const unfinished = deliveries.flatMap(({ delivery: { id, reason, status } }) =>
    status === "pending" || status === "retrying" ? [`${id} (${reason ?? status})`] : []
  )
  yield `it did not come to rest: unrouted are ${unrouted.join(", ") || "none"}, unfinished ${
    unfinished.join(", ") || "none"
  }`
}
