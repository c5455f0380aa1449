/**
 * Circuits: while a dead endpoint's circuit is open in the database, nothing of its lane is claimed, and nothing begins that
 * was not claimed before, neither what is tried again nor what is new; in the end it is closed, and nothing was burnt meanwhile.
 */
import { clockTolerance, type Evidence, type Finding, type Sight } from "./Evidence.ts"
import type { Story } from "./Story.ts"

export const ofCircuits = (evidence: Evidence, stories: ReadonlyArray<Story>): ReadonlyArray<Finding> => {
  const { sights, subscriptions, unclosed } = evidence
  const dying = subscriptions.filter(({ dies }) => dies === true)
  const byId = Map.groupBy(stories, ({ delivery }) => delivery.subscriptionId)
  return [
    {
      what: "claimed while its circuit was open",
      of: dying.flatMap(({ id }) =>
        openings(sights, id).flatMap((opening) => [...claimed(opening), ...begun(opening, byId.get(id) ?? [])])
      )
    },
    {
      what: "its circuit is not closed in the end",
      of: dying.flatMap(({ id, receiver }) => unclosed.includes(id) ? receiver : [])
    },
    {
      what: "exhausted, though its endpoint was only dead for a while",
      of: dying.flatMap(({ id }) =>
        (byId.get(id) ?? []).flatMap(({ delivery }) => delivery.reason === "exhausted" ? delivery.id : [])
      )
    }
  ]
}

/** The times for which circuits opened, each by what was seen while it lasted. */
export const openings = (sights: ReadonlyArray<Sight>, subscriptionId: string): ReadonlyArray<ReadonlyArray<Sight>> => [
  ...Map.groupBy(
    sights.filter((sight) =>
      sight.subscriptionId === subscriptionId && sight.openUntilMs !== null && sight.openUntilMs > sight.atMs
    ),
    ({ openUntilMs }) => openUntilMs
  ).values()
]

// --- internal ---

/**
 * In milliseconds, from when it was first seen to be open: a claim or a route that was under way when it was opened could not
 * see that, and is seen to have claimed when it has committed. Those that begin later see it, on any runner: the new that is
 * routed waits too, though a router that did not look might send once or twice more. What had been claimed may begin whenever
 * its runner comes to it: held up, or after it found a claim whose answer was lost.
 */
const graceMs = 1000

const judged = (opening: ReadonlyArray<Sight>): ReadonlyArray<Sight> => {
  const [first] = opening
  return first === undefined ? [] : opening.filter(({ atMs }) => atMs >= first.atMs + graceMs)
}

/** What is seen to be claimed now, and was not when it was open already. */
const claimed = (opening: ReadonlyArray<Sight>): ReadonlyArray<string> => {
  const [first, ...later] = judged(opening)
  let before = new Set(first?.work.flatMap(({ attempts, claimed, id }) => claimed ? `${id} ${attempts}` : []))
  return later.flatMap(({ atMs, work }) => {
    const now = work.flatMap(({ attempts, claimed, id }) => claimed ? `${id} ${attempts}` : [])
    const added = now.filter((name) => !before.has(name))
    before = new Set(now)
    return added.map((name) => `${name} at ${atMs}`)
  })
}

/** What began and ended between two sights of an open circuit, without having been claimed at the first of them. */
const begun = (opening: ReadonlyArray<Sight>, stories: ReadonlyArray<Story>): ReadonlyArray<string> => {
  const [first] = judged(opening)
  const untilMs = opening.at(-1)?.atMs ?? 0
  if (first === undefined) return []
  const work = new Map(first.work.map((one) => [one.id, one]))
  return stories.flatMap(({ attempts, delivery: { id } }) => {
    const then = work.get(id)
    return attempts.flatMap(({ number, startedAtMs }) => {
      // By its runner's clock: where it may have been before the first sight or after the last, nothing is said.
      const isWithin = startedAtMs > first.atMs + clockTolerance && startedAtMs < untilMs - clockTolerance
      const wasClaimed = then?.claimed === true && then.attempts === number - 1
      return isWithin && !wasClaimed ? [`${id} ${number}, begun at ${startedAtMs}`] : []
    })
  })
}
