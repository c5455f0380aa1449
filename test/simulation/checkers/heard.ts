/**
 * A broadcast is heard by every process in the order of routing, at most once in each: nothing is left out from the first
 * message on, which is none that was routed after the process was up; and whoever is there to the end heard all of it.
 */
import type { MessageId } from "../../../src/Id.ts"
import { broadcasts } from "../Shop.ts"
import type { Run } from "../Simulation.ts"

export const heard = function*({ entries }: Pick<Run, "entries">): Generator<string> {
  const names = new Set(entries.flatMap((entry) => entry._tag === "Runner" ? entry.runner : []))
  for (const hook of broadcasts) {
    const eventId = `shop.${hook.id}`
    const routed: Array<MessageId> = []
    const heard = new Map([...names].map((name) => [name, new Array<MessageId>()]))
    /** How much was routed when they came up, of those that are there. */
    const up = new Map<string, number>()
    const known = new Map<string, number>()
    for (const entry of entries) {
      if (entry._tag === "Routed" && !entry.setAside && isOf(entry.group, eventId)) routed.push(entry.messageId)
      if (entry._tag === "Heard" && entry.eventId === eventId) heard.get(entry.runner)?.push(entry.messageId)
      if (entry._tag !== "Runner") continue
      if (entry.what === "up") {
        up.set(entry.runner, routed.length)
        known.set(entry.runner, routed.length)
      }
      if (entry.what === "killed" || entry.what === "stopping") up.delete(entry.runner)
    }
    for (const [name, messages] of heard) {
      const [first] = messages
      const from = first === undefined ? routed.length : routed.indexOf(first)
      const wrong = messages.findIndex((id, n) => routed[from + n] !== id)
      if (wrong >= 0) yield `${name} heard ${messages[wrong]} where ${routed[from + wrong]} was next`
      if (first !== undefined && from > (known.get(name) ?? routed.length)) {
        yield `${name} heard ${first} first, though ${routed[known.get(name) ?? 0]} was routed when it was up`
      }
      const least = up.get(name)
      if (least === undefined || wrong >= 0) continue
      const to = first === undefined ? least : from + messages.length
      if (to < routed.length) yield `${name} has not heard ${routed.slice(to).join(", ")}`
    }
  }
}

// --- internal ---

/** Whether a worker group is that of an event, or of a share of it. */
const isOf = (group: string, eventId: string): boolean =>
  group === `integration.${eventId}` || group.startsWith(`integration.${eventId}#`)
