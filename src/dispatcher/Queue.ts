/**
 * A queue whose first can be looked at, which `effect`'s lists don't let: what is taken from its beginning leaves its place empty until
 * many have been. An array moves all of its elements for each.
 */

/** How many places are empty at least before the others are moved. */
const emptyPlaces = 256

/** Items in their order. */
export class Queue<A> {
  readonly #items: Array<A | undefined> = []
  #at = 0

  get length(): number {
    return this.#items.length - this.#at
  }

  get first(): A | undefined {
    return this.#items[this.#at]
  }

  push(item: A): void {
    this.#items.push(item)
  }

  shift(): A | undefined {
    const item = this.first
    if (this.length === 0) return undefined
    this.#items[this.#at++] = undefined
    if (this.length === 0) {
      this.#items.length = 0
      this.#at = 0
    } else if (this.#at >= emptyPlaces && this.#at * 2 >= this.#items.length) {
      this.#items.splice(0, this.#at)
      this.#at = 0
    }
    return item
  }

  /** Takes out all but so many of the first. */
  splice(kept: number): Array<A> {
    const taken: Array<A> = []
    for (const item of this.#items.splice(this.#at + kept)) if (item !== undefined) taken.push(item)
    return taken
  }
}
