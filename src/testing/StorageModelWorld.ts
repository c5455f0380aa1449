/**
 * The world that two storages are compared in: two worker groups, what was put into them so far, and verbs that are given
 * to both sides and must be answered alike. What a verb is applied to is chosen by what the memory storage holds.
 */
import { Clock, Effect, Option } from "effect"
import * as Id from "../Id.ts"
import { type Message, workerGroup } from "../Message.ts"
import type { Claimed, Owner } from "../Storage.ts"
import type { Subscription } from "../Subscription.ts"
import { difference, type Names, type Seam, Side } from "./StorageModelSide.ts"
import { hourMs } from "./StorageSuiteWorld.ts"

const groups = [0, 1]
const everything = { cursor: undefined, limit: 1000, bytes: 1e9 }

/**
 * A world.
 *
 * @category models
 * @since 0.1.0
 */
export class World {
  /** What is done at the moment, for whoever reads a failure. */
  doing = "the beginning"
  readonly tenantId: string
  readonly messages: Array<Message> = []
  readonly deliveries: Array<Id.DeliveryId> = []
  readonly subscriptions: Array<Id.SubscriptionId> = []
  readonly reference: Side
  readonly backend: Side
  readonly #eventIds: ReadonlyArray<string>
  readonly #runners: ReadonlyArray<Id.RunnerId>
  readonly #names: Names
  readonly #clock: Clock.Clock
  #ticks = 0

  constructor(options: {
    readonly reference: Seam
    readonly backend: Seam
    readonly clock: Clock.Clock
    readonly name: string
    readonly runners: ReadonlyArray<Id.RunnerId>
  }) {
    const { backend, clock, name, reference, runners } = options
    const nowMs = clock.currentTimeMillisUnsafe()
    this.tenantId = `t${name}`
    this.#eventIds = groups.map((n) => `suite.e${name}-${n}`)
    this.#runners = runners
    this.#names = { nowMs, times: new Map(), ids: new Map() }
    this.reference = new Side(reference, groups.length, this.#names)
    this.backend = new Side(backend, groups.length, this.#names)
    for (const n of groups) {
      this.#names.ids.set(this.eventId(n), `event ${n}`).set(this.group(n).workerGroup, `group ${n}`)
    }
    this.#clock = reading(clock, () => this.#nowMs)
  }

  /**
   * Has both sides do one thing, and fails unless they answer alike. A millisecond passes each time, so that what a verb
   * makes due is due after what an earlier one did, also for a storage that counts no finer.
   */
  both(verb: (side: Side) => Effect.Effect<unknown, { readonly _tag: string }>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      this.#ticks++
      const differ = difference(yield* this.reference.answer(verb), yield* this.backend.answer(verb), "the answer")
      if (differ !== undefined) return yield* Effect.die(new Error(`${this.doing}: ${differ}`))
    }).pipe(Effect.provideService(Clock.Clock, this.#clock))
  }

  // -- what there is

  runner(n: number): Id.RunnerId {
    return at(this.#runners, n)
  }

  eventId(group: number): string {
    return at(this.#eventIds, group)
  }

  group(n: number): { readonly workerGroup: string; readonly partition: number } {
    return { workerGroup: workerGroup(this.eventId(n)), partition: 0 }
  }

  groupOf(name: string): number {
    return groups.findIndex((n) => this.group(n).workerGroup === name)
  }

  /** The owners of all groups. */
  owners(side: Side, former = false): ReadonlyArray<Owner> {
    return groups.map((n) => side.owner(n, former))
  }

  /** What the present owners have claimed. */
  get held(): Effect.Effect<ReadonlyArray<Claimed>> {
    return Effect.orDie(Effect.map(
      this.reference.storage.held(this.owners(this.reference)),
      sortBy("deliveryId")
    ))
  }

  /** What may be claimed or not, by whomever. */
  get unfinished(): Effect.Effect<ReadonlyArray<Pick<Claimed, "deliveryId" | "workerGroup" | "attemptCount">>> {
    return Effect.orDie(Effect.map(
      this.reference.storage.listDeliveries({}, everything),
      (deliveries) =>
        deliveries.filter((delivery) => delivery.completedAtMs === undefined).map((delivery) => ({
          deliveryId: delivery.id,
          workerGroup: workerGroup(delivery.eventId),
          attemptCount: delivery.attemptCount
        }))
    ))
  }

  /** Messages before the router. */
  get waiting(): Effect.Effect<ReadonlyArray<Message>> {
    return Effect.orDie(Effect.map(
      this.reference.storage.unrouted(this.owners(this.reference), { messages: 100, bytes: 1e6 }),
      ({ messages }) => messages
    ))
  }

  /** Messages that were set aside. */
  get aside(): Effect.Effect<ReadonlyArray<Message>> {
    return Effect.orDie(Effect.map(
      this.reference.storage.listMessages({}, everything),
      ({ items }) => items.filter(({ state }) => state._tag === "SetAside")
    ))
  }

  /** Deliveries that failed. */
  get failed(): Effect.Effect<ReadonlyArray<Id.DeliveryId>> {
    return Effect.orDie(Effect.map(
      this.reference.storage.listDeliveries({ status: "failed" }, everything),
      (deliveries) => deliveries.map(({ id }) => id)
    ))
  }

  // -- what is made

  /** A time that is long past or far off, each a millisecond after the one before. */
  due(when: "past" | "to come"): number {
    const ms = this.#names.nowMs + (when === "past" ? -1 : 1) * 24 * 30 * hourMs + this.#names.times.size
    this.#names.times.set(ms, `${when}, ${this.#names.times.size}`)
    return ms
  }

  get #nowMs(): number {
    return this.#names.nowMs + this.#ticks
  }

  get deliveryId(): Effect.Effect<Id.DeliveryId> {
    return this.#id("delivery", Id.deliveryId)
  }

  message(group: number): Effect.Effect<Message> {
    const size = this.messages.length % 3
    return Effect.map(this.#id("message", Id.messageId), (id) => ({
      id,
      eventId: this.eventId(group),
      tenantId: this.tenantId,
      orderingKey: size === 0 ? undefined : `k${size}`,
      payloadJson: JSON.stringify("ä".repeat(10 * size))
    }))
  }

  subscription(enabled: boolean): Effect.Effect<Omit<Subscription, "version">> {
    return Effect.map(this.#id("subscription", Id.subscriptionId), (id) => ({
      id,
      tenantId: this.tenantId,
      name: "a",
      description: undefined,
      events: ["suite.*"],
      providerId: "suite.provider",
      config: { url: "https://example.com/", nested: [1, null] },
      connectionId: undefined,
      signingSecrets: [{ sealed: "s", createdAtMs: this.#names.nowMs }],
      retry: undefined,
      filter: undefined,
      ordered: false,
      maxConcurrency: undefined,
      rateLimit: undefined,
      enabled,
      disabledReason: undefined,
      disabledAtMs: enabled ? undefined : this.#names.nowMs,
      createdAtMs: this.#names.nowMs,
      updatedAtMs: this.#names.nowMs
    }))
  }

  /** An id of a millisecond of its own, so that a sequence that is replayed picks the same. */
  #id<A extends string>(of: string, make: (timeMs: number) => Effect.Effect<A>): Effect.Effect<A> {
    const { ids, nowMs } = this.#names
    return Effect.tap(
      Effect.suspend(() => make(nowMs + ids.size)),
      (id) => Effect.sync(() => ids.set(id, `${of} ${ids.size}`))
    )
  }

  // -- comparing all there is

  /** Each delivery, and what is claimed. */
  get progress(): Effect.Effect<void> {
    return this.both((side) =>
      Effect.all({
        deliveries: side.storage.listDeliveries({ tenantId: this.tenantId }, everything),
        held: Effect.map(side.storage.held(this.owners(side)), sortBy("deliveryId"))
      })
    )
  }

  /** All that can be read. */
  get all(): Effect.Effect<void> {
    const { tenantId } = this
    return this.both((side) =>
      Effect.all({
        held: Effect.map(side.storage.held(this.owners(side)), sortBy("deliveryId")),
        unrouted: side.storage.unrouted(this.owners(side), { messages: 100, bytes: 1e6 }),
        messages: side.storage.listMessages({ tenantId }, everything),
        deliveries: side.storage.listDeliveries({ tenantId }, everything),
        attempts: Effect.forEach(this.deliveries, (id) =>
          Effect.map(side.storage.getDelivery(id), Option.getOrUndefined)),
        subscriptions: side.storage.listSubscriptions({ tenantId }, everything),
        counts: Effect.map(
          side.storage.count({ tenantId }, {
            fromMs: (Math.floor(this.#names.nowMs / hourMs) - 1) * hourMs,
            fine: false,
            top: 10,
            counted: 1000
          }),
          // The times are each side's own.
          ({ byEvent, byProvider, bySubscription, totals, unfinished }) => ({
            totals,
            byEvent,
            byProvider,
            bySubscription,
            unfinished
          })
        )
      })
    )
  }
}

/**
 * Picks an item, the last one for 0.
 *
 * @category conversions
 * @since 0.1.0
 */
export const picked = <A>(items: ReadonlyArray<A>, n: number): ReadonlyArray<A> =>
  items.length === 0 ? [] : items.slice(-1 - (n % items.length)).slice(0, 1)

/**
 * Sorts what a storage may answer in any order.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sortBy = <K extends string>(...keys: ReadonlyArray<K>) => {
  const key = (item: { readonly [P in K]: string | number }) => keys.map((name) => String(item[name])).join(" ")
  return <A extends { readonly [P in K]: string | number }>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
    [...items].sort((a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)
}

// --- internal ---

const at = <A>(items: ReadonlyArray<A>, n: number): A => {
  const item = items[n]
  if (item === undefined) throw new Error(`there are ${items.length} of them, and no number ${n}`)
  return item
}

/** A clock that reads a time of the model's. */
const reading = (clock: Clock.Clock, nowMs: () => number): Clock.Clock => {
  const nowNanos = () => BigInt(nowMs()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: nowMs,
    currentTimeMillis: Effect.sync(nowMs),
    currentTimeNanosUnsafe: nowNanos,
    currentTimeNanos: Effect.sync(nowNanos),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
}
