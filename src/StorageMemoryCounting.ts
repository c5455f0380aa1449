/**
 * Counting in memory: the sums by step of time, tenant, event and subscription.
 */
import { Clock, Effect } from "effect"
import type { SubscriptionId } from "./Id.ts"
import { defaults } from "./Limits.ts"
import type { CountFilter, Counting, Counts } from "./Storage.ts"
import { isRetried, type Work } from "./StorageMemoryLane.ts"
import type { Tables } from "./StorageMemoryTables.ts"
import { add, byVolume, isNone, none, type Tally } from "./Tally.ts"

/**
 * A sum.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sum extends Tally {
  readonly atMs: number
  readonly tenantId: string
  readonly eventId: string
  readonly subscriptionId: SubscriptionId
}

/**
 * The sums, in fine steps.
 *
 * @category models
 * @since 0.1.0
 */
export class Sums {
  readonly #sums = new Map<string, Sum>()

  /** Adds to what is counted of a delivery's kind at a time. */
  add(
    { message: { message }, subscriptionId }: Pick<Work, "message" | "subscriptionId">,
    ms: number,
    by: Partial<Tally>
  ) {
    const atMs = stepOf(ms, defaults.statsFineStepMs)
    const { eventId, tenantId } = message
    const key = `${atMs} ${subscriptionId} ${eventId} ${tenantId}`
    const sum = this.#sums.get(key) ?? { ...none, atMs, tenantId, eventId, subscriptionId }
    this.#sums.set(key, { ...sum, ...add(sum, { ...none, ...by }) })
  }

  /** Those since a time, which a condition holds for. */
  since(fromMs: number, isMeant: (sum: Sum) => boolean): ReadonlyArray<Sum> {
    return [...this.#sums.values()].filter((sum) => sum.atMs >= fromMs && isMeant(sum))
  }

  /** Forgets those before a time. */
  forget(beforeMs: number): void {
    for (const [key, { atMs }] of this.#sums) if (atMs < beforeMs) this.#sums.delete(key)
  }
}

/**
 * Makes the verb of counting.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Counting => ({
  count: (filter, options) => Effect.map(Clock.currentTimeMillis, () => count(tables, filter, options))
})

// --- internal ---

const stepOf = (ms: number, stepMs: number): number => Math.floor(ms / stepMs) * stepMs

const count = (
  tables: Tables,
  filter: CountFilter,
  { counted, fine, fromMs, top }: Parameters<Counting["count"]>[1]
): Counts => {
  const subscription = (id: SubscriptionId) => tables.subscriptions.get(id) ?? tables.deleted.get(id)
  const providerOf = (id: SubscriptionId) => subscription(id)?.providerId ?? ""
  const isMeant = ({ eventId, subscriptionId, tenantId }: Pick<Sum, "eventId" | "subscriptionId" | "tenantId">) =>
    (filter.tenantId === undefined || tenantId === filter.tenantId) &&
    (filter.eventId === undefined || eventId === filter.eventId) &&
    (filter.subscriptionId === undefined || subscriptionId === filter.subscriptionId) &&
    (filter.providerId === undefined || providerOf(subscriptionId) === filter.providerId) &&
    !(filter.withoutWorkQueues === true && tables.isWorkQueue(subscriptionId))
  const sums = tables.sums.since(fromMs, isMeant)
  const grouped = <K>(of: (sum: Sum) => K) =>
    [...Map.groupBy(sums, of)].map(([key, items]) => ({ key, tally: total(items) }))
      .filter(({ tally }) => !isNone(tally))
  const first = <K extends string>(of: (sum: Sum) => K) =>
    grouped(of).sort((a, b) => byVolume(a.tally, b.tally) || (a.key < b.key ? -1 : 1)).slice(0, top)
  const isOfSubscription = filter.subscriptionId !== undefined &&
    (filter.tenantId === undefined || subscription(filter.subscriptionId)?.tenantId === filter.tenantId)
  // As in a database, where a tenant's own are looked at and nobody else's.
  const unfinished = [...tables.work.values()].filter((work) =>
    isOfSubscription
      ? work.subscriptionId === filter.subscriptionId
      : filter.tenantId === undefined || work.message.message.tenantId === filter.tenantId
  ).slice(0, counted)
  const fitting = unfinished.filter(({ message: { message }, subscriptionId }) =>
    isMeant({ ...message, subscriptionId })
  )
  const retrying = fitting.filter(isRetried).length
  return {
    totals: total(sums),
    byEvent: first(({ eventId }) => eventId).map(({ key, tally }) => ({ eventId: key, ...tally })),
    byProvider: first(({ subscriptionId }) => providerOf(subscriptionId))
      .map(({ key, tally }) => ({ providerId: key, ...tally })),
    bySubscription: first(({ subscriptionId }) => subscriptionId).map(({ key, tally }) => ({
      subscriptionId: key,
      providerId: providerOf(key),
      name: subscription(key)?.name ?? "",
      ...tally
    })),
    series: grouped(({ atMs }) => stepOf(atMs, fine ? defaults.statsFineStepMs : defaults.statsStepMs))
      .sort((a, b) => a.key - b.key)
      .map(({ key, tally }) => ({ atMs: key, ...tally })),
    unfinished: { pending: fitting.length - retrying, retrying, atLeast: unfinished.length >= counted }
  }
}

const total = (sums: ReadonlyArray<Sum>): Tally => sums.reduce<Tally>((sum, one) => add(sum, one), none)
