/**
 * A limit of messages per time with a burst, pure: the generic cell rate algorithm, whose whole state is one time. A bucket
 * holds `burst` tokens and is filled at an even rate; the state says until when what was taken takes to be filled up again.
 *
 * @see https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
 */
import { Schema } from "effect"
import { told } from "./Told.ts"

const count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))

/**
 * `messages` in `intervalMs`, and up to `burst` at once (`messages` where it is left out).
 *
 * **Gotchas**
 *
 * After a pause up to `burst` begin at once, and the rate from then on: in any one interval at most `burst + messages`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RateLimit = Schema.Struct({
  messages: count.pipe(told("How many begin within the interval")),
  intervalMs: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 24 * 60 * 60 * 1000 })).pipe(
    told("The interval in milliseconds, up to a day")
  ),
  burst: Schema.optionalKey(count).pipe(told("How many may begin at once after a pause; `messages` when left out"))
}).annotate({ identifier: "RateLimit" })
/** @category models @since 0.1.0 */
export type RateLimit = typeof RateLimit.Type

/**
 * How long one message takes to be made up for, in milliseconds.
 *
 * @category accessors
 * @since 0.1.0
 */
export const costMs = (self: RateLimit): number => self.intervalMs / self.messages

/**
 * When the next message may begin, in the milliseconds of `filledAtMs`.
 *
 * @category rules
 * @since 0.1.0
 */
export const nextAtMs = (self: RateLimit, filledAtMs: number): number =>
  filledAtMs - ((self.burst ?? self.messages) - 1) * costMs(self)

/**
 * The state as far as this limit can have brought it: what another limit, of before a change, had spent is worth no more than
 * all of this one's tokens.
 *
 * @category rules
 * @since 0.1.0
 */
export const owed = (self: RateLimit, filledAtMs: number, nowMs: number): number =>
  Math.min(filledAtMs, nowMs + (self.burst ?? self.messages) * costMs(self))

/**
 * How many messages may begin from now on until `aheadMs` later.
 *
 * @category rules
 * @since 0.1.0
 */
export const free = (self: RateLimit, filledAtMs: number, nowMs: number, aheadMs = 0): number =>
  Math.max(0, Math.floor((nowMs + aheadMs - nextAtMs(self, Math.max(filledAtMs, nowMs))) / costMs(self)) + 1)

/**
 * When the bucket is full again after a message that begins now.
 *
 * @category rules
 * @since 0.1.0
 */
export const take = (self: RateLimit, filledAtMs: number, nowMs: number): number =>
  Math.max(filledAtMs, nowMs) + costMs(self)
