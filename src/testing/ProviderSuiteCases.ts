/**
 * The cases of the providers' conformance suite: each a sentence, and what proves it of a provider.
 */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Egress } from "../Egress.ts"
import * as Id from "../Id.ts"
import { Limits } from "../Limits.ts"
import * as Provider from "../Provider.ts"
import * as SecretFields from "../SecretFields.ts"
import * as EgressFake from "./EgressFake.ts"
import * as Endpoints from "./Endpoints.ts"
import type { Answers, Harness } from "./ProviderSuite.ts"
import * as Requests from "./Requests.ts"

/**
 * A provider under test, with what its system answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bench<R> extends Harness<R> {
  readonly answers: Answers
}

/**
 * The cases of a provider, each in a world of its own on `TestClock`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const casesOf = <R>(bench: Bench<R>): Readonly<Record<string, Effect.Effect<void, unknown>>> => {
  const world = bench.layer.pipe(Layer.provideMerge(EgressFake.layer))
  const proofs = { ...configuring(bench), ...delivering(bench), ...failing(bench), ...robust(bench) }
  return Object.fromEntries(
    Object.entries(proofs).map(([sentence, proof]) => [
      sentence,
      // Some time after 1970, by which an attempt and the clock agree.
      Effect.andThen(TestClock.setTime(nowMs), inWorld(world, proof))
    ])
  )
}

// --- internal ---

type Proofs<R> = Readonly<
  Record<string, Effect.Effect<void, unknown, R | Egress | Endpoints.Endpoints | Requests.Requests>>
>

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5)

const inWorld = <R>(world: Layer.Layer<R, unknown>, proof: Effect.Effect<void, unknown, R>) =>
  Effect.scoped(Effect.flatMap(Layer.build(world), (context) => Effect.provideContext(proof, context)))

const signingSecret = `whsec_${Buffer.from("a signing secret of 32 bytes ok.").toString("base64")}`

const payloadOf = <R>({ payload }: Bench<R>): Schema.Json => payload ?? { id: "1", title: "A thing happened" }

/** Binds the valid configuration, to an attempt that the endpoints answer by a script. */
const prepared = <R>(bench: Bench<R>, script: Endpoints.Script, payloadJson = JSON.stringify(payloadOf(bench))) =>
  Effect.gen(function*() {
    const { provider, validConfig, validConnection } = bench
    yield* Endpoints.otherwise(script)
    const bound = yield* provider.bind(validConfig, { connection: validConnection })
    const attempt: Provider.Attempt = {
      deliveryId: yield* Id.deliveryId(nowMs),
      number: 1,
      nowMs,
      message: {
        id: yield* Id.messageId(nowMs),
        eventId: provider.supportedEvents?.[0] ?? "suite.thing.happened",
        tenantId: "default",
        timestampMs: nowMs - 1000,
        payloadJson
      },
      subscription: { id: yield* Id.subscriptionId(nowMs), name: "the suite's" },
      signingSecrets: [Redacted.make(signingSecret)]
    }
    return { bound, attempt }
  })

/** Makes that attempt. */
const attempt = <R>(bench: Bench<R>, script: Endpoints.Script, payloadJson?: string) =>
  Effect.flatMap(prepared(bench, script, payloadJson), ({ attempt, bound }) => bound.deliver(attempt))

/** The error of an attempt that fails. */
const failure = <R>(bench: Bench<R>, script: Endpoints.Script) =>
  Effect.flip(attempt(bench, script)).pipe(
    Effect.flatMap((error) => error._tag === "ConfigRefused" ? Effect.die(error) : Effect.succeed(error))
  )

/** Not waited for when the case ends: it may be one that does not end. */
const begun = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkDetach(effect, { startImmediately: true })

const refusal = <R>({ provider, validConnection }: Bench<R>, config: Schema.Json) =>
  Effect.flip(
    Effect.flatMap(provider.bind(config, { closed: true, connection: validConnection }), (bound) => bound.check)
  )

const configuring = <R>(bench: Bench<R>): Proofs<R> => ({
  "a valid configuration is accepted": Effect.gen(function*() {
    const { provider, validConfig, validConnection } = bench
    yield* provider.connection?.check(validConnection, { closed: true }) ?? Effect.void
    const bound = yield* provider.bind(validConfig, { closed: true, connection: validConnection })
    yield* bound.check
  }),
  ...Object.fromEntries(bench.refusedConfigs.map(({ config, path }, i) => [
    `a configuration is refused at ${path} (${i + 1})`,
    Effect.gen(function*() {
      const error = yield* refusal(bench, config)
      assert.strictEqual(error.path, path)
      assert.isNotEmpty(error.message)
    })
  ])),
  "a field that is not known is refused, as it may be misspelt": Effect.gen(function*() {
    const { message, path } = yield* refusal(bench, { ...bench.validConfig, noSuchField: "a" })
    assert.include(`${path} ${message}`, "noSuchField")
  })
})

const delivering = <R>(bench: Bench<R>): Proofs<R> => ({
  "a message is delivered, through the door to the outside": Effect.gen(function*() {
    assert.strictEqual(outcomeOf(yield* Effect.exit(attempt(bench, bench.answers.success))), "Delivered")
    assert.isNotEmpty(yield* Requests.all)
  }),
  "what is told of an attempt as an exchange is what it sends, and what it makes of the answer": Effect.gen(
    function*() {
      const { gone, permanent, retryable, success } = bench.answers
      for (const script of [success, retryable, permanent, ...(gone === false ? [] : [gone]), [Endpoints.refuses()]]) {
        const { attempt, bound } = yield* prepared(bench, script)
        yield* Effect.exit(bound.deliver(attempt))
        const exchange = bound.exchange?.(attempt)
        if (!exchange) return
        const delivered = yield* Effect.result(bound.deliver(attempt))
        const [sent] = (yield* Requests.all).slice(-1)
        yield* Endpoints.otherwise(script)
        const judged = exchange.judge(yield* Effect.result(Egress.use((egress) => egress.send(exchange.request))))
        const [again] = (yield* Requests.all).slice(-1)
        assert.deepStrictEqual(again, sent)
        assert.strictEqual(JSON.stringify(judged), JSON.stringify(delivered))
      }
    }
  ),
  "whatever a payload holds, it is delivered or refused for good: trying again would not help": Effect.gen(function*() {
    for (const payloadJson of oddPayloads) {
      const exit = yield* Effect.exit(attempt(bench, bench.answers.success, payloadJson))
      const tag = outcomeOf(exit)
      assert.oneOf(tag, ["Delivered", "Permanent"], `the payload ${payloadJson.slice(0, 100)}`)
    }
  }),
  "a payload with a text that no header can hold is delivered or refused for good": Effect.gen(function*() {
    for (const text of oddTexts) {
      // One field at a time: a provider may refuse another one first.
      for (const payload of replaced(payloadOf(bench), text)) {
        const payloadJson = JSON.stringify(payload)
        const tag = outcomeOf(yield* Effect.exit(attempt(bench, bench.answers.success, payloadJson)))
        assert.oneOf(tag, ["Delivered", "Permanent"], `the payload ${payloadJson.slice(0, 100)}`)
      }
    }
  })
})

const failing = <R>(bench: Bench<R>): Proofs<R> => {
  const answers = bench.answers
  const { gone, retryAfter } = answers
  return {
    "a failure that may pass is retryable": Effect.gen(function*() {
      assert.strictEqual((yield* failure(bench, answers.retryable))._tag, "Retryable")
    }),
    "a message that is refused for good fails for good": Effect.gen(function*() {
      assert.strictEqual((yield* failure(bench, answers.permanent))._tag, "Permanent")
    }),
    ...(gone === false ? {} : {
      "an endpoint that is gone is told as gone": Effect.gen(function*() {
        assert.strictEqual((yield* failure(bench, gone))._tag, "Gone")
      })
    }),
    ...(retryAfter === false ? {} : {
      "the wait that is asked for is told in milliseconds": Effect.gen(function*() {
        const error = yield* failure(bench, retryAfter(7))
        assert.deepInclude(error, { _tag: "Retryable", retryAfterMs: 7000 })
      })
    }),
    "an endpoint that does not answer ends as a timeout, which is retryable": Effect.gen(function*() {
      const { attemptTimeoutMs } = yield* Limits
      const fiber = yield* begun(failure(bench, [Endpoints.hangs]))
      yield* TestClock.adjust(attemptTimeoutMs)
      assert.isDefined(fiber.pollUnsafe(), `the attempt goes on after ${attemptTimeoutMs} ms`)
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "Retryable", timedOut: true })
    }),
    "a connection that can't be made, or breaks, is retryable": Effect.gen(function*() {
      assert.strictEqual((yield* failure(bench, [Endpoints.refuses()]))._tag, "Retryable")
      assert.strictEqual((yield* failure(bench, [Endpoints.breaks()]))._tag, "Retryable")
    }),
    "a target that is forbidden when it is sent to fails for good": Effect.gen(function*() {
      yield* attempt(bench, answers.success)
      for (const { url } of yield* Requests.all) yield* Endpoints.forbid(url)
      assert.deepInclude(yield* failure(bench, answers.success), { _tag: "Permanent", code: "ForbiddenTarget" })
    })
  }
}

const robust = <R>(bench: Bench<R>): Proofs<R> => ({
  "an attempt can be interrupted, and its request with it": Effect.gen(function*() {
    const fiber = yield* begun(attempt(bench, [Endpoints.hangs]))
    yield* TestClock.adjust(1)
    fiber.interruptUnsafe()
    yield* TestClock.adjust(1)
    const exit = fiber.pollUnsafe()
    assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit), "the attempt goes on, or ended otherwise")
    const requests = yield* Requests.all
    assert.deepStrictEqual(requests.at(-1)?.result, { _tag: "Interrupted" })
  }),
  "an answer that makes no sense is an outcome, never a defect": Effect.gen(function*() {
    for (const status of [200, 201, 204, 299, 301, 304, 400, 401, 404, 418, 429, 500, 599]) {
      for (const body of oddBodies) {
        const exit = yield* Effect.exit(attempt(bench, [Endpoints.reply(status, { body })]))
        const tag = outcomeOf(exit)
        assert.oneOf(tag, ["Delivered", "Retryable", "Permanent", "Gone"], `HTTP ${status} with the body ${body}`)
      }
    }
  }),
  "no secret is in an error, nor in what is kept of an attempt": Effect.gen(function*() {
    const answers = bench.answers
    const { connection } = bench.provider
    const secrets = [
      ...(yield* secretsOf(bench.provider.config, bench.validConfig)),
      ...(connection ? yield* secretsOf(connection.schema, bench.validConnection ?? null) : [])
    ]
    const { gone, permanent, retryable, success } = answers
    const scripts = [success, retryable, permanent, ...(gone === false ? [] : [gone]), [Endpoints.refuses()]]
    for (const script of scripts) {
      assertWithout([...secrets, signingSecret], yield* Effect.exit(attempt(bench, script)))
    }
    // Endpoints repeat what they got.
    for (const status of [200, 400, 401, 410, 503]) {
      const repeats: Endpoints.Script = ({ body, headers, url }) =>
        Endpoints.reply(status, {
          headers: { "x-repeated": Object.values(headers).join(", ") },
          body: [url, headers, body]
        })
      assertWithout([...secrets, signingSecret], yield* Effect.exit(attempt(bench, repeats)))
    }
    for (const { config } of bench.refusedConfigs) {
      assertWithout(yield* secretsOf(bench.provider.config, config), yield* Effect.exit(refusal(bench, config)))
    }
  })
})

/** What came of an attempt, in one word; what is none of the contract's is told as it is. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return isDelivered(exit.value) ? "Delivered" : JSON.stringify(exit.value)
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return isProviderError(error) ? error._tag : Cause.pretty(exit.cause)
}

const isDelivered = Schema.is(Provider.Delivered)

const isProviderError = Schema.is(Provider.ProviderError)

/** Secret texts long enough to be recognised. */
const secretsOf = Effect.fnUntraced(function*(schema: Schema.Constraint, config: Schema.Json) {
  const found: Array<string> = []
  yield* SecretFields.map(schema, config, (secret) =>
    Effect.sync(() => {
      if (secret.length >= 4) found.push(secret)
      return secret
    }))
  return found
})

const assertWithout = (secrets: ReadonlyArray<string>, exit: Exit.Exit<unknown, unknown>): void => {
  const shown = Exit.isSuccess(exit)
    ? JSON.stringify(exit.value)
    : `${Cause.pretty(exit.cause)} ${JSON.stringify(Cause.squash(exit.cause))}`
  for (const secret of secrets) {
    for (const form of [secret, Buffer.from(secret).toString("base64"), encodeURIComponent(secret)]) {
      // The assertion's own message must not show it either.
      assert.isFalse(shown.includes(form), "a secret is shown")
    }
  }
}

const oddPayloads = [
  "{}",
  "[]",
  "null",
  "\"\"",
  "{\"\":{\"a\":[1e21,-0.5,true,null]}}",
  JSON.stringify({ text: "\"quoted\" \\ </script> {{ 1 }} {% if %} ${1} \u2028 é 日本 🧪 \r\n\t\0 \ud800" }),
  JSON.stringify({ long: "x".repeat(10_000) })
]

const oddTexts = ["a\r\nx-evil: 1", "a\nb", "\0", "日本 🧪", "\ud800"]

/** A value with one of its texts replaced, for each of them. */
const replaced = (value: Schema.Json, text: string): ReadonlyArray<Schema.Json> => {
  if (typeof value === "string") return [text]
  if (Array.isArray(value)) {
    return value.flatMap((item, i) => replaced(item, text).map((item) => value.with(i, item)))
  }
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, item]) => replaced(item, text).map((item) => ({ ...value, [key]: item })))
    : []
}

const oddBodies = [
  "",
  " ",
  "not JSON",
  "{",
  "null",
  "0",
  "\"text\"",
  "[]",
  "{}",
  "{\"ok\":1,\"error\":{},\"id\":[]}",
  "\0",
  "<html>"
]
