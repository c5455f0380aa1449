/**
 * Origins: no more attempts begin to one than it has connections, beside those that take long. What begins before it can be sent
 * takes slots that others could use, memory, and a part of the time that it has for its answer.
 */
import type { DeliveryId } from "../Id.ts"
import type { Limits } from "../Limits.ts"
import { UnderWay } from "../UnderWay.ts"
import type { Lane } from "./Lane.ts"

/** Lanes that wait for a place, in their turn. */
export class Line {
  readonly #lanes: Array<Lane>
  #at = 0

  constructor(lanes: Array<Lane>) {
    this.#lanes = lanes
  }

  add(lane: Lane): void {
    this.#lanes.push(lane)
  }

  next(): Lane | undefined {
    const lane = this.#lanes[this.#at]
    if (lane && ++this.#at === this.#lanes.length) {
      this.#lanes.length = 0
      this.#at = 0
    }
    return lane
  }
}

/** An origin: what is under way there, and who waits for a place. */
export class Origin extends UnderWay<DeliveryId> {
  #line = new Line([])

  /** Has a lane wait for a place here; it is known by the lane, so that a pass need not find it again. */
  hold(lane: Lane): void {
    lane.waitsAt = this
    this.#line.add(lane)
  }

  /** The next lane that waits for a place. */
  next(): Lane | undefined {
    return this.#line.next()
  }

  /** Forgets who waits. */
  clear(): void {
    this.#line = new Line([])
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
