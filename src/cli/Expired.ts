/**
 * Expired days of history in words: how long a term is, and what holds a day back.
 */
import type { ExpiredDay, Holder } from "../Storage.ts"

/**
 * A count of days, as in `1 day` or `7.5 days`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const days = (count: number): string => `${Number(count.toFixed(2))} day${count === 1 ? "" : "s"}`

/**
 * What a day is held by, as in `1 unfinished delivery`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const holders = (heldBy: ExpiredDay["heldBy"]): string =>
  heldBy.map(({ count, holder }) => `${count} ${words[holder][count === 1 ? 0 : 1]}`).join(", ")

// --- internal ---

const words: Readonly<Record<Holder, readonly [one: string, more: string]>> = {
  unfinished: ["unfinished delivery", "unfinished deliveries"],
  unrouted: ["message that is not routed yet", "messages that are not routed yet"],
  "set-aside": ["message that was set aside", "messages that were set aside"],
  broadcast: ["message that was broadcast within the hour", "messages that were broadcast within the hour"]
}
