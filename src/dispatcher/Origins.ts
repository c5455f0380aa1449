/**
 * Origins: no more attempts begin to one than it has connections, beside those that take long. What begins before it can be sent
 * takes slots that others could use, memory, and a part of the time that it has for its answer.
 */
import type { Limits } from "../Limits.ts"
import { UnderWay } from "../UnderWay.ts"
import type { Lane } from "./Lane.ts"
import { Queue } from "./Queue.ts"

/** An origin: what is under way there, and who waits for a place. */
export class Origin extends UnderWay {
  #line = new Queue<Lane>()

  /** Has a lane wait for a place here; it is known by the lane, so that a pass need not find it again. */
  hold(lane: Lane): void {
    lane.waitsAt = this
    this.#line.push(lane)
  }

  /** Whether a lane waits for a place. */
  get isAwaited(): boolean {
    return this.#line.length > 0
  }

  /** The next lane that waits for a place. */
  next(): Lane | undefined {
    return this.#line.shift()
  }

  /** Forgets who waits. */
  clear(): void {
    this.#line = new Queue<Lane>()
  }
}

/** The origins to which attempts are under way. */
export class Origins {
  readonly #limits: Limits
  readonly #known = new Map<string, Origin>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** The origin of that name. */
  of(name: string): Origin {
    const known = this.#known.get(name)
    if (known) return known
    const { connectionsPerOrigin, slowRequestMs } = this.#limits
    const origin = new Origin({ limit: connectionsPerOrigin, slowMs: slowRequestMs })
    this.#known.set(name, origin)
    return origin
  }

  /** Forgets who waits, and the origins to which nothing is under way: a pass looks at all lanes anew. */
  clear(): void {
    for (const [name, origin] of this.#known) {
      if (origin.size === 0) this.#known.delete(name)
      else origin.clear()
    }
  }
}
