/**
 * The inbox of a worker group in the memory storage: its messages that wait to be routed, in the order of `seq`. A message
 * of a transaction that took long to commit, or one that is routed anew, gets its place among the later ones.
 */
import type { Message, MessageState } from "./Message.ts"

/**
 * A message with what became of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored {
  message: Message
  readonly seq: number
  /** The group that is to route it. */
  readonly workerGroup: string
  /** Bytes of the payload. */
  readonly size: number
  state: MessageState
  transformedJson: string | undefined
}

/**
 * Bytes of the payload as it is delivered.
 *
 * @category conversions
 * @since 0.1.0
 */
export const deliveredSize = (self: Stored): number =>
  self.transformedJson === undefined ? self.size : new TextEncoder().encode(self.transformedJson).length

/**
 * An inbox.
 *
 * @category models
 * @since 0.1.0
 */
export class Inbox {
  #items: Array<Stored> = []
  /** Where the first is: routing takes from the front, and moves nothing for it. */
  #head = 0

  get isEmpty(): boolean {
    return this.#head === this.#items.length
  }

  /** The first few. */
  first(count: number): ReadonlyArray<Stored> {
    return this.#items.slice(this.#head, this.#head + count)
  }

  add(stored: Stored): void {
    const last = this.#items.at(-1)
    if (last === undefined || last.seq < stored.seq) this.#items.push(stored)
    else this.#items.splice(this.#find(stored.seq), 0, stored)
  }

  remove(stored: Stored): void {
    const at = this.#find(stored.seq)
    if (this.#items[at] !== stored) return
    if (at !== this.#head) this.#items.splice(at, 1)
    else if (++this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
  }

  /** The place of the first whose `seq` is not lower. */
  #find(seq: number): number {
    let low = this.#head
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#items[middle]?.seq ?? 0) < seq) low = middle + 1
      else high = middle
    }
    return low
  }
}
