/**
 * The events of the run, by name: what the runners' plugin defines, handles and shares out, and the emitters emit.
 */
import { MessageId } from "../../src/Id.ts"
import { partitionGroup } from "../../src/Message.ts"
import type { RetryJson } from "../../src/RetrySchedule.ts"

export const pluginId = "chaos"

export const hookIds = Array.from({ length: 16 }, (_, n) => `event${n}`)

export const eventIds = hookIds.map((id) => `${pluginId}.${id}`)

export const allEvents = `${pluginId}.*`

/** The hook of which more is emitted than of the others, in bursts. It is broadcast, too. */
export const hotHook = "event0"
export const hotEvent = `${pluginId}.${hotHook}`

/** The hook that work queues handle, and the queues: each gets every message. */
export const queuedHook = "event2"
export const queuedEvent = `${pluginId}.${queuedHook}`
export const queues = ["index", "audit"] as const

/** To how many dispatcher partitions an event's messages may be shared out. */
export const partitionCounts = [1, 2, 4] as const

export const groupOf = (eventId: string): string => `integration.${eventId}`

/** What messages are ordered by: the emitter that emits one after the other. */
export const orderOf = (key: string): string => key.split("-")[0] ?? key

/** The group that owns what is emitted with a key while an event is shared out to so many partitions. */
export const partitionOf = (
  { eventId, key }: { readonly eventId: string; readonly key: string },
  count: number
): string => partitionGroup({ id: anyId, eventId, tenantId: "default", orderingKey: orderOf(key) }, count)

/** The groups that may own what is emitted with a key, by the numbers of partitions that there may be. */
export const groupsOf = (message: { readonly eventId: string; readonly key: string }): ReadonlyArray<string> =>
  partitionCounts.map((count) => partitionOf(message, count))

/** The headers in which a request says which process sent it, and a handler's which attempt and which hearing it is. */
export const processHeader = "x-process"
export const attemptHeader = "x-attempt"
export const hearingHeader = "x-hearing"

/** The variables that tell a process what it is called, and where its handlers post to. */
export const processVariable = "CHAOS_PROCESS"
export const handlerVariable = (name: string): string => `CHAOS_${name.toUpperCase()}`
export const broadcastName = "broadcast"

/** A schedule that nothing exhausts before the run has ended. */
export const patientRetry: RetryJson = {
  type: "exponential",
  baseMs: 300,
  factor: 1.5,
  capMs: 2000,
  maxAttempts: 100,
  jitter: 0.2
}

// --- internal ---

/** Of what has an ordering key, the id does not matter. */
const anyId = MessageId.make(`msg_${"0".repeat(12)}7${"0".repeat(3)}8${"0".repeat(15)}`)
