/**
 * Fail-over, measured: which groups of events and their partitions a process owns, by what it delivered last under the epoch
 * that is in force; and how long after its end messages of those groups are delivered by another.
 */
import { Clock, Effect, Schedule } from "effect"
import type * as Database from "./Database.ts"
import type * as Dice from "./Dice.ts"
import type * as Emitters from "./Emitters.ts"
import { partitionOf } from "./Events.ts"
import type * as Receivers from "./Receivers.ts"
import type * as Runner from "./Runner.ts"

export interface Options {
  readonly database: Database.Database
  readonly emitters: Emitters.Emitters
  readonly receivers: Receivers.Receivers
  readonly dice: Dice.Dice
}

/** Groups probed after one kill. */
const probes = 6

/** A delivery from further back tells nothing about who owns its group now. */
const recentMs = 4000

/** A group, and an ordering key whose messages are put in it. */
export interface KeyedGroup {
  readonly eventId: string
  readonly workerGroup: string
  readonly key: string
}

export const make = ({ database, dice, emitters, receivers }: Options) => {
  const { requests } = receivers

  /** The groups that each process owns and that messages are put in. */
  const owned = Effect.gen(function*() {
    const since = (yield* Clock.currentTimeMillis) - recentMs
    const recent: Array<Receivers.Request> = []
    for (let n = requests.length - 1; n >= 0; n--) {
      const request = requests[n]
      if (request === undefined || request.atMs < since) break
      // The newest may not be recorded yet.
      if (request.full && request.deliveryId !== "") recent.push(request)
    }
    const recorded = yield* database.current(recent.map(({ deliveryId }) => deliveryId))
    const groups = new Map(recorded.map(({ delivery, workerGroup }) => [delivery, workerGroup]))
    const counts = new Map((yield* database.partitions).map(({ count, eventId }) => [eventId, count]))
    const last = new Map<string, KeyedGroup & { readonly process: string }>()
    for (const { deliveryId, eventId, process } of recent) {
      const workerGroup = groups.get(deliveryId) ?? ""
      if (last.has(workerGroup)) continue
      const count = counts.get(eventId) ?? 1
      const key = keyOf({ eventId, workerGroup }, count)
      if (key !== undefined) last.set(workerGroup, { eventId, workerGroup, key, process })
    }
    return Map.groupBy(last.values(), ({ process }) => process)
  }).pipe(Effect.timeout("2 seconds"))

  /** Emits to each group, and tells how long after `sinceMs` the last of the messages came from another process. */
  const measure = Effect.fnUntraced(function*(
    name: string,
    groups: ReadonlyArray<KeyedGroup>,
    target: Runner.Runner,
    process: string,
    sinceMs: number
  ) {
    const probe = Effect.fnUntraced(function*({ eventId, key: orderingKey, workerGroup }: KeyedGroup) {
      const from = requests.length
      const { key } = yield* emitters.emit(`${orderingKey}-${name}-${workerGroup}`, eventId, dice, target)
      const found = Effect.suspend(() => {
        // A request may have come in part before its sender's end, and its key is known later, or never.
        for (let n = from; n < requests.length; n++) {
          const request = requests[n]
          if (request?.receiver === "well" && request.key === key && request.process !== process) {
            return Effect.succeed(request.atMs)
          }
        }
        return Effect.fail("not yet")
      })
      return yield* found.pipe(Effect.retry(Schedule.spaced("10 millis")))
    })
    const times = yield* Effect.forEach(groups.slice(0, probes), probe, { concurrency: "unbounded" })
    return (Math.max(...times) - sinceMs) / 1000
  })

  return { owned, measure }
}

export type Failover = ReturnType<typeof make>

// --- internal ---

/** An ordering key whose messages are put in a group while its event is shared out to so many partitions; none where none are. */
const keyOf = ({ eventId, workerGroup }: Omit<KeyedGroup, "key">, count: number): string | undefined => {
  for (let n = 0; n < 100; n++) {
    if (partitionOf({ eventId, key: `probe${n}` }, count) === workerGroup) return `probe${n}`
  }
  return undefined
}
