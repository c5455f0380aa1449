/**
 * Order: an ordered subscription gets the messages of a key one after the other.
 */
import { orderOf } from "../Events.ts"
import { isAccepted } from "../Receivers.ts"
import type { Evidence, Finding } from "./Evidence.ts"

/** An ordered subscription gets what one emitter emitted one after the other, each when the one before was accepted. */
export const ofOrder = ({ emissions, requests, subscriptions }: Evidence): ReadonlyArray<Finding> => {
  const early: Array<string> = []
  for (const { events, receiver } of subscriptions.filter(({ ordered }) => ordered === true)) {
    const first = new Map<string, number>()
    const accepted = new Map<string, number>()
    for (const [at, request] of requests.filter((request) => request.receiver === receiver).entries()) {
      const { messageId } = request
      if (!first.has(messageId)) first.set(messageId, at)
      if (isAccepted(request) && !accepted.has(messageId)) accepted.set(messageId, at)
    }
    // Of others nobody knows when they were stored.
    const wanted = emissions.filter(({ eventId, key, once }) => !once && oneByOne.test(key) && events.includes(eventId))
    for (const all of Map.groupBy(wanted, ({ key }) => orderOf(key)).values()) {
      let before = { key: "", at: -1 }
      for (const { key, receipts: [id = ""] } of all) {
        const at = first.get(id)
        if (at !== undefined && at < before.at) early.push(`${key} before ${before.key}`)
        const done = accepted.get(id)
        if (done !== undefined && done > before.at) before = { key, at: done }
      }
    }
  }
  return [{ what: "sent before what was emitted earlier", of: early }]
}

// --- internal ---

/** Keys of emitters that emit each message when they have the receipt of the one before. */
const oneByOne = /^[a-z]\d?-\d+$/u
