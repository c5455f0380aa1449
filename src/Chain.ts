/**
 * Chains: what is under way, in the order in which it began, each taken out at once. A map or a set does the same, and makes its table
 * anew every so often where all that comes in soon leaves again: much of what an attempt costs, as each is in several.
 */

/**
 * A link of a chain. One that has left refers to no other: it may be in old memory, where it would keep alive what came after it.
 *
 * @category models
 * @since 0.1.0
 */
export class Link<A> {
  readonly value: A
  chain: Chain<A> | undefined
  before: Link<A> | undefined
  after: Link<A> | undefined

  constructor(value: A) {
    this.value = value
  }
}

/**
 * A chain.
 *
 * @category models
 * @since 0.1.0
 */
export class Chain<A> {
  #size = 0
  #first: Link<A> | undefined
  #last: Link<A> | undefined

  get size(): number {
    return this.#size
  }

  /** What began first. */
  get first(): A | undefined {
    return this.#first?.value
  }

  /** Puts something last. */
  add(value: A): Link<A> {
    return this.append(new Link(value))
  }

  /** Puts a link last that is in no chain. */
  append(link: Link<A>): Link<A> {
    link.chain = this
    link.before = this.#last
    if (this.#last) this.#last.after = link
    else this.#first = link
    this.#last = link
    this.#size++
    return link
  }

  /** Takes something out; tells whether it was in this chain. */
  remove(link: Link<A>): boolean {
    if (link.chain !== this) return false
    const { after, before } = link
    if (before) before.after = after
    else this.#first = after
    if (after) after.before = before
    else this.#last = before
    link.chain = undefined
    link.before = undefined
    link.after = undefined
    this.#size--
    return true
  }

  /** Takes out what began first. */
  shift(): Link<A> | undefined {
    const first = this.#first
    if (first) this.remove(first)
    return first
  }

  /** In their order; the one that was told of last may be taken out meanwhile. */
  *[Symbol.iterator](): Generator<A> {
    for (let link = this.#first; link;) {
      const { after, value } = link
      yield value
      link = after
    }
  }
}
