/**
 * The emitters: loops that post messages to runners at random, most with a key and again until they have a receipt, some once
 * and without a key, whose outcome may stay unknown; and one in bursts, for the hot event. What they were told is their log.
 */
import { Effect, Schedule, Schema } from "effect"
import * as Dice from "./Dice.ts"
import { eventIds, hotEvent } from "./Events.ts"
import type * as Runner from "./Runner.ts"

/** Something that was emitted, and what came back. */
export interface Emission {
  readonly key: string
  readonly eventId: string
  /** Sent once, without an idempotency key. */
  readonly once: boolean
  /** The message ids that were answered: one, or none where the outcome is unknown; two different ones must not be. */
  readonly receipts: Array<string>
  /** Answers that no emission may get. */
  readonly refusals: Array<string>
}

export interface Options {
  readonly seed: number
  readonly adminKey: string
  readonly runners: ReadonlyArray<Runner.Runner>
}

/** Messages of the hot event that come one after the other without a pause, and the ordering keys that they take in turn. */
const burst = 40
const hotKeys = 8

const decodeReceipt = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Struct({ id: Schema.String })))

export const make = ({ adminKey, runners, seed }: Options) => {
  const emissions = new Map<string, Emission>()

  const note = (key: string, eventId: string, once: boolean): Emission => {
    const emission: Emission = { key, eventId, once, receipts: [], refusals: [] }
    emissions.set(key, emission)
    return emission
  }

  /** One request; fails where its outcome is unknown or nothing was done. */
  const post = Effect.fnUntraced(function*(emission: Emission, url: string) {
    const { eventId, key, once } = emission
    const { status, text } = yield* Effect.tryPromise((signal) =>
      fetch(`${url}/api/v1/messages`, {
        method: "POST",
        signal,
        headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
        body: JSON.stringify({ eventId, payload: { key }, ...(once ? {} : { idempotencyKey: key }) })
      }).then(async (response) => ({ status: response.status, text: await response.text() }))
    ).pipe(Effect.timeout("4 seconds"))
    if (status === 202) {
      emission.receipts.push((yield* decodeReceipt(text)).id)
      return
    }
    if (status < 500) emission.refusals.push(`${status} ${text}`)
    return yield* Effect.fail(status)
  })

  const anywhere = (dice: Dice.Dice, but: Runner.Runner | undefined): string => {
    const others = runners.filter((runner) => runner !== but)
    return dice.one(others)?.url ?? ""
  }

  /** Emits until there is a receipt. */
  const emit = Effect.fnUntraced(
    function*(key: string, eventId: string, dice: Dice.Dice, but?: Runner.Runner) {
      const emission = note(key, eventId, false)
      const once = Effect.suspend(() => post(emission, anywhere(dice, but)))
      yield* once.pipe(Effect.retry(Schedule.spaced("150 millis")), Effect.orDie)
      return emission
    }
  )

  const keyed = Effect.fnUntraced(function*(name: string, dice: Dice.Dice, isOver: () => boolean) {
    for (let n = 0; !isOver(); n++) {
      const emission = yield* emit(`${name}-${n}`, dice.one(eventIds) ?? "", dice)
      // Whoever repeats gets the same message.
      if (dice.chance(0.05)) yield* Effect.ignore(post(emission, anywhere(dice, undefined)))
      yield* Effect.sleep(dice.between(100, 250))
    }
  })

  const unkeyed = Effect.fnUntraced(function*(name: string, dice: Dice.Dice, isOver: () => boolean) {
    for (let n = 0; !isOver(); n++) {
      const emission = note(`${name}-${n}`, dice.one(eventIds) ?? "", true)
      yield* Effect.ignore(post(emission, anywhere(dice, undefined)))
      yield* Effect.sleep(dice.between(300, 600))
    }
  })

  /** In bursts, one after the other, with several ordering keys, so that all partitions of the event have some. */
  const hot = Effect.fnUntraced(function*(name: string, dice: Dice.Dice, isOver: () => boolean) {
    for (let n = 0; !isOver(); n++) {
      yield* emit(`${name}${n % hotKeys}-${n}`, hotEvent, dice)
      if (n % burst === burst - 1) yield* Effect.sleep(dice.between(9000, 14_000))
    }
  })

  return {
    emissions,
    emit,
    /** Emits until it is over, and then until each emission with a key has its receipt. */
    run: (isOver: () => boolean) =>
      Effect.forEach(
        [...["a", "b", "c", "d", "e", "f"].map((name) => [name, keyed] as const), ["once", unkeyed], [
          "h",
          hot
        ]] as const,
        ([name, loop], n) => loop(name, Dice.make(seed * 31 + n), isOver),
        { concurrency: "unbounded", discard: true }
      )
  }
}

export type Emitters = ReturnType<typeof make>
