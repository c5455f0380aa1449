/**
 * Identifiers: a prefix that says of what, and a UUIDv7 (RFC 9562) in 32 hexadecimal digits, so that ids sort by the time
 * they were made and fit a database's `uuid` column without their prefix. Branded: a subscription's id does not pass for
 * a message's.
 */
import { Brand, Clock, Effect, Random, Schema } from "effect"

const id = (prefix: string) =>
  Schema.String.check(
    Schema.isPattern(new RegExp(`^${prefix}_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`, "u"), {
      message: `an id of the form ${prefix}_ and 32 hexadecimal digits of a UUIDv7`
    })
  )

/**
 * A message's id, `msg_…`; on the wire it is the `webhook-id`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const MessageId = id("msg").pipe(Schema.brand("hookline/MessageId"))
/** @category models @since 0.1.0 */
export type MessageId = typeof MessageId.Type

/** @category schemas @since 0.1.0 */
export const SubscriptionId = id("sub").pipe(Schema.brand("hookline/SubscriptionId"))
/** @category models @since 0.1.0 */
export type SubscriptionId = typeof SubscriptionId.Type

/** @category schemas @since 0.1.0 */
export const DeliveryId = id("dlv").pipe(Schema.brand("hookline/DeliveryId"))
/** @category models @since 0.1.0 */
export type DeliveryId = typeof DeliveryId.Type

/**
 * The id of one run of a runner process, `run_…`: a restarted process is another runner.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RunnerId = id("run").pipe(Schema.brand("hookline/RunnerId"))
/** @category models @since 0.1.0 */
export type RunnerId = typeof RunnerId.Type

/** @category schemas @since 0.1.0 */
export const KeyId = id("key").pipe(Schema.brand("hookline/KeyId"))
/** @category models @since 0.1.0 */
export type KeyId = typeof KeyId.Type

/** @category schemas @since 0.1.0 */
export const AuditId = id("aud").pipe(Schema.brand("hookline/AuditId"))
/** @category models @since 0.1.0 */
export type AuditId = typeof AuditId.Type

/** @category schemas @since 0.1.0 */
export const ConnectionId = id("con").pipe(Schema.brand("hookline/ConnectionId"))
/** @category models @since 0.1.0 */
export type ConnectionId = typeof ConnectionId.Type

/** @category schemas @since 0.1.0 */
export const ReplayId = id("rpl").pipe(Schema.brand("hookline/ReplayId"))
/** @category models @since 0.1.0 */
export type ReplayId = typeof ReplayId.Type

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0")

/** Twelve bits as digits: an id is made for each delivery of a message, and to write out a large number takes a microsecond. */
const digitsOf: ReadonlyArray<string> = Array.from({ length: 2 ** 12 }, (_, n) => hex(n, 3))

const hex12 = (n: number) => digitsOf[n] ?? ""

const hex24 = (n: number) => hex12(n >>> 12) + hex12(n & 0xfff)

/** The digits of a time, kept as long as it is the same: very many ids are made in one millisecond. */
const timeHex = (() => {
  let keptMs = Number.NaN
  let kept = ""
  return (timeMs: number) => {
    if (timeMs !== keptMs) {
      kept = hex(timeMs, 12)
      keptMs = timeMs
    }
    return kept
  }
})()

/**
 * Makes the UUIDv7 of a time and 74 random bits, as 32 hexadecimal digits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const uuidv7 = (timeMs: number, random: { readonly nextIntUnsafe: () => number }): string => {
  // The upper bits of an integer: its lowest ones may be no random ones.
  const bits = (n: number) => Math.floor(Math.abs(random.nextIntUnsafe()) / 2 ** (53 - n))
  const first = bits(26)
  const second = bits(48)
  return timeHex(timeMs) + "7" + hex12(first >>> 14) + hex(8 + (first >>> 12 & 3), 1) + hex12(first & 0xfff) +
    hex24(Math.floor(second / 2 ** 24)) + hex24(second % 2 ** 24)
}

const generator = <A>(prefix: string, make: (s: string) => A) => (timeMs: number): Effect.Effect<A> =>
  Effect.map(Random.Random, (random) => make(`${prefix}_${uuidv7(timeMs, random)}`))

/**
 * Ids of texts that are known to be such, as this program made them: they are not looked at again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const trusted = {
  message: Brand.nominal<MessageId>(),
  delivery: Brand.nominal<DeliveryId>(),
  subscription: Brand.nominal<SubscriptionId>(),
  replay: Brand.nominal<ReplayId>()
}

/**
 * Make an id for a time in milliseconds since 1970, the engine's `now` (the clock plus the measured offset to the database's).
 *
 * @category constructors
 * @since 0.1.0
 */
export const messageId: (timeMs: number) => Effect.Effect<MessageId> = generator("msg", trusted.message)
/** @category constructors @since 0.1.0 */
export const subscriptionId: (timeMs: number) => Effect.Effect<SubscriptionId> = generator(
  "sub",
  (s) => SubscriptionId.make(s)
)
/** @category constructors @since 0.1.0 */
export const deliveryId: (timeMs: number) => Effect.Effect<DeliveryId> = generator("dlv", trusted.delivery)
/** @category constructors @since 0.1.0 */
export const keyId: (timeMs: number) => Effect.Effect<KeyId> = generator("key", (s) => KeyId.make(s))
/** @category constructors @since 0.1.0 */
export const auditId: (timeMs: number) => Effect.Effect<AuditId> = generator("aud", (s) => AuditId.make(s))
/** @category constructors @since 0.1.0 */
export const connectionId: (timeMs: number) => Effect.Effect<ConnectionId> = generator(
  "con",
  (s) => ConnectionId.make(s)
)
/** @category constructors @since 0.1.0 */
export const replayId: (timeMs: number) => Effect.Effect<ReplayId> = generator("rpl", (s) => ReplayId.make(s))
/** @category constructors @since 0.1.0 */
export const runnerId: Effect.Effect<RunnerId> = Effect.flatMap(
  Clock.currentTimeMillis,
  generator("run", (s) => RunnerId.make(s))
)

/**
 * The id of the delivery of a message to a subscription, always the same: the message's time, and the random bits of both. So an attempt
 * that nobody could write down is made again under the id that its receiver saw.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deliveryOf = (messageId: MessageId, subscriptionId: SubscriptionId): DeliveryId => {
  const ofMessage = messageBits(messageId)
  const ofSubscription = subscriptionBits(subscriptionId)
  const high = ofMessage.high ^ ofSubscription.high
  return trusted.delivery(
    // Short parts first: texts of up to twelve characters are copied at once, longer ones when the whole is read.
    ("dlv_" + messageId.slice(4, 16)) +
      ("7" + hex12(high >>> 14 & 0xfff) + (variants[high >>> 12 & 3] ?? "") + hex12(high & 0xfff) +
        (hex24(ofMessage.middle ^ ofSubscription.middle) + hex24(ofMessage.low ^ ofSubscription.low)))
  )
}

/** The digits of the variant that RFC 9562 has, with two random bits. */
const variants = ["8", "9", "a", "b"]

/** The random bits of ids, those of the last one kept: what is made of them is made of one of each many times in a row. */
const bits = () => {
  let kept = ""
  let high = 0
  let middle = 0
  let low = 0
  const digits = (from: number, to: number) => Number.parseInt(kept.slice(from, to), 16)
  return (id: string) => {
    if (id !== kept) {
      kept = id
      // After the prefix: twelve digits of time, the version, and the variant between the random ones.
      high = digits(17, 20) << 14 | (digits(20, 21) & 3) << 12 | digits(21, 24)
      middle = digits(24, 30)
      low = digits(30, 36)
    }
    return { high, middle, low }
  }
}

const messageBits = bits()
const subscriptionBits = bits()

/**
 * The id's UUID without its prefix, as a database's `uuid` column takes it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toUuid = (self: string): string => self.slice(4)

/**
 * The hexadecimal digits of a UUID with or without dashes, to put a prefix before.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromUuid = (uuid: string): string => uuid.length === 32 ? uuid : uuid.replaceAll("-", "")

/**
 * The time an id was made at, in milliseconds since 1970.
 *
 * @category conversions
 * @since 0.1.0
 */
export const timeOf = (self: string): number => Number.parseInt(self.slice(4, 16), 16)
