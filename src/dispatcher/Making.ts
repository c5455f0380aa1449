/**
 * Attempts that are being made, and which of them are one request.
 */
import { Exit, Result } from "effect"
import type { Binding } from "../Bindings.ts"
import type { Link } from "../Chain.ts"
import type { EgressError, EgressResponse } from "../Egress.ts"
import * as Note from "../Note.ts"
import type { Delivered, Exchange, Provided, ProviderError } from "../Provider.ts"
import type { Subscription } from "../Subscription.ts"
import type * as Lane from "./Lane.ts"

/** An attempt that is to be made: it has a slot. */
export interface Turn {
  readonly ready: Lane.Ready
  readonly lane: Lane.Lane
  readonly subscription: Subscription
  readonly begun: Link<Lane.Begun>
}

/** One that is being made. A class, for V8, as `Lane.Ready` is. */
export class Making {
  readonly turn: Turn
  readonly startedAtMs: number
  /** What it is made with; undefined where it was not found. */
  readonly binding: Binding | undefined
  readonly note = Note.make()

  constructor(turn: Turn, startedAtMs: number, binding: Binding | undefined) {
    this.turn = turn
    this.startedAtMs = startedAtMs
    this.binding = binding
  }
}

/** One that is a request and nothing else: it needs no fiber. What has come of it is told once, whatever its door tells. */
export class Exchanging extends Making {
  readonly #exchange: Exchange
  readonly #begin: NonNullable<Provided["begin"]>
  readonly #conclude: (self: Exchanging, exit: Ended) => void
  /** Hears whether it has succeeded. */
  readonly over: (hasSucceeded: boolean) => void
  #giveUp: (() => void) | undefined
  #isOver = false

  constructor(turn: Turn, startedAtMs: number, { begin, binding, conclude, exchange, over }: {
    readonly binding: Binding
    readonly exchange: Exchange
    readonly begin: NonNullable<Provided["begin"]>
    readonly conclude: (self: Exchanging, exit: Ended) => void
    readonly over: (hasSucceeded: boolean) => void
  }) {
    super(turn, startedAtMs, binding)
    this.#exchange = exchange
    this.#begin = begin
    this.#conclude = conclude
    this.over = over
  }

  /** Sends the request. */
  begin(): void {
    const { request, shown } = this.#exchange
    this.note.request = shown
    try {
      this.#giveUp = this.#begin(request, this.note, (result) => this.#end(() => this.#judged(result)))
    } catch (defect) {
      this.#end(() => Exit.die(defect))
    }
  }

  /** Gives it up, where nothing has come of it yet. */
  end(): void {
    this.#end(() => {
      this.#giveUp?.()
      return Exit.interrupt()
    })
  }

  #end(come: () => Ended): void {
    if (this.#isOver) return
    this.#isOver = true
    let exit
    try {
      exit = come()
    } catch (defect) {
      exit = Exit.die(defect)
    }
    this.#conclude(this, exit)
  }

  #judged(result: Answered): Ended {
    return Result.match(this.#exchange.judge(result), { onFailure: Exit.fail, onSuccess: Exit.succeed })
  }
}

// --- internal ---

type Answered = Result.Result<EgressResponse, EgressError>
type Ended = Exit.Exit<Delivered, ProviderError>
