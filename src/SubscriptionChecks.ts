/**
 * What a subscription is checked for before it is saved: the rules that apply when it is used.
 */
import { Effect, Schema } from "effect"
import * as Filter from "./Filter.ts"
import type { Limits } from "./Limits.ts"
import * as Nearest from "./Nearest.ts"
import type { Registry } from "./Registry.ts"
import * as Retention from "./Retention.ts"
import { RetryJson } from "./RetrySchedule.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import * as Storable from "./Storable.ts"
import { isEventPattern, matchesEvent } from "./Subscription.ts"

/**
 * The subscription is refused: the caller's fault, at a field.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubscriptionRefused extends Schema.TaggedError<SubscriptionRefused>()("SubscriptionRefused", {
  path: Schema.String,
  message: Schema.String
}) {}

/**
 * Makes the checks, by what a program's plugins bring.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (registry: Registry["Service"], limits: Limits) => {
  const refuse = (path: string, message: string) => new SubscriptionRefused({ path, message })

  const provider = Effect.fnUntraced(function*(providerId: string) {
    const found = yield* registry.provider(providerId)
    if (found) return found
    const known = (yield* registry.providers).filter((item) => !item.queue).map((item) => item.providerId)
    return yield* refuse(
      "providerId",
      `There is no provider "${providerId}"; known are ${known.join(", ") || "none"}`
    )
  })

  const checkText = (path: string, text: string, length: number) => {
    const refusal = Storable.refusal(text, { length, mayBeEmpty: path === "description" })
    return refusal === undefined ? Effect.void : refuse(path, refusal)
  }

  const checkEvents = Effect.fnUntraced(function*(
    events: ReadonlyArray<string>,
    supported: ReadonlyArray<string> | undefined
  ) {
    if (events.length === 0 || events.length > limits.eventPatterns) {
      return yield* refuse("events", `Expected 1 to ${limits.eventPatterns} event ids or patterns`)
    }
    const known = (yield* registry.events).map((event) => event.eventId)
    for (const [i, event] of events.entries()) {
      const path = `events[${i}]`
      if (!isEventPattern(event) || event.length > limits.keyLength) {
        return yield* refuse(path, "Expected an event id, a prefix that ends in .* or *")
      }
      if (event.endsWith("*")) continue
      if (!known.includes(event)) {
        return yield* refuse(path, `There is no event "${event}"${Nearest.suggestion(event, known)}`)
      }
      if (supported && !supported.includes(event)) {
        return yield* refuse(path, `The provider can't deliver "${event}"; it delivers ${supported.join(", ")}`)
      }
    }
  })

  const checkConfig = Effect.fnUntraced(function*(
    providerId: string,
    config: Schema.Json,
    connection: Schema.Json | undefined
  ) {
    if (new TextEncoder().encode(JSON.stringify(config)).length > limits.configBytes) {
      return yield* refuse("config", `Expected at most ${limits.configBytes} bytes of JSON`)
    }
    const unstorable = Storable.pathOfUnstorable(config, ["config"])
    if (unstorable) return yield* refuse(SchemaErrors.formatPath(unstorable), Storable.expected)
    const found = yield* provider(providerId)
    yield* found.bind(config, { closed: true, connection }).pipe(
      Effect.flatMap((bound) => bound.check),
      Effect.mapError((error) => refuse(error.path, error.message))
    )
    return found
  })

  const checkRetry = (retry: Schema.Json | undefined) =>
    retry === undefined || retry === null
      ? Effect.succeed(undefined)
      : Schema.decodeUnknownEffect(RetryJson)(retry).pipe(Effect.mapError((error) => {
        const { message, path } = SchemaErrors.first(error, ["retry"])
        return refuse(path, message)
      })).pipe(Effect.tap((retry) => {
        const { retryMaxAgeMs } = Retention.within(limits)
        return retry.type === "exponential" && (retry.maxAgeMs ?? 0) > retryMaxAgeMs
          ? refuse("retry.maxAgeMs", `Expected at most ${retryMaxAgeMs}, which is as long as history is kept`)
          : Effect.void
      }))

  const checkFilter = Effect.fnUntraced(function*(json: Schema.Json, patterns: ReadonlyArray<string>) {
    const matched = (yield* registry.events).filter((event) =>
      patterns.some((pattern) => matchesEvent(pattern, event.eventId))
    )
    const unstorable = Storable.pathOfUnstorable(json, ["filter"])
    if (unstorable) return yield* refuse(SchemaErrors.formatPath(unstorable), Storable.expected)
    return yield* Filter.decode(json).pipe(
      Effect.tap((filter) => Filter.check(filter, matched)),
      Effect.mapError((error) => refuse(error.path, error.message))
    )
  })

  const filterOf = (json: Schema.Json | undefined, patterns: ReadonlyArray<string>) =>
    json === undefined || json === null ? Effect.succeed(undefined) : checkFilter(json, patterns)

  const checkOrdered = Effect.fnUntraced(function*(patterns: ReadonlyArray<string>) {
    const keyless = (yield* registry.events).find((event) =>
      !event.hasOrderingKey && patterns.some((pattern) => matchesEvent(pattern, event.eventId))
    )
    if (keyless) {
      return yield* refuse(
        "ordered",
        `Messages of "${keyless.eventId}" have no ordering key: give its hook an orderingKey, or subscribe to others`
      )
    }
  })

  const decoded = <A>(path: string, schema: Schema.Codec<A, Schema.Json>, json: Schema.Json | undefined) =>
    json === undefined || json === null
      ? Effect.succeed(undefined)
      : Schema.decodeUnknownEffect(schema)(json, { onExcessProperty: "error" }).pipe(Effect.mapError((error) => {
        const first = SchemaErrors.first(error, [path])
        return refuse(first.path, first.message)
      }))

  const MaxConcurrency = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: limits.maxConcurrency }))

  return {
    MaxConcurrency,
    checkConfig,
    checkEvents,
    checkFilter,
    checkOrdered,
    checkRetry,
    checkText,
    decoded,
    filterOf,
    provider,
    refuse
  }
}
