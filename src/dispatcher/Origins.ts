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
    return this.#lanes[this.#at++]
  }
}

interface Origin {
  readonly underWay: UnderWay<DeliveryId>
  /** The lanes that had no room in the last pass. */
  line: Line
}

/** The origins to which attempts are under way. */
export class Origins {
  readonly #limits: Limits
  readonly #known = new Map<string, Origin>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  hasRoom(origin: string, monotonicMs: number): boolean {
    return this.#known.get(origin)?.underWay.hasRoom(monotonicMs) ?? true
  }

  /** In how many milliseconds there will be room, if nothing ends before. */
  roomInMs(origin: string, monotonicMs: number): number {
    return this.#known.get(origin)?.underWay.roomInMs(monotonicMs) ?? 0
  }

  begin(origin: string, id: DeliveryId, monotonicMs: number): void {
    let known = this.#known.get(origin)
    if (!known) {
      const { connectionsPerOrigin, slowRequestMs } = this.#limits
      known = { underWay: new UnderWay({ limit: connectionsPerOrigin, slowMs: slowRequestMs }), line: new Line([]) }
      this.#known.set(origin, known)
    }
    known.underWay.begin(id, monotonicMs)
  }

  end(origin: string, id: DeliveryId): void {
    this.#known.get(origin)?.underWay.end(id)
  }

  /** Has a lane wait for a place at its origin, which has no room. */
  hold(origin: string, lane: Lane): void {
    this.#known.get(origin)?.line.add(lane)
  }

  /** The next lane that waits for a place at an origin. */
  next(origin: string): Lane | undefined {
    return this.#known.get(origin)?.line.next()
  }

  /** Forgets who waits, and the origins to which nothing is under way: a pass looks at all lanes anew. */
  clear(): void {
    for (const [origin, known] of this.#known) {
      if (known.underWay.size === 0) this.#known.delete(origin)
      else known.line = new Line([])
    }
  }
}
