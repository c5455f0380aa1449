/**
 * A lane of the memory storage: the unfinished deliveries of one subscription in one worker group. Those that wait are in
 * the order they are due, so that a claim costs what it takes, however long the backlog.
 */
import type { DeliveryId, ReplayId, SubscriptionId } from "./Id.ts"
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
  expiresAtMs: number | undefined
  lastError: string | undefined
  /** The replay that it came by, and the one whose webhook-id it carries. */
  readonly replayId?: ReplayId | undefined
  readonly webhookOf?: ReplayId | undefined
}

/**
 * Orders deliveries: the first due first, then in the order of their messages.
 *
 * @category ordering
 * @since 0.1.0
 */
export const byDue = (a: Work, b: Work): number => a.dueAtMs - b.dueAtMs || a.message.seq - b.message.seq

/**
 * Whether a delivery was attempted since its schedule began.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRetried = (self: Work): boolean => self.attempts > self.retryBase

/** Whether it is claimed in turn with new ones. */
const isAgain = (self: Work): boolean => isRetried(self) || self.replayId !== undefined

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
  /** Waiting and never claimed since their last outcome, new ones and those to be made again: binary heaps. */
  readonly #fresh: Array<Work> = []
  readonly #retried: Array<Work> = []
  /** Waiting, claimed before without an outcome: a few, even after a crash. */
  readonly #doubted = new Set<Work>()
  /** Waiting, and found to have expired. */
  readonly #expired = new Set<Work>()

  constructor(workerGroup: string, subscriptionId: SubscriptionId) {
    this.workerGroup = workerGroup
    this.subscriptionId = subscriptionId
  }

  get isEmpty(): boolean {
    return [this.claimed, this.#doubted, this.#expired].every(({ size }) => size === 0) &&
      this.#fresh.length + this.#retried.length === 0
  }

  /** All that wait, in no order. */
  get waiting(): ReadonlyArray<Work> {
    return [...this.#fresh, ...this.#retried, ...this.#doubted, ...this.#expired]
  }

  /** When the first that waits is due. */
  get dueAtMs(): number | undefined {
    let first = earlier(this.#fresh[0], this.#retried[0])
    for (const work of this.#doubted) first = earlier(first, work)
    for (const work of this.#expired) first = earlier(first, work)
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
    else push(isAgain(work) ? this.#retried : this.#fresh, work)
  }

  /** Marks a delivery that is in none of the lane's places as claimed. */
  hold(work: Work, epoch: number): void {
    work.epoch = epoch
    this.claimed.add(work)
  }

  /**
   * Claims what is due, up to `free`, those never attempted and those to be retried in turn, suspects left out; tells when the
   * next of the others is due.
   */
  claim(options: {
    readonly free: number
    readonly bytes: number
    /** Whether the first is taken whatever its size. */
    readonly first: boolean
    readonly nowMs: number
    readonly suspectClaims: number
    readonly epoch: number
  }): { readonly taken: ReadonlyArray<Work>; readonly nextDueAtMs: number | undefined } {
    const { nowMs, suspectClaims } = options
    const doubted = [...this.#doubted].filter((work) => work.claims < suspectClaims && !isExpired(work, nowMs)).sort(
      byDue
    )
    const lines = [this.#fresh, this.#retried].map((heap, n) => ({
      heap: suspectClaims > 0 ? heap : [],
      doubted: doubted.filter((work) => isAgain(work) === (n === 1))
    }))
    const taken: Array<Work> = []
    let left = options.bytes
    let turn = 0
    while (true) {
      const firsts = lines.map(({ doubted, heap }) => {
        while (heap[0] && isExpired(heap[0], nowMs)) {
          this.#expired.add(heap[0])
          pop(heap)
        }
        return earlier(heap[0], doubted[0])
      })
      const isDue = (work: Work | undefined) => work !== undefined && work.dueAtMs <= nowMs
      if (!isDue(firsts[turn])) turn = 1 - turn
      const [first, line] = [firsts[turn], lines[turn]]
      const size = first ? deliveredSize(first.message) : 0
      const fits = size <= left || (options.first && taken.length === 0)
      if (!first || !line || !isDue(first) || taken.length >= options.free || !fits) {
        return { taken, nextDueAtMs: earlier(firsts[0], firsts[1])?.dueAtMs }
      }
      left -= size
      if (first === line.heap[0]) {
        pop(line.heap)
      } else {
        line.doubted.shift()
        this.#doubted.delete(first)
      }
      turn = 1 - turn
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
    for (const work of this.waiting.filter((one) => one.claims < suspectClaims && !isExpired(one, nowMs)).sort(byDue)) {
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
      if (work.claims < suspectClaims || work.dueAtMs > nowMs || isExpired(work, nowMs)) continue
      if (isTurn(work)) first = earlier(first, work)
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
    for (const work of gone) {
      if (this.claimed.delete(work) || this.#doubted.delete(work) || this.#expired.delete(work)) left--
    }
    if (left === 0) return
    for (const heap of [this.#fresh, this.#retried]) {
      const kept = heap.filter((work) => !gone.has(work))
      heap.length = 0
      for (const work of kept) push(heap, work)
    }
  }
}

/**
 * Whether a delivery's message has expired.
 *
 * @category guards
 * @since 0.1.0
 */
export const isExpired = (self: Pick<Work, "expiresAtMs">, nowMs: number): boolean =>
  (self.expiresAtMs ?? Number.POSITIVE_INFINITY) <= nowMs

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
