/**
 * A lane of the memory storage: the unfinished deliveries of one subscription in one worker group. Those that wait are in
 * the order they are due, so that a claim costs what it takes, however long the backlog.
 */
import type { DeliveryId, SubscriptionId } from "./Id.ts"
import { defaults } from "./Limits.ts"
import { deliveredSize, type Stored } from "./StorageMemoryInbox.ts"

/**
 * An unfinished delivery. Its due time, claims and epoch change through its lane alone, which keeps it where they say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Work {
  readonly id: DeliveryId
  readonly message: Stored
  readonly subscriptionId: SubscriptionId
  workerGroup: string
  attempts: number
  retryBase: number
  /** Claims without an outcome. */
  claims: number
  /** The epoch of the owner that claimed it; none while it waits. */
  epoch: number | undefined
  dueAtMs: number
  lastError: string | undefined
}

/**
 * Orders deliveries: the first due first, then in the order of their messages.
 *
 * @category ordering
 * @since 0.1.0
 */
export const byDue = (a: Work, b: Work): number => a.dueAtMs - b.dueAtMs || a.message.seq - b.message.seq

/**
 * A lane.
 *
 * @category models
 * @since 0.1.0
 */
export class Lane {
  readonly workerGroup: string
  readonly subscriptionId: SubscriptionId
  readonly claimed = new Set<Work>()
  /** Waiting and never claimed since their last outcome: a binary heap. */
  readonly #fresh: Array<Work> = []
  /** Waiting, claimed before without an outcome: a few, even after a crash. */
  readonly #doubted = new Set<Work>()

  constructor(workerGroup: string, subscriptionId: SubscriptionId) {
    this.workerGroup = workerGroup
    this.subscriptionId = subscriptionId
  }

  get isEmpty(): boolean {
    return this.claimed.size === 0 && this.#fresh.length === 0 && this.#doubted.size === 0
  }

  /** All that wait, in no order. */
  get waiting(): ReadonlyArray<Work> {
    return [...this.#fresh, ...this.#doubted]
  }

  /** When the first that waits is due. */
  get dueAtMs(): number | undefined {
    let first = this.#fresh[0]
    for (const work of this.#doubted) if (first === undefined || byDue(work, first) < 0) first = work
    return first?.dueAtMs
  }

  /** When the first is due of those that wait and are meant. */
  dueAtMsOf(isMeant: (work: Work) => boolean): number | undefined {
    return this.waiting.filter(isMeant).sort(byDue)[0]?.dueAtMs
  }

  /** Lets a delivery wait. */
  wait(work: Work): void {
    this.claimed.delete(work)
    work.epoch = undefined
    if (work.claims > 0) this.#doubted.add(work)
    else push(this.#fresh, work)
  }

  /** Marks a delivery that is in none of the lane's places as claimed. */
  hold(work: Work, epoch: number): void {
    work.epoch = epoch
    this.claimed.add(work)
  }

  /** Claims what is due, up to `free`, suspects left out; tells when the next of the others is due. */
  claim(options: {
    readonly free: number
    readonly bytes: number
    /** Whether the first is taken whatever its size. */
    readonly first: boolean
    readonly nowMs: number
    readonly suspectClaims: number
    readonly epoch: number
  }): { readonly taken: ReadonlyArray<Work>; readonly nextDueAtMs: number | undefined } {
    const doubted = [...this.#doubted].filter((work) => work.claims < options.suspectClaims).sort(byDue)
    const fresh = options.suspectClaims > 0 ? this.#fresh : []
    const taken: Array<Work> = []
    let left = options.bytes
    while (true) {
      const first = earlier(fresh[0], doubted[0])
      const size = first ? deliveredSize(first.message) : 0
      const fits = size <= left || (options.first && taken.length === 0)
      if (!first || first.dueAtMs > options.nowMs || taken.length >= options.free || !fits) {
        return { taken, nextDueAtMs: first?.dueAtMs }
      }
      left -= size
      if (first === fresh[0]) {
        pop(fresh)
      } else {
        doubted.shift()
        this.#doubted.delete(first)
      }
      first.claims++
      this.hold(first, options.epoch)
      taken.push(first)
    }
  }

  /** Claims those whose turn it is, as `claim` does; what comes early is looked at again in a while. */
  claimInTurn(
    options: Parameters<Lane["claim"]>[0],
    place: (work: Work) => "free" | "behind" | "early"
  ): ReturnType<Lane["claim"]> {
    const { bytes, first, free, nowMs, suspectClaims } = options
    const taken: Array<Work> = []
    let nextDueAtMs: number | undefined
    let left = bytes
    const next = (ms: number) => {
      nextDueAtMs = Math.min(ms, nextDueAtMs ?? ms)
    }
    for (const work of this.waiting.filter(({ claims }) => claims < suspectClaims).sort(byDue)) {
      if (work.dueAtMs > nowMs) {
        next(work.dueAtMs)
        break
      }
      const turn = place(work)
      if (turn === "behind") continue
      const size = deliveredSize(work.message)
      if (turn === "early") next(nowMs + defaults.orderedPollMs)
      else if (taken.length >= free || (size > left && !(first && taken.length === 0))) {
        next(work.dueAtMs)
        break
      } else {
        left -= size
        taken.push(work)
      }
    }
    this.remove(new Set(taken))
    for (const work of taken) {
      work.claims++
      this.hold(work, options.epoch)
    }
    return { taken, nextDueAtMs }
  }

  /** The first due suspect, where it is its turn. */
  suspect(nowMs: number, suspectClaims: number, isTurn: (work: Work) => boolean): Work | undefined {
    let first: Work | undefined
    for (const work of this.#doubted) {
      if (work.claims >= suspectClaims && work.dueAtMs <= nowMs && isTurn(work)) first = earlier(first, work)
    }
    return first
  }

  /** Claims a suspect. */
  claimSuspect(work: Work, epoch: number): void {
    this.#doubted.delete(work)
    work.claims++
    this.hold(work, epoch)
  }

  /** Takes deliveries out, wherever they are. */
  remove(gone: ReadonlySet<Work>): void {
    let left = gone.size
    for (const work of gone) if (this.claimed.delete(work) || this.#doubted.delete(work)) left--
    if (left === 0) return
    const kept = this.#fresh.filter((work) => !gone.has(work))
    this.#fresh.length = 0
    for (const work of kept) push(this.#fresh, work)
  }
}

// --- internal ---

const earlier = (a: Work | undefined, b: Work | undefined): Work | undefined =>
  a === undefined || (b !== undefined && byDue(b, a) < 0) ? b : a

/** Puts a delivery into a heap. */
const push = (heap: Array<Work>, work: Work): void => {
  let at = heap.length
  heap.push(work)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up]
    if (parent === undefined || byDue(parent, work) <= 0) break
    heap[at] = parent
    at = up
  }
  heap[at] = work
}

/** Takes the first of a heap out. */
const pop = (heap: Array<Work>): void => {
  const work = heap.pop()
  if (work === undefined || heap.length === 0) return
  let at = 0
  while (true) {
    const left = heap[2 * at + 1]
    const right = heap[2 * at + 2]
    const child = earlier(left, right)
    if (child === undefined || byDue(work, child) <= 0) break
    heap[at] = child
    at = child === left ? 2 * at + 1 : 2 * at + 2
  }
  heap[at] = work
}
