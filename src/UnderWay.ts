/**
 * What is under way at one origin, as far as it keeps more from beginning: so much at once, beside what takes long. The gate before
 * an origin goes by it, and the sender, which begins no attempt that would wait there.
 */

/**
 * What is under way, by a key of each.
 *
 * @category models
 * @since 0.1.0
 */
export class UnderWay<Key> {
  readonly #limit: number
  readonly #slowMs: number
  /** When each began, on the monotonic clock in milliseconds, oldest first. */
  readonly #quick = new Map<Key, number>()
  readonly #slow = new Set<Key>()

  constructor(options: { readonly limit: number; readonly slowMs: number }) {
    this.#limit = options.limit
    this.#slowMs = options.slowMs
  }

  get size(): number {
    return this.#quick.size + this.#slow.size
  }

  /** Whether one more may begin. */
  hasRoom(nowMs: number): boolean {
    if (this.#quick.size < this.#limit) return true
    for (const [key, beganAt] of this.#quick) {
      if (nowMs - beganAt < this.#slowMs) break
      this.#quick.delete(key)
      this.#slow.add(key)
    }
    return this.#quick.size < this.#limit
  }

  /** In how many milliseconds the oldest that is not known to take long will have taken long. */
  roomInMs(nowMs: number): number {
    const [oldest] = this.#quick.values()
    return oldest === undefined ? 0 : Math.max(0, oldest + this.#slowMs - nowMs)
  }

  begin(key: Key, nowMs: number): void {
    this.#quick.set(key, nowMs)
  }

  /** Takes in that it has ended; tells whether it was under way. */
  end(key: Key): boolean {
    return this.#quick.delete(key) || this.#slow.delete(key)
  }
}
