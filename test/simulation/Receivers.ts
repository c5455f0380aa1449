/**
 * The receivers and the way to them: they accept, refuse, take their time or never answer, and an answer may be lost on its
 * way back although the message was accepted. The backend's own handlers behave as such receivers do.
 */
import { Cause, Clock, Effect, Exit, Option, Result } from "effect"
import type { Egress, EgressRequest } from "../../src/Egress.ts"
import type * as Handler from "../../src/Handler.ts"
import type { DeliveryId } from "../../src/Id.ts"
import * as Provider from "../../src/Provider.ts"
import type { Subscription } from "../../src/Subscription.ts"
import type { Dice } from "./Dice.ts"
import type { History, Of } from "./History.ts"
import { type Machine, type Process, Running } from "./Machine.ts"

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

/** What is known of an attempt as it begins. */
interface Beginning extends Omit<Of<"Begun">, "_tag" | "attempt"> {
  readonly endpoint: string
  readonly n: number
}

type Config = Pick<Beginning, "endpoint" | "revision">

/** An exchange, and what has come of it. */
interface Asked {
  readonly beginning: Beginning
  answer: Exit.Exit<Provider.Delivered, Provider.ProviderError> | undefined
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
  /** The subscriptions of work queues, by their provider; and what was claimed of which message. */
  readonly #queues = new Map<string, Subscription["id"]>()
  readonly #claimed = new Map<string, DeliveryId>()
  readonly #asked = new WeakMap<EgressRequest, Asked>()
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
    history.listen((entry) => {
      if (entry._tag === "Saved") this.#queues.set(entry.subscription.providerId, entry.subscription.id)
      if (entry._tag !== "Claimed") return
      const { deliveryId, messageId, subscriptionId } = entry.claim.claimed
      this.#claimed.set(`${messageId} ${subscriptionId}`, deliveryId)
    })
  }

  deliver(runner: string, config: Config, attempt: Provider.Attempt): Answer {
    return this.#receive(beginningOf(runner, config, attempt))
  }

  /** The same as an exchange, where the configuration's revision is an even one: so both ways are gone. */
  exchange(runner: string, config: Config, attempt: Provider.Attempt): Provider.Exchange | undefined {
    if (config.revision % 2 !== 0) return undefined
    const request = { method: "POST", url: config.endpoint, headers: [], body: attempt.message.payloadJson }
    const asked: Asked = { beginning: beginningOf(runner, config, attempt), answer: undefined }
    this.#asked.set(request, asked)
    const unanswered = () =>
      Result.fail(new Provider.PermanentError({ code: "Unanswered", message: "it has no answer" }))
    return {
      request,
      shown: { ...request, headers: [] },
      judge: () =>
        asked.answer ? Exit.match(asked.answer, { onSuccess: Result.succeed, onFailure: failureOf }) : unanswered()
    }
  }

  /** A process' door, for those exchanges alone. */
  door(process: Process): Egress["Service"] {
    return {
      check: () => Effect.void,
      send: () => Effect.die(new Error("a receiver is sent to by exchanges")),
      begin: (request, _, told) => {
        const asked = this.#asked.get(request)
        if (!asked) throw new Error("this request is of no exchange")
        return this.#begin(process, asked.beginning, (exit) => {
          asked.answer = exit
          told(Result.succeed({ statusCode: 200, headers: {}, body: "" }))
        })
      }
    }
  }

  /** An attempt as the handler of a work queue sees it, which may end in a defect. */
  handle(runner: string, providerId: string, n: number, { attempt: number, messageId }: Handler.Received) {
    return Effect.gen({ self: this }, function*() {
      const startedAtMs = yield* Clock.currentTimeMillis
      const subscriptionId = this.#queues.get(providerId)
      const deliveryId = subscriptionId && this.#claimed.get(`${messageId} ${subscriptionId}`)
      if (!deliveryId) return yield* Effect.die(new Error(`${providerId} handles ${messageId}, which nobody claimed`))
      const beginning = { runner, startedAtMs, deliveryId, messageId, subscriptionId, number, revision: 0, n }
      return yield* Effect.catchIf(
        this.#receive({ ...beginning, endpoint: providerId }),
        (error) => error.code === "ConnectionFailed",
        (error) => Effect.die(new Error(error.message))
      )
    })
  }

  /** What a broadcast's handler does: it takes its time, and fails at times, which concerns nobody. */
  hear(runner: string, { eventId, messageId }: Handler.Received) {
    return Effect.suspend(() => {
      this.#history.add({ _tag: "Heard", runner, eventId, messageId })
      const takesMs = this.#dice.below(30)
      const fails = !this.isGood && this.#dice.chance(0.1)
      return Effect.andThen(Effect.sleep(takesMs), fails ? Effect.die(new Error(deafness)) : Effect.void)
    })
  }

  #receive(beginning: Beginning): Answer {
    return Effect.flatMap(
      Running,
      (process) =>
        Effect.callback<Provider.Delivered, Provider.ProviderError>((resume) => {
          const giveUp = this.#begin(process, beginning, resume)
          return Effect.sync(giveUp)
        })
    )
  }

  /** Begins an attempt, and tells what has come of it; what it returns cuts it off. */
  #begin(
    process: Process | undefined,
    { endpoint, n, ...beginning }: Beginning,
    told: (exit: Exit.Exit<Provider.Delivered, Provider.ProviderError>) => void
  ): () => void {
    const { runner } = beginning
    if (!process || process.state === "gone") return () => {}
    const attempt = ++this.#attempts
    this.#history.add({ _tag: "Begun", attempt, ...beginning })
    if (this.lethal.has(n)) {
      this.#kill(runner)
      return () => {}
    }
    const answer = this.#draw(this.isGood ? good : this.#mannersOf(endpoint))
    let over = false
    this.#machine.after(answer.takesMs / 2, () => {
      // A connection that was closed before the receiver read from it brings nothing.
      if (over && this.#dice.chance(0.5)) return
      this.#history.add({ _tag: "Received", attempt, accepted: answer.accepted })
    })
    const cancel = answer.hangs ? undefined : process.after(answer.takesMs, () => {
      this.#history.add({ _tag: "Ended", runner, attempt, how: answer.how })
      told(answer.exit)
    })
    return () => {
      over = true
      cancel?.()
      this.#history.add({ _tag: "Ended", runner, attempt, how: "aborted" })
    }
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

const beginningOf = (
  runner: string,
  config: Config,
  { deliveryId, message, nowMs: startedAtMs, number, subscription }: Provider.Attempt
): Beginning => ({
  ...config,
  runner,
  startedAtMs,
  deliveryId,
  messageId: message.id,
  subscriptionId: subscription.id,
  number,
  n: numberOf(message.payloadJson)
})

const failureOf = (cause: Cause.Cause<Provider.ProviderError>) =>
  Result.fail(Option.getOrThrow(Cause.findErrorOption(cause)))

/** What a broadcast's handler fails with: its failures are logged as errors, and are none of the engine. */
export const deafness = "it did not listen"

/** The number in a payload. */
export const numberOf = (payloadJson: string): number => {
  const found = /"n":(-?\d+)/u.exec(payloadJson)
  return found ? Number(found[1]) : -1
}
