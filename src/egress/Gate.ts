/**
 * The gate before one origin: it lets so many requests through at once, beside those that take long. So connections are used
 * again and again where an origin answers, and what hangs at one of its paths holds up no request to another.
 */
import { type Place, UnderWay } from "../UnderWay.ts"

interface Waiting {
  begin: () => void
  gone: boolean
  /** Once it is under way. */
  place: Place | undefined
}

/**
 * Milliseconds on the monotonic clock, and a way to be called in so many milliseconds, which can be taken back.
 *
 * @category models
 * @since 0.1.0
 */
export interface Time {
  readonly now: () => number
  readonly in: (ms: number, call: () => void) => () => void
}

/**
 * A gate, closed to nobody for good.
 *
 * @category models
 * @since 0.1.0
 */
export class Gate {
  readonly #time: Time
  readonly #underWay: UnderWay
  #waiting: Array<Waiting> = []
  #watch: (() => void) | undefined

  constructor(options: { readonly limit: number; readonly slowMs: number; readonly time: Time }) {
    this.#time = options.time
    this.#underWay = new UnderWay(options)
  }

  /** Whether nothing is under way and nothing waits. */
  get isIdle(): boolean {
    return this.#underWay.size === 0 && this.#waiting.length === 0
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { gone }) => gone ? sum : sum + 1, 0)
  }

  /** Calls `begin` once there is room, perhaps at once; what it returns is to be called when the request has ended, or is given up. */
  enter(begin: () => void, nowMs = this.#time.now()): () => void {
    const one: Waiting = { begin, gone: false, place: undefined }
    if (this.#underWay.hasRoom(nowMs)) {
      one.place = this.#underWay.begin(nowMs)
      begin()
    } else {
      this.#waiting.push(one)
      this.#look()
    }
    return () => {
      if (one.gone) return
      one.gone = true
      // It may stand in line for a while yet: what is left of its request is to be little.
      one.begin = nothing
      if (one.place && this.#underWay.end(one.place)) this.#next()
    }
  }

  #next(): void {
    // Each is taken out first: one that fails at once leaves before it has returned.
    while (this.#waiting.length > 0 && this.#underWay.hasRoom(this.#time.now())) {
      const one = this.#waiting.shift()
      if (!one || one.gone) continue
      one.place = this.#underWay.begin(this.#time.now())
      one.begin()
    }
    this.#look()
  }

  /** While some wait, those under way may become slow without a word. */
  #look(): void {
    if (this.#watch !== undefined || this.#waiting.length === 0) return
    const inMs = this.#underWay.roomInMs(this.#time.now())
    this.#watch = this.#time.in(Math.max(1, Math.ceil(inMs)), () => {
      this.#watch = undefined
      this.#next()
    })
  }
}

// --- internal ---

const nothing = () => {}
