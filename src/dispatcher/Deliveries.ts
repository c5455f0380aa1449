/**
 * Every delivery in memory, by its id. V8 links the former tables of a map to its present one, and one that has come to old memory
 * keeps alive whatever it held, until that is collected: so what stands in the map is a place, which is empty once its delivery has left.
 */
import type { DeliveryId } from "../Id.ts"
import type { Ready } from "./Lane.ts"

class Place {
  ready: Ready | undefined

  constructor(ready: Ready) {
    this.ready = ready
  }
}

/** Deliveries by id. */
export class Deliveries {
  readonly #places = new Map<DeliveryId, Place>()

  get size(): number {
    return this.#places.size
  }

  has(id: DeliveryId): boolean {
    return this.#places.has(id)
  }

  get(id: DeliveryId): Ready | undefined {
    return this.#places.get(id)?.ready
  }

  set(id: DeliveryId, ready: Ready): void {
    this.#places.set(id, new Place(ready))
  }

  /** Takes out a delivery, if it is this one; tells whether it was. */
  delete(id: DeliveryId, ready: Ready): boolean {
    const place = this.#places.get(id)
    if (place?.ready !== ready) return false
    place.ready = undefined
    return this.#places.delete(id)
  }

  *values(): Generator<Ready> {
    for (const { ready } of this.#places.values()) if (ready !== undefined) yield ready
  }
}
