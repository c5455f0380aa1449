/**
 * The ledger: a history put in order by delivery, owner and subscription, so that checkers can ask what was known when.
 * Places in it are indexes into the history.
 */
import type { DeliveryId, MessageId, SubscriptionId } from "../../src/Id.ts"
import type { Subscription } from "../../src/Subscription.ts"
import type { Claim, Entry, Of } from "./History.ts"

type Placed<Tag extends Entry["_tag"]> = Of<Tag> & { readonly atMs: number; readonly at: number }

export interface Attempt extends Placed<"Begun"> {
  /** The versions of the subscription that it may have been claimed under: of the claim, and of readings of it since. */
  readonly versions: ReadonlyArray<number>
  /**
   * The last claim of its delivery by its runner; of one that went ahead of its routing, the reading of its message, unless an owner
   * before may have had it.
   */
  readonly claim: (Claim & { readonly at: number; readonly atMs: number }) | undefined
  received: Placed<"Received"> | undefined
  ended: Placed<"Ended"> | undefined
  recorded: Placed<"Recorded"> | undefined
}

/** All that concerns one delivery. */
export interface Account {
  readonly id: DeliveryId
  readonly claims: Array<Claim & { readonly at: number; readonly atMs: number }>
  readonly readings: Array<Claim & { readonly at: number }>
  readonly attempts: Array<Attempt>
  readonly records: Array<Placed<"Recorded">>
  readonly releases: Array<Placed<"Released">>
  /** Where it was retried by hand, and where its schedule began anew with that. */
  readonly retries: Array<number>
  readonly renewals: Array<number>
}

export class Ledger {
  readonly entries: ReadonlyArray<Entry>
  readonly accounts = new Map<DeliveryId, Account>()
  readonly attempts: Array<Attempt> = []
  readonly routed = new Map<MessageId, Array<Placed<"Routed">>>()
  readonly reads = new Map<MessageId, Array<Placed<"Read">>>()
  readonly takeOvers: Array<Placed<"TookOver">> = []
  readonly saved: Array<Placed<"Saved">> = []
  readonly skipped = new Set<DeliveryId>()

  constructor(entries: ReadonlyArray<Entry>) {
    this.entries = entries
    const byNumber = new Map<number, Attempt>()
    for (const [at, entry] of entries.entries()) {
      switch (entry._tag) {
        case "Claimed":
          this.account(entry.claim.claimed.deliveryId).claims.push({ ...entry.claim, at, atMs: entry.atMs })
          break
        case "TakenUp":
          this.account(entry.claim.claimed.deliveryId).readings.push({ ...entry.claim, at })
          break
        case "Begun": {
          const account = this.account(entry.deliveryId)
          const ahead = this.#ahead(entry, at)
          const claim = account.claims.findLast((claim) => claim.runner === entry.runner) ?? ahead[0]
          const readings = account.readings.filter((reading) => claim && reading.at > claim.at)
          const versions = [...claim ? [claim] : [], ...readings, ...ahead].map((one) => one.version)
          const attempt = { ...entry, at, claim, versions, received: undefined, ended: undefined, recorded: undefined }
          account.attempts.push(attempt)
          this.attempts.push(attempt)
          byNumber.set(entry.attempt, attempt)
          break
        }
        case "Received": {
          const attempt = byNumber.get(entry.attempt)
          if (attempt) attempt.received = { ...entry, at }
          break
        }
        case "Ended": {
          const attempt = byNumber.get(entry.attempt)
          if (attempt) attempt.ended ??= { ...entry, at }
          break
        }
        case "Recorded": {
          const account = this.account(entry.outcome.deliveryId)
          const recorded = { ...entry, at }
          account.records.push(recorded)
          const attempt = account.attempts.findLast((attempt) =>
            attempt.runner === entry.runner && attempt.number === entry.outcome.attempt.number
          )
          if (attempt) attempt.recorded ??= recorded
          break
        }
        case "Released":
          this.account(entry.deliveryId).releases.push({ ...entry, at })
          break
        case "Retried":
          this.account(entry.deliveryId).retries.push(at)
          if (entry.isAnew) this.account(entry.deliveryId).renewals.push(at)
          break
        case "Skipped":
          this.skipped.add(entry.deliveryId)
          break
        case "Routed":
          this.routed.set(entry.messageId, [...this.routed.get(entry.messageId) ?? [], { ...entry, at }])
          break
        case "Read":
          this.reads.set(entry.messageId, [...this.reads.get(entry.messageId) ?? [], { ...entry, at }])
          break
        case "TookOver":
          this.takeOvers.push({ ...entry, at })
          break
        case "Saved":
          this.saved.push({ ...entry, at })
      }
    }
  }

  /**
   * What an attempt may have gone ahead of its routing by: the last reading of its message by its runner, with the subscription as
   * it was then, and as it was changed to since. None where an owner before may have had the message and gave nothing back.
   */
  #ahead({ deliveryId, messageId, runner, subscriptionId }: Of<"Begun">, at: number): ReadonlyArray<
    NonNullable<Attempt["claim"]>
  > {
    const read = this.reads.get(messageId)?.findLast((one) => one.runner === runner)
    if (!read) return []
    const { epoch, group, seq } = read
    const taken = this.takeOvers.findLast((one) => one.group === group && one.epoch === epoch)
    if (!taken || seq <= taken.doubtfulSeq) return []
    const versions = this.saved.filter(({ subscription }) => subscription.id === subscriptionId)
    const before = versions.findLast((one) => one.at < read.at)
    const since = versions.filter((one) => one.at > read.at && one.at < at)
    return [...before ? [before] : [], ...since].map(({ subscription: { version } }) => ({
      runner,
      group,
      epoch,
      claimed: { deliveryId, messageId, subscriptionId, claims: 0, attemptCount: 0 },
      version,
      at: read.at,
      atMs: read.atMs
    }))
  }

  account(id: DeliveryId): Account {
    const known = this.accounts.get(id)
    if (known) return known
    const account: Account = {
      id,
      claims: [],
      readings: [],
      attempts: [],
      records: [],
      releases: [],
      retries: [],
      renewals: []
    }
    this.accounts.set(id, account)
    return account
  }

  /** The epoch in force in a group at a place. */
  epochAt(group: string, at: number): number {
    return this.takeOvers.findLast((one) => one.group === group && one.at < at)?.epoch ?? 0
  }

  /** The subscriptions as they were at a place. */
  subscriptionsAt(at: number): ReadonlyMap<SubscriptionId, Subscription> {
    const found = new Map<SubscriptionId, Subscription>()
    for (const { at: savedAt, deleted, subscription } of this.saved) {
      if (savedAt > at) break
      if (deleted) found.delete(subscription.id)
      else found.set(subscription.id, subscription)
    }
    return found
  }

  /** The subscriptions of which something was the same in all their versions, with what it was. */
  constant<A>(of: (subscription: Subscription) => A | undefined): ReadonlyMap<SubscriptionId, A> {
    const found = new Map<SubscriptionId, A>()
    const changed = new Set<SubscriptionId>()
    for (const { subscription } of this.saved) {
      const { id } = subscription
      const value = of(subscription)
      if (value === undefined || (found.has(id) && JSON.stringify(found.get(id)) !== JSON.stringify(value))) {
        changed.add(id)
      } else found.set(id, value)
    }
    for (const id of changed) found.delete(id)
    return found
  }

  /** A subscription in one of its versions. */
  version(id: SubscriptionId, version: number): Subscription | undefined {
    return this.saved.find(({ subscription }) => subscription.id === id && subscription.version === version)
      ?.subscription
  }
}
