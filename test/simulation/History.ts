/**
 * The history of one run: what happened, in order, with its virtual time. Checkers judge it, a trace prints it, and its hash
 * tells whether two runs were the same.
 */
import { createHash } from "node:crypto"
import type { DeliveryId, MessageId, SubscriptionId } from "../../src/Id.ts"
import type { Claimed, NewDelivery, Outcome } from "../../src/Storage.ts"
import type { Subscription } from "../../src/Subscription.ts"
import type { Machine } from "./Machine.ts"

/** What a client of the backend was told of its emit. */
export type Told = "stored" | "unknown" | "refused" | "rolled back"

/** A claim as the database made it. */
export interface Claim {
  readonly runner: string
  readonly group: string
  readonly epoch: number
  readonly claimed: Pick<Claimed, "deliveryId" | "messageId" | "subscriptionId" | "claims" | "attemptCount">
  /** The version of the subscription that it was made under. */
  readonly version: number
}

export type Event =
  // -- runners
  | { readonly _tag: "Runner"; readonly runner: string; readonly what: "started" | "up" | "killed" }
  | { readonly _tag: "Runner"; readonly runner: string; readonly what: "frozen" | "thawed" }
  | { readonly _tag: "Runner"; readonly runner: string; readonly what: "stopping" | "stopped" }
  | { readonly _tag: "Assigned"; readonly group: string; readonly runners: ReadonlyArray<string> }
  | { readonly _tag: "Leased"; readonly runner: string; readonly untilMs: number }
  | { readonly _tag: "Fault"; readonly what: string }
  | { readonly _tag: "Log"; readonly runner: string; readonly level: string; readonly message: string }
  // -- clients
  | { readonly _tag: "Emitting"; readonly n: number; readonly eventId: string; readonly rollsBack: boolean }
  | {
    readonly _tag: "Emitted"
    readonly n: number
    readonly told: Told
    readonly messageId: MessageId | undefined
  }
  | { readonly _tag: "Changing"; readonly change: number; readonly what: string }
  | {
    readonly _tag: "Changed"
    readonly change: number
    /** What binds from here on; none where the answer was a failure. */
    readonly bound: Bound | undefined
  }
  // -- the database
  | {
    readonly _tag: "TookOver"
    readonly runner: string
    readonly group: string
    readonly epoch: number
    readonly claimableAtMs: number
    readonly doubtfulSeq: number
  }
  /** Read to be routed, or stored by its owner, which need not read it: what comes of it may go ahead of that. */
  | {
    readonly _tag: "Read"
    readonly runner: string
    readonly group: string
    readonly epoch: number
    readonly messageId: MessageId
    readonly seq: number
  }
  | { readonly _tag: "Renewed"; readonly runner: string; readonly leaseEndMs: number }
  | { readonly _tag: "LeaseReturned"; readonly runner: string }
  | { readonly _tag: "GaveBack"; readonly runner: string; readonly group: string; readonly epoch: number }
  | {
    readonly _tag: "Routed"
    readonly runner: string
    readonly group: string
    readonly epoch: number
    readonly messageId: MessageId
    readonly payloadJson: string
    readonly setAside: boolean
    /** Matched before, by the subscriptions as they were at some time since it was read. */
    readonly isBegun: boolean
    readonly deliveries: ReadonlyArray<Pick<NewDelivery, "id" | "subscriptionId">>
  }
  | { readonly _tag: "Claimed"; readonly claim: Claim }
  /** Read again by its owner, after an answer was lost. */
  | { readonly _tag: "TakenUp"; readonly claim: Claim }
  | { readonly _tag: "Released"; readonly runner: string; readonly epoch: number; readonly deliveryId: DeliveryId }
  | { readonly _tag: "Recorded"; readonly runner: string; readonly outcome: Outcome }
  /** Made due by hand, its schedule anew where it had ended. */
  | { readonly _tag: "Retried"; readonly deliveryId: DeliveryId; readonly isAnew: boolean }
  /** The messages of an event are shared out from now on. */
  | { readonly _tag: "Partitioned"; readonly eventId: string; readonly count: number }
  /** Ended by hand. */
  | { readonly _tag: "Skipped"; readonly deliveryId: DeliveryId }
  | { readonly _tag: "Saved"; readonly subscription: Subscription; readonly deleted: boolean }
  // -- attempts
  | {
    readonly _tag: "Begun"
    readonly runner: string
    readonly attempt: number
    /** As the engine says. */
    readonly startedAtMs: number
    readonly deliveryId: DeliveryId
    readonly messageId: MessageId
    readonly subscriptionId: SubscriptionId
    readonly number: number
    /** Which configuration it was made under. */
    readonly revision: number
  }
  | { readonly _tag: "Received"; readonly attempt: number; readonly accepted: boolean }
  | { readonly _tag: "Ended"; readonly runner: string; readonly attempt: number; readonly how: string }
  /** By the handler of a broadcast. */
  | { readonly _tag: "Heard"; readonly runner: string; readonly eventId: string; readonly messageId: MessageId }

/** What an answered change of a subscription says of attempts from then on: none begins under an older version of it. */
export interface Bound {
  readonly subscriptionId: SubscriptionId
  readonly version: number
}

export type Of<Tag extends Event["_tag"]> = Extract<Event, { readonly _tag: Tag }>

export type Entry = Event & { readonly atMs: number }

export class History {
  readonly entries: Array<Entry> = []
  readonly #machine: Machine
  readonly #listeners = new Set<(entry: Entry) => void>()

  constructor(machine: Machine) {
    this.#machine = machine
  }

  /** Since the simulation began. */
  get nowMs(): number {
    return this.#machine.nowMs - this.#machine.startMs
  }

  add(event: Event): void {
    const entry = { ...event, atMs: this.nowMs }
    this.entries.push(entry)
    for (const listener of this.#listeners) listener(entry)
  }

  /** Tells a listener of each event as it happens. */
  listen(listener: (entry: Entry) => void): void {
    this.#listeners.add(listener)
  }

  hash(): string {
    const hash = createHash("sha256")
    for (const entry of this.entries) hash.update(JSON.stringify(entry))
    return hash.digest("hex").slice(0, 16)
  }
}

/** Makes what writes entries and sentences as lines, with short names instead of ids, in the order of their coming. */
export const writer = (): { readonly entry: (entry: Entry) => string; readonly text: (text: string) => string } => {
  const names = new Map<string, string>()
  const counts = new Map<string, number>()
  const name = (id: string): string => {
    const known = names.get(id)
    if (known !== undefined) return known
    const kind = id.slice(0, 3)
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    names.set(id, `${kind}-${count}`)
    return `${kind}-${count}`
  }
  const text = (text: string) => text.replaceAll(/\b(msg|dlv|sub|run)_[0-9a-f]{32}\b/gu, name)
  return {
    text,
    entry: ({ _tag, atMs, ...rest }) => {
      const fields = Object.entries(rest).map(([key, value]) =>
        `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`
      )
      return `${(atMs / 1000).toFixed(3).padStart(9)}  ${_tag.padEnd(13)} ${text(fields.join(" "))}`
    }
  }
}
