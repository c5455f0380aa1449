/**
 * Fail-over, measured: which groups a process owns, by what it delivered last under the epoch that is in force; and how long
 * after its end messages of those groups are delivered by another.
 */
import { Clock, Effect, Schedule } from "effect"
import type * as Database from "./Database.ts"
import type * as Dice from "./Dice.ts"
import type * as Emitters from "./Emitters.ts"
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

export const make = ({ database, dice, emitters, receivers }: Options) => {
  const { requests } = receivers

  /** The events whose groups each process owns. */
  const owned = Effect.gen(function*() {
    const since = (yield* Clock.currentTimeMillis) - recentMs
    const last = new Map<string, Receivers.Request>()
    for (let n = requests.length - 1; n >= 0; n--) {
      const request = requests[n]
      if (request === undefined || request.atMs < since) break
      // The newest may not be recorded yet.
      if (request.full && !last.has(request.eventId)) last.set(request.eventId, request)
    }
    const current = new Set(
      (yield* database.current([...last.values()].map(({ deliveryId }) => deliveryId))).map(({ delivery }) => delivery)
    )
    return Map.groupBy(
      [...last.values()].filter(({ deliveryId }) => current.has(deliveryId)),
      (request) => request.process
    )
  }).pipe(Effect.timeout("2 seconds"))

  /** Emits to each event, and tells how long after `sinceMs` the last of the messages came from another process. */
  const measure = Effect.fnUntraced(function*(
    name: string,
    eventIds: ReadonlyArray<string>,
    target: Runner.Runner,
    process: string,
    sinceMs: number
  ) {
    const probe = Effect.fnUntraced(function*(eventId: string) {
      const from = requests.length
      const { key } = yield* emitters.emit(`${name}-${eventId}`, eventId, dice, target)
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
    const times = yield* Effect.forEach(eventIds.slice(0, probes), probe, { concurrency: "unbounded" })
    return (Math.max(...times) - sinceMs) / 1000
  })

  return { owned, measure }
}

export type Failover = ReturnType<typeof make>
