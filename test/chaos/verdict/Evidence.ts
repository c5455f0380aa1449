/**
 * What a run leaves behind to be judged, as data; and what a judgement is.
 */
import type { RateLimit } from "../../../src/RateLimit.ts"
import type { Hearing, Request } from "../Receivers.ts"

export interface Emission {
  readonly key: string
  readonly eventId: string
  readonly once: boolean
  readonly receipts: ReadonlyArray<string>
  readonly refusals: ReadonlyArray<string>
}

export interface Subscription {
  readonly id: string
  readonly receiver: string
  readonly events: ReadonlyArray<string>
  readonly ordered?: boolean
  readonly maxConcurrency?: number
  readonly rateLimit?: RateLimit
  /** Its receiver is dead at times, and its circuit is watched. */
  readonly dies?: boolean
}

export interface Message {
  readonly id: string
  readonly eventId: string
  readonly key: string
  readonly state: "routed" | "set-aside" | "unrouted" | "nowhere"
}

export interface Delivery {
  readonly id: string
  readonly messageId: string
  readonly subscriptionId: string
  readonly status: "unfinished" | "success" | "failed" | "cancelled"
  readonly reason: string | null
  readonly attempts: number
  /** Claims since the last attempt that have no outcome. */
  readonly claims: number
}

export interface Attempt {
  readonly deliveryId: string
  readonly number: number
  readonly startedAtMs: number
  readonly durationMs: number
  readonly outcome: "success" | "retryable" | "permanent" | "gone" | "timeout" | "interrupted"
  readonly statusCode: number | null
  readonly epoch: number
  readonly claims: number
}

/** An epoch that a group was seen to have. */
export interface Owned {
  readonly workerGroup: string
  readonly epoch: number
  readonly seenAtMs: number
}

/** A delivery that was seen waiting or under way. */
export interface Waiting {
  readonly id: string
  readonly attempts: number
  readonly claimed: boolean
}

/** The circuit of a subscription whose receiver dies, as the database had it at a time, and what was left of its deliveries. */
export interface Sight {
  readonly subscriptionId: string
  readonly atMs: number
  readonly opens: number
  /** Null while it is closed, and in the past while it is half-open. */
  readonly openUntilMs: number | null
  readonly work: ReadonlyArray<Waiting>
}

/** A message as it stands among those that every process may hear. */
export interface Broadcast {
  readonly messageId: string
  readonly position: number
}

/** A process of a runner, from when it was seen to be ready until it was told to end, or was seen to have ended. */
export interface Life {
  readonly process: string
  readonly readyAtMs: number
  readonly endsAtMs: number | undefined
}

/** What held up a process, or all of them. */
export interface Hindrance {
  readonly process: string | undefined
  readonly fromMs: number
  readonly untilMs: number | undefined
}

export interface Evidence {
  readonly emissions: ReadonlyArray<Emission>
  readonly subscriptions: ReadonlyArray<Subscription>
  readonly messages: ReadonlyArray<Message>
  readonly deliveries: ReadonlyArray<Delivery>
  readonly attempts: ReadonlyArray<Attempt>
  readonly requests: ReadonlyArray<Request>
  readonly owned: ReadonlyArray<Owned>
  readonly sights: ReadonlyArray<Sight>
  /** The subscriptions whose circuits were not closed in the end. */
  readonly unclosed: ReadonlyArray<string>
  readonly broadcasts: ReadonlyArray<Broadcast>
  readonly hearings: ReadonlyArray<Hearing>
  readonly lives: ReadonlyArray<Life>
  readonly hindrances: ReadonlyArray<Hindrance>
}

/** Something that must not be, and what it is true of. */
export interface Finding {
  readonly what: string
  readonly of: ReadonlyArray<string>
}

/** In milliseconds: the runners know the database's clock only so well. */
export const clockTolerance = 150

export const wants = ({ events }: Subscription, eventId: string): boolean =>
  events.some((event) => event.endsWith(".*") ? eventId.startsWith(event.slice(0, -1)) : event === eventId)
