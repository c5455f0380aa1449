import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Random, Redacted, Schedule, Schema } from "effect"
import * as Delivery from "../src/Delivery.ts"
import * as Id from "../src/Id.ts"
import { defaults } from "../src/Limits.ts"
import * as Message from "../src/Message.ts"
import * as Provider from "../src/Provider.ts"
import * as RetrySchedule from "../src/RetrySchedule.ts"
import * as Secrets from "../src/Secrets.ts"
import * as Signature from "../src/Signature.ts"
import { SecretsTest } from "./support/world.ts"

const error = new Provider.RetryableError({ code: "HttpStatus", message: "HTTP 500", statusCode: 500 })
const failures = (times: ReadonlyArray<number>) => times.map((atMs) => ({ atMs, error }))
const time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 45 }))
const ms = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600_000 }))

describe("ids", () => {
  it.effect("of deliveries are made of their message's and their subscription's, with the message's time", () =>
    Effect.gen(function*() {
      const made = new Set<string>()
      for (let n = 0; n < 20; n++) {
        const message = yield* Id.messageId(1_700_000_000_000 + n)
        for (let m = 0; m < 20; m++) {
          const subscription = yield* Id.subscriptionId(m)
          const id = Id.deliveryOf(message, subscription)
          assert.isTrue(Schema.is(Id.DeliveryId)(id), id)
          assert.strictEqual(Id.timeOf(id), 1_700_000_000_000 + n)
          Id.deliveryOf(yield* Id.messageId(1), yield* Id.subscriptionId(2))
          assert.strictEqual(Id.deliveryOf(message, subscription), id)
          made.add(id)
        }
      }
      assert.strictEqual(made.size, 400)
    }))

  it.effect.prop("tell the time they were made at and sort by it", [time, time], ([a, b]) =>
    Effect.gen(function*() {
      const [first, second] = [yield* Id.messageId(a), yield* Id.messageId(b)]
      assert.strictEqual(Id.timeOf(first), a)
      if (a !== b) assert.strictEqual(first < second, a < b)
      assert.strictEqual(`msg_${Id.fromUuid(Id.toUuid(first))}`, first)
      assert.isTrue(Schema.is(Id.MessageId)(first))
      assert.isFalse(Schema.is(Id.DeliveryId)(first))
    }))

  it.effect("of one millisecond differ", () =>
    Effect.gen(function*() {
      const ids = yield* Effect.forEach(Array.from({ length: 10_000 }), () => Id.messageId(1))
      assert.strictEqual(new Set(ids).size, ids.length)
    }))
})

describe("slots", () => {
  it.effect.prop(
    "are 1024, one for each ordering key of a tenant",
    [Schema.String, time],
    ([key, at]) =>
      Effect.gen(function*() {
        const [id, other] = [yield* Id.messageId(at), yield* Id.messageId(at)]
        const slot = Message.slotOf({ id, tenantId: "t", orderingKey: key })
        assert.isTrue(Number.isInteger(slot) && slot >= 0 && slot < 1024)
        assert.strictEqual(Message.slotOf({ id: other, tenantId: "t", orderingKey: key }), slot)
      })
  )

  it.effect("of messages without a key are spread evenly", () =>
    Effect.gen(function*() {
      const counts = new Map<number, number>()
      for (let n = 0; n < 102_400; n++) {
        const slot = Message.slotOf({ id: yield* Id.messageId(n), tenantId: "t", orderingKey: undefined })
        counts.set(slot, (counts.get(slot) ?? 0) + 1)
      }
      assert.strictEqual(counts.size, 1024)
      assert.isBelow(Math.max(...counts.values()), 200)
    }))
})

describe("retry schedules", () => {
  it.effect.prop(
    "of delays give each delay once, then none",
    [Schema.Array(ms)],
    ([delaysMs]) =>
      Effect.gen(function*() {
        const schedule = RetrySchedule.delays(delaysMs)
        const found = yield* RetrySchedule.preview(schedule, { count: delaysMs.length + 5, error, seed: "s" })
        assert.deepStrictEqual(found, delaysMs)
      })
  )

  it.effect("whose delay is endless or no number wait for the longest delay there is, or not at all", () =>
    Effect.gen(function*() {
      const of = (delay: Duration.Duration) =>
        RetrySchedule.next(
          RetrySchedule.fromSchedule(Schedule.recurs(3).pipe(Schedule.modifyDelay(() => Effect.succeed(delay)))),
          { history: failures([0]), seed: "s" }
        )
      assert.deepStrictEqual(yield* of(Duration.infinity), Option.some(defaults.retryDelayMs))
      assert.deepStrictEqual(yield* of(Duration.millis(Number.NaN)), Option.some(0))
    }))

  it.effect("end where the endpoint asks to wait beyond the delivery's greatest age", () =>
    Effect.gen(function*() {
      const schedule = RetrySchedule.fromSchedule(RetrySchedule.delays([1000, 1000]).schedule, { maxAgeMs: 60_000 })
      const next = (retryAfterMs: number) =>
        RetrySchedule.next(schedule, {
          history: [{
            atMs: 0,
            error: new Provider.RetryableError({ code: "HttpStatus", message: "m", retryAfterMs })
          }],
          seed: "s"
        })
      assert.deepStrictEqual(yield* next(60_000), Option.some(1000))
      assert.deepStrictEqual(yield* next(60_001), Option.none())
    }))

  it.effect.prop(
    "give the same answer for the same history, before and after a restart",
    [Schema.String, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))],
    ([seed, n]) =>
      Effect.gen(function*() {
        const history = failures(Array.from({ length: n }, (_, i) => i * 1000))
        const first = yield* RetrySchedule.next(RetrySchedule.standardWebhooks, { history, seed })
        yield* Random.next
        assert.deepStrictEqual(yield* RetrySchedule.next(RetrySchedule.standardWebhooks, { history, seed }), first)
        assert.isTrue(Option.isSome(first))
      })
  )

  it.effect.prop("that are exponential stay within jitter and cap, and end", [
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 })),
    Schema.Finite.check(Schema.isBetween({ minimum: 1, maximum: 4 })),
    Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))
  ], ([baseMs, factor, jitter, maxAttempts]) =>
    Effect.gen(function*() {
      const capMs = 60_000
      const json = { type: "exponential", baseMs, factor, capMs, maxAttempts, jitter } as const
      const found = yield* RetrySchedule.preview(RetrySchedule.fromJson(json), { count: 50, error, seed: "s" })
      assert.strictEqual(found.length, maxAttempts - 1)
      for (const [i, delay] of found.entries()) {
        const base = Math.min(capMs, baseMs * factor ** i)
        assert.isAtLeast(delay, Math.floor(base * (1 - jitter)))
        assert.isAtMost(delay, Math.min(capMs, Math.ceil(base * (1 + jitter))))
      }
    }))

  it.effect("the seed's has three delays, and the third is reached", () =>
    Effect.gen(function*() {
      const found = yield* RetrySchedule.preview(RetrySchedule.seed, { count: 10, error, seed: "s" })
      assert.deepStrictEqual(found, [60_000, 300_000, 900_000])
    }))

  it.effect("decide by the typed error, and one that throws counts as exhausted", () =>
    Effect.gen(function*() {
      const picky = RetrySchedule.fromSchedule(
        Schedule.spaced("1 second").pipe(
          Schedule.setInputType<Provider.RetryableError>(),
          Schedule.while(({ input }) => input.statusCode !== 500)
        )
      )
      assert.isTrue(Option.isNone(yield* RetrySchedule.next(picky, { history: failures([0]), seed: "s" })))
      const thrower = RetrySchedule.fromSchedule(
        Schedule.spaced("1 second").pipe(Schedule.while((): boolean => {
          throw new Error("oops")
        }))
      )
      assert.isTrue(Option.isNone(yield* RetrySchedule.next(thrower, { history: failures([0]), seed: "s" })))
    }))
})

describe("a delivery", () => {
  const id = Effect.runSync(Id.deliveryId(0))
  const context: Parameters<typeof Delivery.step>[2] = {
    nowMs: 1000,
    startedAtMs: 400,
    nextDelayMs: 5000,
    retryAfterCapMs: 60_000,
    errorLength: 10
  }

  it.prop(
    "is never due earlier than its schedule or the endpoint asked, up to the cap",
    [ms, ms],
    ([delay, retryAfterMs]) => {
      const { transition } = Delivery.step(
        { id, attemptCount: 0, retryBase: 0 },
        { _tag: "Failed", error: new Provider.RetryableError({ code: "HttpStatus", message: "m", retryAfterMs }) },
        { ...context, nextDelayMs: delay }
      )
      assert.deepInclude(transition, {
        _tag: "Retry",
        dueAtMs: context.nowMs + Math.max(delay, Math.min(retryAfterMs, context.retryAfterCapMs))
      })
    }
  )

  it("ends as a success, exhausted, permanent or gone, and only the last disables its subscription", () => {
    const ends: ReadonlyArray<readonly [Delivery.Outcome, number | undefined, string, string | undefined, boolean]> = [
      [{ _tag: "Delivered", delivered: { statusCode: 200 } }, 1, "success", undefined, false],
      [{ _tag: "Failed", error }, undefined, "failed", "exhausted", false],
      [
        { _tag: "Failed", error: new Provider.PermanentError({ code: "c", message: "m" }) },
        1,
        "failed",
        "permanent",
        false
      ],
      [{ _tag: "Failed", error: new Provider.GoneError({ code: "c", message: "m" }) }, 1, "failed", "gone", true]
    ]
    for (const [outcome, nextDelayMs, status, reason, disables] of ends) {
      const step = Delivery.step({ id, attemptCount: 3, retryBase: 0 }, outcome, { ...context, nextDelayMs })
      const { transition } = step
      assert.deepStrictEqual(transition._tag === "Final" ? [transition.status, transition.reason] : [], [
        status,
        reason
      ])
      assert.strictEqual(step.disableSubscription, disables)
      assert.strictEqual(step.attempt.number, 4)
      assert.strictEqual(step.attempt.durationMs, 600)
    }
  })

  it("remembers an error so that it can be replayed, and an interruption so that it does not count", () => {
    const step = Delivery.step({ id, attemptCount: 0, retryBase: 0 }, { _tag: "Failed", error }, context)
    const replayed = Delivery.errorOf(step.attempt)
    assert.deepInclude(Option.getOrThrow(replayed), { code: "HttpStatus", statusCode: 500, message: "HTTP 500" })
    const interrupted = Delivery.step({ id, attemptCount: 0, retryBase: 0 }, { _tag: "Interrupted" }, context)
    assert.deepInclude(interrupted.transition, { _tag: "Retry", dueAtMs: context.nowMs })
    assert.isTrue(Option.isNone(Delivery.errorOf(interrupted.attempt)))
  })
})

describe("signatures", () => {
  const nowMs = 1_700_000_000_000
  it.effect.prop(
    "verify for every body, and for no other",
    [Schema.String, Schema.String],
    ([body, other]) =>
      Effect.gen(function*() {
        const secret = yield* Signature.generateSecret
        const key = yield* Signature.parseSecret(secret)
        const message = { id: "msg_1", timestampSeconds: nowMs / 1000, body }
        const headers = {
          "webhook-id": message.id,
          "webhook-timestamp": String(message.timestampSeconds),
          "webhook-signature": Signature.sign([key], message)
        }
        yield* Signature.verify({ headers, body, secrets: [secret], nowMs })
        const verify = (changed: string, at: number) =>
          Effect.flip(Signature.verify({ headers, body: changed, secrets: [secret], nowMs: at }))
        // Halves of a surrogate pair are the same bytes on the wire.
        if (other.toWellFormed() !== body.toWellFormed()) {
          assert.deepInclude(yield* verify(other, nowMs), { reason: "no-match" })
        }
        assert.deepInclude(yield* verify(body, nowMs + 301_000), { reason: "too-old" })
        assert.deepInclude(yield* verify(body, nowMs - 301_000), { reason: "too-new" })
      })
  )

  it.effect("a secret holds 24 to 64 bytes of strict base64, and a refusal never shows it", () =>
    Effect.gen(function*() {
      const of = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`
      for (const good of [of(24), of(64)]) yield* Signature.parseSecret(Redacted.make(good))
      for (const bad of [of(23), of(65), "whsec_%%%", of(32).slice(6), `${of(32)} `, "whsec_"]) {
        const refused = yield* Effect.flip(Signature.parseSecret(Redacted.make(bad)))
        assert.notInclude(refused.message, bad.slice(6) || "%")
      }
    }))
})

describe("secrets", () => {
  it.effect.prop(
    "open in their own context, and fail typed in another or when changed",
    [Schema.String],
    ([drawn]) =>
      Effect.gen(function*() {
        // Half a surrogate pair is no text that UTF-8 can hold.
        const text = drawn.toWellFormed()
        const secrets = yield* Secrets.Secrets
        const sealed = yield* secrets.seal(Redacted.make(text), "sub_1")
        assert.strictEqual(Redacted.value(yield* secrets.open(sealed, "sub_1")), text)
        yield* Effect.flip(secrets.open(sealed, "sub_2"))
        const changed = sealed.slice(0, 14) + (sealed[14] === "A" ? "B" : "A") + sealed.slice(15)
        yield* Effect.flip(secrets.open(changed, "sub_1"))
      }).pipe(Effect.provide(SecretsTest))
  )

  it.effect("do not open with a part of their nonce or tag", () =>
    Effect.gen(function*() {
      const secrets = yield* Secrets.Secrets
      const [version, keyId, text = ""] = (yield* secrets.seal(Redacted.make(""), "sub_1")).split(":")
      const bytes = Buffer.from(text, "base64url")
      assert.strictEqual(bytes.length, 28)
      for (let length = 0; length < bytes.length; length++) {
        const short = `${version}:${keyId}:${bytes.subarray(0, length).toString("base64url")}`
        const { message } = yield* Effect.flip(secrets.open(short, "sub_1"))
        assert.include(message, "too short for a sealed text")
      }
    }).pipe(Effect.provide(SecretsTest)))
})
