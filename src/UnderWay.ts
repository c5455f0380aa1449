/**
 * What is under way at one origin, as far as it keeps more from beginning: so much at once, beside what takes long. The gate before
 * an origin goes by it, and the sender, which begins no attempt that would wait there.
 */
import { Chain, type Link } from "./Chain.ts"

/**
 * One that is under way, and when it began, on the monotonic clock in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type Place = Link<number>

/**
 * What is under way.
 *
 * @category models
 * @since 0.1.0
 */
export class UnderWay {
  readonly #limit: number
  readonly #slowMs: number
  readonly #quick = new Chain<number>()
  readonly #slow = new Chain<number>()

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
    while (this.#quick.first !== undefined && nowMs - this.#quick.first >= this.#slowMs) {
      const place = this.#quick.shift()
      if (place) this.#slow.append(place)
    }
    return this.#quick.size < this.#limit
  }

  /** In how many milliseconds the oldest that is not known to take long will have taken long. */
  roomInMs(nowMs: number): number {
    const oldest = this.#quick.first
    return oldest === undefined ? 0 : Math.max(0, oldest + this.#slowMs - nowMs)
  }

  begin(nowMs: number): Place {
    return this.#quick.add(nowMs)
  }

  /** Takes in that it has ended; tells whether it was under way. */
  end(place: Place): boolean {
    return this.#quick.remove(place) || this.#slow.remove(place)
  }
}
