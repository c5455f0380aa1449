/**
 * The circuits of the memory storage: how subscriptions fare whose last attempt was not accepted.
 */
import type { SubscriptionId } from "./Id.ts"
import type { Health, Outcome } from "./Storage.ts"

/**
 * The rows.
 *
 * @category models
 * @since 0.1.0
 */
export class Healths {
  readonly #rows = new Map<SubscriptionId, Health>()

  /** All, or those of some subscriptions. */
  of(ids?: ReadonlyArray<SubscriptionId>): ReadonlyArray<Health> {
    return ids === undefined ? [...this.#rows.values()] : [...new Set(ids)].flatMap((id) => this.#rows.get(id) ?? [])
  }

  /** When a subscription's circuit ends being open; none where it is closed. */
  openUntilMs(id: SubscriptionId): number | undefined {
    return this.#rows.get(id)?.openUntilMs
  }

  forget(id: SubscriptionId): void {
    this.#rows.delete(id)
  }

  /** Notes that people were warned; false where they were before, or nothing fails. */
  warn(id: SubscriptionId): boolean {
    const row = this.#rows.get(id)
    if (!row || row.warned) return false
    this.#rows.set(id, { ...row, warned: true })
    return true
  }

  /** Takes in the signs of one statement; tells which subscriptions recovered that had been told as failing. */
  take(signs: ReadonlyMap<SubscriptionId, ReadonlyArray<Outcome>>): ReadonlySet<SubscriptionId> {
    const recovered = new Set<SubscriptionId>()
    for (const [subscriptionId, outcomes] of signs) {
      const row = this.#rows.get(subscriptionId)
      if (outcomes.some(({ sign }) => sign === "accepted")) {
        if (row?.warned === true) recovered.add(subscriptionId)
        this.#rows.delete(subscriptionId)
        continue
      }
      const isRefused = outcomes.some(({ sign }) => sign === "refused")
      const failed = outcomes.filter(({ sign }) => sign === "failed").length
      const opened = outcomes.flatMap(({ openUntilMs }) => openUntilMs ?? [])
      this.#rows.set(subscriptionId, {
        subscriptionId,
        failures: isRefused ? 0 : (row?.failures ?? 0) + failed,
        failingSinceMs: Math.min(
          row?.failingSinceMs ?? Number.POSITIVE_INFINITY,
          ...outcomes.map(({ attempt }) => attempt.startedAtMs)
        ),
        opens: opened.length > 0 ? (row?.opens ?? 0) + 1 : isRefused ? 0 : row?.opens ?? 0,
        openUntilMs: opened.length > 0 ? Math.max(...opened) : isRefused ? undefined : row?.openUntilMs,
        warned: row?.warned ?? false
      })
    }
    return recovered
  }
}
