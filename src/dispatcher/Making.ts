/**
 * Attempts that are being made, and which of them are one request.
 */
import { Exit, Result } from "effect"
import type { Binding } from "../Bindings.ts"
import type { EgressError, EgressResponse } from "../Egress.ts"
import * as Note from "../Note.ts"
import type { Delivered, Exchange, Provided, ProviderError } from "../Provider.ts"
import type { Subscription } from "../Subscription.ts"
import type * as Lane from "./Lane.ts"

/** An attempt that a slot is to make. */
export interface Turn {
  readonly ready: Lane.Ready
  readonly lane: Lane.Lane
  readonly subscription: Subscription
}

/** One that is being made. A class, for V8, as `Lane.Ready` is. */
export class Making {
  readonly ready: Lane.Ready
  readonly subscription: Subscription
  readonly startedAtMs: number
  /** What it is made with; undefined where it was not found. */
  readonly binding: Binding | undefined
  readonly note = Note.make()

  constructor({ ready, subscription }: Turn, startedAtMs: number, binding: Binding | undefined) {
    this.ready = ready
    this.subscription = subscription
    this.startedAtMs = startedAtMs
    this.binding = binding
  }
}

type Answered = Result.Result<EgressResponse, EgressError>

/** One that is a request and nothing else. */
export class Exchanging extends Making {
  readonly #exchange: Exchange
  readonly #begin: NonNullable<Provided["begin"]>

  constructor(turn: Turn, startedAtMs: number, { begin, binding, exchange }: {
    readonly binding: Binding
    readonly exchange: Exchange
    readonly begin: NonNullable<Provided["begin"]>
  }) {
    super(turn, startedAtMs, binding)
    this.#exchange = exchange
    this.#begin = begin
  }

  /** Sends the request; what it returns gives it up. */
  begin(told: (result: Answered) => void): () => void {
    const { request, shown } = this.#exchange
    this.note.request = shown
    return this.#begin(request, this.note, told)
  }

  /** What has come of it; a provider that throws is at fault. */
  judge(result: Answered): Exit.Exit<Delivered, ProviderError> {
    try {
      return Result.match(this.#exchange.judge(result), { onFailure: Exit.fail, onSuccess: Exit.succeed })
    } catch (defect) {
      return Exit.die(defect)
    }
  }
}
