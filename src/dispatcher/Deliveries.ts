/**
 * Every delivery in memory, by its id. V8 links the former tables of a map to its present one, and one that has come to old memory
 * keeps alive whatever it held, until that is collected: so what stands in the map is an entry, which is empty once its delivery has left.
 */
import type { DeliveryId } from "../Id.ts"
import type { Ready } from "./Lane.ts"

class Entry {
  ready: Ready | undefined

  constructor(ready: Ready) {
    this.ready = ready
  }
}

/** Deliveries by id. */
export class Deliveries {
  readonly #entries = new Map<DeliveryId, Entry>()

  get size(): number {
    return this.#entries.size
  }

  has(id: DeliveryId): boolean {
    return this.#entries.has(id)
  }

  get(id: DeliveryId): Ready | undefined {
    return this.#entries.get(id)?.ready
  }

  set(id: DeliveryId, ready: Ready): void {
    this.#entries.set(id, new Entry(ready))
  }

  /** Takes out a delivery, if it is this one; tells whether it was. */
  delete(id: DeliveryId, ready: Ready): boolean {
    const entry = this.#entries.get(id)
    if (entry?.ready !== ready) return false
    entry.ready = undefined
    return this.#entries.delete(id)
  }

  *values(): Generator<Ready> {
    for (const { ready } of this.#entries.values()) if (ready !== undefined) yield ready
  }
}
