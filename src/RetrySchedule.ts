/**
 * Typed retry schedules: an Effect `Schedule` over the provider's typed error, bounded in attempts and age. A schedule's step
 * is stateful, so the delay after a failure is found by replaying the stored failures through a fresh one, with `Random`
 * seeded by the delivery: the same answer before and after a restart.
 */
import { Duration, Effect, Option, Random, Schedule, Schema } from "effect"
import { defaults } from "./Limits.ts"
import type { RetryableError } from "./Provider.ts"
import { told } from "./Told.ts"

// -- models

/**
 * A retry schedule.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetrySchedule {
  readonly schedule: Schedule.Schedule<unknown, RetryableError>
  /** Attempts in all, the first included. */
  readonly maxAttempts: number
  /** Age of a delivery, since its first attempt, beyond which no attempt is due any more, also where an endpoint asks to wait. */
  readonly maxAgeMs: number | undefined
}

const delayMs = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: defaults.retryDelayMs }))

/**
 * The JSON form, by which a subscription chooses a schedule over the API.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RetryJson = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("delays").pipe(told("Each delay by itself")),
    delaysMs: Schema.Array(delayMs).check(Schema.isMaxLength(defaults.retryDelays)).pipe(
      told("The delay before each further attempt, in milliseconds: an empty list is one attempt")
    )
  }),
  Schema.Struct({
    type: Schema.Literal("exponential").pipe(told("Delays that grow")),
    baseMs: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.retryDelayMs })).pipe(
      told("The first delay, in milliseconds")
    ),
    factor: Schema.Finite.check(Schema.isBetween({ minimum: 1, maximum: 100 })).pipe(
      told("By which each next delay is longer")
    ),
    capMs: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.retryDelayMs })).pipe(
      told("The longest delay, in milliseconds")
    ),
    maxAttempts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: defaults.attemptsPerDelivery })).pipe(
      told("Attempts in all, the first included")
    ),
    jitter: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).pipe(
      told("The share of a delay by which it may vary either way, 0 to 1")
    ),
    maxAgeMs: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0))).pipe(
      told("How long after the message no attempt is made any more, in milliseconds")
    )
  }),
  Schema.Struct({
    type: Schema.Literal("preset").pipe(told("One of Hookline's own")),
    name: Schema.Literals(["seed", "standardWebhooks"]).pipe(told("Which one"))
  })
]).annotate({ identifier: "RetrySchedule" })
/** @category models @since 0.1.0 */
export type RetryJson = typeof RetryJson.Type

// The presets below use it, so it stands above them.
const vary = (
  schedule: Schedule.Schedule<number>,
  jitter: number,
  capMs = Number.POSITIVE_INFINITY
): Schedule.Schedule<number> =>
  jitter === 0
    ? schedule
    : schedule.pipe(Schedule.modifyDelay(({ duration }) =>
      Effect.map(Random.next, (random) =>
        Duration.millis(Math.min(capMs, Duration.toMillis(duration) * (1 - jitter + 2 * jitter * random))))
    ))

// -- constructors

/**
 * Makes a retry schedule of an Effect schedule. One that needs an environment is refused by type, because it could not be
 * replayed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSchedule = (
  schedule: Schedule.Schedule<unknown, RetryableError>,
  options?: { readonly maxAttempts?: number; readonly maxAgeMs?: number }
): RetrySchedule => ({
  schedule,
  maxAttempts: Math.min(options?.maxAttempts ?? defaults.attemptsPerDelivery, defaults.attemptsPerDelivery),
  maxAgeMs: options?.maxAgeMs
})

/**
 * Makes a schedule of explicit delays in milliseconds: one more attempt than delays. `jitter` is the share of a delay by
 * which it may vary either way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const delays = (delaysMs: ReadonlyArray<number>, options?: { readonly jitter?: number }): RetrySchedule =>
  fromSchedule(
    vary(
      Schedule.recurs(delaysMs.length).pipe(
        Schedule.modifyDelay(({ output }) => Effect.succeed(Duration.millis(delaysMs[output] ?? 0)))
      ),
      options?.jitter ?? 0
    ),
    { maxAttempts: delaysMs.length + 1 }
  )

const minute = 60_000
const hour = 60 * minute

/**
 * The seed's delays, 1, 5 and 15 minutes: four attempts.
 *
 * @category presets
 * @since 0.1.0
 */
export const seed: RetrySchedule = delays([minute, 5 * minute, 15 * minute])

/**
 * The schedule that Standard Webhooks recommends, with a jitter of 10 %: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h,
 * 24 h. The default.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#deliverability-and-reliability
 * @category presets
 * @since 0.1.0
 */
export const standardWebhooks: RetrySchedule = delays(
  [5000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour],
  { jitter: 0.1 }
)

/**
 * The schedule of a JSON form.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromJson = (json: RetryJson): RetrySchedule => {
  switch (json.type) {
    case "delays":
      return delays(json.delaysMs)
    case "preset":
      return json.name === "seed" ? seed : standardWebhooks
    case "exponential": {
      const { baseMs, capMs, factor, jitter, maxAgeMs, maxAttempts } = json
      const schedule = Schedule.recurs(maxAttempts - 1).pipe(
        Schedule.modifyDelay(({ output }) =>
          Effect.succeed(Duration.millis(Math.min(capMs, baseMs * factor ** output)))
        )
      )
      return fromSchedule(vary(schedule, jitter, capMs), {
        maxAttempts,
        ...(maxAgeMs === undefined ? {} : { maxAgeMs })
      })
    }
  }
}

// -- replaying

/**
 * A failed attempt: when it ended, in milliseconds since 1970, and with what.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly atMs: number
  readonly error: RetryableError
}

/**
 * The delay after the last of a delivery's failures, in milliseconds; none when the schedule is exhausted.
 *
 * **Details**
 *
 * `history` holds the failures since the first attempt or the last manual retry, oldest first. A schedule that throws counts
 * as exhausted, with a logged error; a delay is at most `retryDelayMs`. None goes on for longer than `maxAgeMs`, whatever it
 * says itself.
 *
 * @category combinators
 * @since 0.1.0
 */
export const next = (self: RetrySchedule, options: {
  readonly history: ReadonlyArray<Failure>
  readonly seed: string
  readonly maxAgeMs?: number
}): Effect.Effect<Option.Option<number>> => {
  const { history } = options
  const maxAgeMs = Math.min(self.maxAgeMs ?? Number.POSITIVE_INFINITY, options.maxAgeMs ?? Number.POSITIVE_INFINITY)
  const last = history.at(-1)
  const first = history[0]
  if (!first || !last || history.length >= self.maxAttempts) return Effect.succeed(Option.none())
  return Effect.gen(function*() {
    const step = yield* Schedule.toStep(self.schedule)
    let delay = 0
    for (const { atMs, error } of history) {
      const [, duration] = yield* step(atMs, error)
      delay = Math.min(defaults.retryDelayMs, Math.ceil(Duration.toMillis(duration)))
    }
    const waitMs = Math.max(delay, Math.min(last.error.retryAfterMs ?? 0, defaults.retryAfterCapMs))
    const tooOld = last.atMs + waitMs - first.atMs > maxAgeMs
    return tooOld ? Option.none<number>() : Option.some(delay)
  }).pipe(
    Random.withSeed(options.seed),
    Effect.catchDefect((defect) =>
      Effect.as(
        Effect.logError("A retry schedule threw: the delivery counts as exhausted", defect).pipe(
          Effect.annotateLogs("deliveryId", options.seed)
        ),
        Option.none<number>()
      )
    ),
    // A step that ends the schedule fails with its last output.
    Effect.catchCause(() => Effect.succeed(Option.none<number>()))
  )
}

/**
 * The delays between a delivery's first `count` attempts and the next, in milliseconds, if every attempt failed at once.
 *
 * @category combinators
 * @since 0.1.0
 */
export const preview = (self: RetrySchedule, options: {
  readonly count: number
  readonly error: RetryableError
  readonly seed: string
}): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const history: Array<Failure> = []
    const found: Array<number> = []
    let atMs = 0
    while (found.length < options.count) {
      history.push({ atMs, error: options.error })
      const delay = yield* next(self, { history, seed: options.seed })
      if (Option.isNone(delay)) break
      found.push(delay.value)
      atMs += delay.value
    }
    return found
  })
