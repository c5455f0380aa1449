/**
 * The receivers and the way to them: they accept, refuse, take their time or never answer, and an answer may be lost on its
 * way back although the message was accepted.
 */
import { Effect, Exit } from "effect"
import * as Provider from "../../src/Provider.ts"
import type { Dice } from "./Dice.ts"
import type { History } from "./History.ts"
import type { Machine } from "./Machine.ts"
import { Running } from "./Machine.ts"

/** How a receiver behaves, as shares of its answers. */
export interface Manners {
  readonly retryable: number
  readonly permanent: number
  readonly gone: number
  readonly answerLost: number
  readonly hangs: number
  readonly usualMs: number
  /** A share of answers that take up to a second and a half. */
  readonly slow: number
}

const good: Manners = {
  retryable: 0,
  permanent: 0,
  gone: 0,
  answerLost: 0,
  hangs: 0,
  usualMs: 20,
  slow: 0
}

export type Answer = Effect.Effect<Provider.Delivered, Provider.ProviderError>

export class Receivers {
  isGood = false
  /** Runners that deliver to them are killed by attempts for these messages, by the payload's number. */
  readonly lethal = new Set<number>()
  readonly #machine: Machine
  readonly #history: History
  readonly #dice: Dice
  readonly #manners: Manners
  readonly #kill: (runner: string) => void
  #attempts = 0

  constructor(
    machine: Machine,
    history: History,
    dice: Dice,
    manners: Manners,
    kill: (runner: string) => void
  ) {
    this.#manners = manners
    this.#machine = machine
    this.#history = history
    this.#dice = dice
    this.#kill = kill
  }

  deliver(
    runner: string,
    config: { readonly endpoint: string; readonly revision: number },
    { deliveryId, message, nowMs: startedAtMs, number, subscription }: Provider.Attempt
  ): Answer {
    return Effect.flatMap(
      Running,
      (process) =>
        Effect.callback<Provider.Delivered, Provider.ProviderError>((resume) => {
          if (!process || process.state === "gone") return
          const attempt = ++this.#attempts
          const messageId = message.id
          this.#history.add({
            _tag: "Begun",
            runner,
            attempt,
            startedAtMs,
            deliveryId,
            messageId,
            subscriptionId: subscription.id,
            number,
            revision: config.revision
          })
          if (this.lethal.has(numberOf(message.payloadJson))) {
            this.#kill(runner)
            return
          }
          const answer = this.#draw(this.isGood ? good : this.#mannersOf(config.endpoint))
          let over = false
          this.#machine.after(answer.takesMs / 2, () => {
            // A connection that was closed before the receiver read from it brings nothing.
            if (over && this.#dice.chance(0.5)) return
            this.#history.add({ _tag: "Received", attempt, accepted: answer.accepted })
          })
          if (answer.hangs) {
            return Effect.sync(() => {
              over = true
              this.#history.add({ _tag: "Ended", runner, attempt, how: "aborted" })
            })
          }
          const cancel = process.after(answer.takesMs, () => {
            this.#history.add({ _tag: "Ended", runner, attempt, how: answer.how })
            resume(answer.exit)
          })
          return Effect.sync(() => {
            over = true
            cancel()
            this.#history.add({ _tag: "Ended", runner, attempt, how: "aborted" })
          })
        })
    )
  }

  /** Not all are ill-mannered. */
  #mannersOf(endpoint: string): Manners {
    return endpoint.endsWith("1") ? good : this.#manners
  }

  #draw(manners: Manners) {
    const dice = this.#dice
    const takesMs = 1 + (dice.chance(manners.slow) ? dice.below(1500) : dice.below(manners.usualMs))
    const lot = dice.random.nextDoubleUnsafe()
    let sum = 0
    const falls = (share: number) => lot < (sum += share)
    const base = { takesMs, accepted: false, hangs: false }
    const retryable = (code: string, more = {}) =>
      Exit.fail(new Provider.RetryableError({ code, message: code, ...more }))
    if (falls(manners.retryable)) {
      const asks = dice.chance(0.2) ? { retryAfterMs: dice.below(800) } : {}
      return { ...base, how: "retryable", exit: retryable("HttpStatus", { statusCode: 503, ...asks }) }
    }
    if (falls(manners.answerLost)) {
      return { ...base, accepted: true, how: "answer lost", exit: retryable("ConnectionFailed") }
    }
    if (falls(manners.hangs)) {
      return { ...base, accepted: dice.chance(0.5), hangs: true, how: "hangs", exit: retryable("Timeout") }
    }
    if (falls(manners.permanent)) {
      return {
        ...base,
        how: "permanent",
        exit: Exit.fail(new Provider.PermanentError({ code: "HttpStatus", message: "400", statusCode: 400 }))
      }
    }
    if (falls(manners.gone)) {
      return {
        ...base,
        how: "gone",
        exit: Exit.fail(new Provider.GoneError({ code: "HttpStatus", message: "410", statusCode: 410 }))
      }
    }
    return { ...base, accepted: true, how: "success", exit: Exit.succeed({ statusCode: 200 }) }
  }
}

/** The number in a payload. */
export const numberOf = (payloadJson: string): number => {
  const found = /"n":(-?\d+)/u.exec(payloadJson)
  return found ? Number(found[1]) : -1
}
