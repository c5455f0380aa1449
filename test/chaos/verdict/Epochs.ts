/**
 * Epochs: a group has one owner at a time.
 */
import { clockTolerance, type Evidence, type Finding } from "./Evidence.ts"
import { isOf, type Story } from "./Story.ts"

/** A group's epochs follow each other: what was done under one was over when the next one began. */
export const ofEpochs = ({ owned }: Evidence, stories: ReadonlyArray<Story>): ReadonlyArray<Finding> => {
  const overlapping: Array<string> = []
  const late: Array<string> = []
  const shared: Array<string> = []
  const names = new Map(owned.map(({ epoch, workerGroup }) => [epoch, workerGroup]))
  const strange = stories.flatMap(({ attempts, delivery, groups }) =>
    attempts.flatMap(({ epoch }) => {
      const name = names.get(epoch)
      return name === undefined || groups.includes(name) ? [] : `${delivery.id} by ${name}`
    })
  )
  const seen = Map.groupBy(owned, ({ workerGroup }) => workerGroup)
  for (const [group, ofEvent] of Map.groupBy(stories, (story) => story.group)) {
    if (group === undefined) continue
    const attempts = ofEvent.flatMap(({ attempts }) => attempts)
    const epochs = [...Map.groupBy(attempts, ({ epoch }) => epoch)].toSorted(([a], [b]) => a - b)
    let endMs = Number.NEGATIVE_INFINITY
    for (const [epoch, made] of epochs) {
      const begins = Math.min(...made.map(({ startedAtMs }) => startedAtMs))
      if (begins + clockTolerance < endMs) overlapping.push(`${group} ${epoch}`)
      endMs = Math.max(endMs, ...made.map(({ durationMs, startedAtMs }) => startedAtMs + durationMs))
    }
    const later = (seen.get(group) ?? []).toSorted((a, b) => a.epoch - b.epoch)
    for (const { deliveryId, epoch, number, startedAtMs } of attempts) {
      const superseded = later.find((owned) => owned.epoch > epoch)
      if (superseded && superseded.seenAtMs + clockTolerance < startedAtMs) late.push(`${deliveryId} ${number}`)
    }
    shared.push(...processesOf(group, ofEvent))
  }
  return [
    { what: "an epoch begins before the one before it has ended", of: overlapping },
    { what: "recorded under an epoch that was superseded before it began", of: late },
    { what: "two processes under one epoch", of: shared },
    { what: "recorded under an epoch of a group that it is not of", of: strange }
  ]
}

// --- internal ---

/** The epochs of a group under which more than one process sent what was recorded. */
const processesOf = (group: string, stories: ReadonlyArray<Story>): ReadonlyArray<string> => {
  const processes = new Map<number, Set<string>>()
  for (const { attempts, requests } of stories) {
    for (const attempt of attempts) {
      const { epoch, statusCode } = attempt
      const own = requests.filter((request) =>
        isOf(request, attempt) && (request.attempt !== undefined || request.status === statusCode)
      )
      const [only] = own
      // Only where there is no doubt which request it was.
      if (only && own.length === 1) processes.set(epoch, (processes.get(epoch) ?? new Set()).add(only.process))
    }
  }
  return [...processes].flatMap(([epoch, names]) => names.size > 1 ? `${group} ${epoch}: ${[...names].join(", ")}` : [])
}
