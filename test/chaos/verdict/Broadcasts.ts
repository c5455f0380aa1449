/**
 * Broadcasts: every process hears what is routed from when it is ready until it ends, each message once at most, in the order
 * of routing, which is the same for all.
 */
import { timeOf } from "../../../src/Id.ts"
import { hotEvent } from "../Events.ts"
import type { Hearing } from "../Receivers.ts"
import { clockTolerance, type Evidence, type Finding, type Life } from "./Evidence.ts"

export const ofBroadcasts = (evidence: Evidence): ReadonlyArray<Finding> => {
  const { broadcasts, hearings, lives, messages } = evidence
  const positions = new Map(broadcasts.map(({ messageId, position }) => [messageId, position]))
  const byProcess = Map.groupBy(hearings, ({ process }) => process)
  const sorted = broadcasts.toSorted((a, b) => a.position - b.position)
  return [
    {
      what: "routed, but not broadcast",
      of: messages.flatMap(({ eventId, id, state }) =>
        eventId === hotEvent && state === "routed" && !positions.has(id) ? id : []
      )
    },
    {
      what: "broadcast with a gap before it, or at the place of another",
      of: sorted.flatMap(({ messageId, position }, n) =>
        n > 0 && position !== (sorted[n - 1]?.position ?? 0) + 1 ? messageId : []
      )
    },
    {
      what: "heard, but never broadcast",
      of: hearings.flatMap(({ messageId }) => positions.has(messageId) ? [] : messageId)
    },
    { what: "heard again by the same process", of: [...byProcess].flatMap(([process, own]) => again(process, own)) },
    {
      what: "heard before what was routed earlier",
      of: [...byProcess].flatMap(([process, own]) => disordered(process, own, positions))
    },
    { what: "not heard by a process that was up", of: lives.flatMap((life) => missed(life, evidence)) }
  ]
}

// --- internal ---

const again = (process: string, own: ReadonlyArray<Hearing>): ReadonlyArray<string> =>
  [...Map.groupBy(own, ({ messageId }) => messageId)].flatMap(([messageId, times]) =>
    times.length > 1 ? [`${messageId} by ${process}`] : []
  )

/** The place that a message was routed to is the same for all: who keeps to it hears nothing in another order than others. */
const disordered = (
  process: string,
  own: ReadonlyArray<Hearing>,
  positions: ReadonlyMap<string, number>
): ReadonlyArray<string> =>
  own.flatMap(({ messageId }, n) => {
    const before = positions.get(own[n - 1]?.messageId ?? "")
    const position = positions.get(messageId)
    return before !== undefined && position !== undefined && position < before ? [`${messageId} by ${process}`] : []
  })

/** In milliseconds: how far a process may be behind another when it ends, if nothing has held it up. */
const behindMs = 10_000

/**
 * What a process had to hear and did not. It follows from before it is ready: so from the first message that was emitted
 * afterwards on, in the order of routing, it hears all. Outages, cuts and freezes only delay: who lives to the end hears to
 * the end. One that ended earlier may miss what came last, but nothing before what it heard, and not what another had heard
 * long before, with nothing since that held it up.
 */
const missed = ({ endsAtMs, process, readyAtMs }: Life, evidence: Evidence): ReadonlyArray<string> => {
  const { broadcasts, hearings, hindrances } = evidence
  const mine = new Set(hearings.flatMap((one) => one.process === process ? one.messageId : []))
  const sorted = broadcasts.toSorted((a, b) => a.position - b.position)
  // An id tells when it was made, by the database's clock.
  const from = sorted.findIndex(({ messageId }) => timeOf(messageId) > readyAtMs + clockTolerance)
  const owed = from < 0 ? [] : sorted.slice(from)
  const last = owed.findLastIndex(({ messageId }) => mine.has(messageId))
  const others = new Map<string, number>()
  for (const { atMs, messageId } of hearings) if (!others.has(messageId)) others.set(messageId, atMs)
  const heldUpMs = Math.max(
    0,
    ...hindrances.flatMap((one) =>
      (one.process === undefined || one.process === process) && one.fromMs < (endsAtMs ?? 0)
        ? [one.untilMs ?? Infinity]
        : []
    )
  )
  return owed.flatMap(({ messageId }, n) => {
    const heardAtMs = others.get(messageId)
    const isDue = endsAtMs === undefined || n < last ||
      (heardAtMs !== undefined && Math.max(heardAtMs, heldUpMs) + behindMs < endsAtMs)
    return isDue && !mine.has(messageId) ? [`${messageId} by ${process}`] : []
  })
}
