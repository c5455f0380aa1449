/**
 * The order of the memory storage: which unfinished deliveries of a subscription have the same ordering key, in the order of
 * their messages.
 */
import type { SubscriptionId } from "./Id.ts"
import type { Work } from "./StorageMemoryLane.ts"

/**
 * The index.
 *
 * @category models
 * @since 0.1.0
 */
export class Order {
  readonly #works = new Map<SubscriptionId, Map<string, Array<Work>>>()

  add(work: Work): void {
    const { orderingKey } = work.message.message
    if (orderingKey === undefined) return
    const keys = this.#works.get(work.subscriptionId) ?? new Map<string, Array<Work>>()
    this.#works.set(work.subscriptionId, keys)
    const works = keys.get(orderingKey) ?? []
    keys.set(orderingKey, works)
    const after = works.findLastIndex(({ message }) => message.seq < work.message.seq)
    works.splice(after + 1, 0, work)
  }

  remove(work: Work): void {
    const { orderingKey } = work.message.message
    if (orderingKey === undefined) return
    const keys = this.#works.get(work.subscriptionId)
    const works = keys?.get(orderingKey)
    const at = works?.indexOf(work) ?? -1
    if (!keys || !works || at < 0) return
    works.splice(at, 1)
    if (works.length === 0) keys.delete(orderingKey)
    if (keys.size === 0) this.#works.delete(work.subscriptionId)
  }

  /** Whether an earlier delivery of the same key is not finished, or a later one is under way. */
  isBehind(work: Work): boolean {
    const { orderingKey } = work.message.message
    const works = orderingKey === undefined ? undefined : this.#works.get(work.subscriptionId)?.get(orderingKey)
    return works !== undefined && (works[0] !== work || works.some((one) => one !== work && one.epoch !== undefined))
  }

  /** The keys of a subscription in the order of their text, each with its deliveries. */
  of(id: SubscriptionId): ReadonlyArray<readonly [string, ReadonlyArray<Work>]> {
    return [...this.#works.get(id) ?? []].sort(([a], [b]) => a < b ? -1 : 1)
  }
}
