import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { Egress } from "../../src/Egress.ts"
import { provider } from "../../src/plugins/webhook/index.ts"
import * as Provider from "../../src/Provider.ts"
import * as ProviderSuite from "../../src/testing/ProviderSuite.ts"
import { casesOf } from "../../src/testing/ProviderSuiteCases.ts"

const url = "https://example.com/hook"

const bearerToken = "tok-not-to-be-seen"

ProviderSuite.suite("the webhook provider", {
  provider,
  layer: Layer.empty,
  validConfig: { url, authType: "bearer", bearerToken },
  refusedConfigs: [
    { config: {}, path: "config.url" },
    { config: { url, method: "GET" }, path: "config.method" },
    { config: { url: "no url" }, path: "config.url" },
    { config: { url, authType: "bearer" }, path: "config.bearerToken" },
    { config: { url, authType: "bearer", bearerToken: `${bearerToken}\n` }, path: "config.bearerToken" },
    { config: { url, timeoutMs: 1 }, path: "config.timeoutMs" },
    {
      config: { url, customHeaders: [{ name: "a", value: "b" }, { name: "content-length", value: "1" }] },
      path: "config.customHeaders[1].name"
    }
  ]
})

const sends = Effect.fnUntraced(function*(authorization: string) {
  const egress = yield* Egress
  const request = { method: "POST", url, headers: ["authorization", authorization], body: "{}" }
  const { headers, statusCode } = yield* egress.send(request).pipe(
    Effect.catchTags({
      ForbiddenTarget: ({ message }) => new Provider.PermanentError({ code: "ForbiddenTarget", message }),
      EgressTimeout: ({ message }) => new Provider.RetryableError({ code: "Timeout", message, timedOut: true }),
      ConnectionFailed: ({ code, message }) => new Provider.RetryableError({ code, message })
    })
  )
  if (statusCode < 300) return { statusCode }
  const failure = { code: "HttpStatus", message: `HTTP ${statusCode}`, statusCode }
  if (statusCode === 410) return yield* new Provider.GoneError(failure)
  if (statusCode !== 429 && statusCode < 500) return yield* new Provider.PermanentError(failure)
  return yield* new Provider.RetryableError({ ...failure, retryAfterMs: 1000 * (Number(headers["retry-after"]) || 0) })
})

ProviderSuite.suite("a provider with connections", {
  provider: Provider.make({
    id: "connected",
    displayName: "Connected",
    config: Schema.Struct({ room: Schema.String }),
    connection: Schema.Struct({ token: Schema.Redacted(Schema.String) }),
    bind: (_, { token }) => ({ check: Effect.void, deliver: () => sends(Redacted.value(token)) })
  }),
  layer: Layer.empty,
  validConfig: { room: "a" },
  validConnection: { token: bearerToken },
  refusedConfigs: [{ config: {}, path: "config.room" }]
})

/** The cases that a provider fails whose every attempt is `deliver`. */
const failed = Effect.fnUntraced(function*(
  deliver: (
    token: string,
    attempt: Provider.Attempt
  ) => Effect.Effect<Provider.Delivered, Provider.ProviderError, Egress>
) {
  const cases = casesOf({
    provider: Provider.make({
      id: "bad",
      displayName: "Bad",
      config: Schema.Struct({ token: Schema.Redacted(Schema.String) }),
      bind: ({ token }): Provider.Bound<Egress> => ({
        check: Effect.void,
        deliver: (attempt) => deliver(Redacted.value(token), attempt)
      })
    }),
    layer: Layer.empty,
    validConfig: { token: bearerToken },
    refusedConfigs: [{ config: {}, path: "config.token" }],
    answers: ProviderSuite.http
  })
  const results = yield* Effect.forEach(
    Object.entries(cases),
    ([sentence, proof]) => Effect.map(Effect.exit(proof), (exit) => exit._tag === "Failure" ? [sentence] : [])
  )
  return results.flat()
})

const sent = Effect.flatMap(Egress, (egress) => egress.send({ method: "POST", url, headers: [], body: "{}" }))

const Titled = Schema.fromJsonString(Schema.Struct({ title: Schema.String }))

const decodeTitled = (payloadJson: string) =>
  Option.getOrElse(Schema.decodeUnknownOption(Titled)(payloadJson), () => ({ title: "" }))

describe("ProviderSuite", () => {
  it.effect("finds a provider out that calls everything a success", () =>
    Effect.gen(function*() {
      assert.includeMembers(yield* failed(() => Effect.as(Effect.exit(sent), { statusCode: 200 })), [
        "a failure that may pass is retryable",
        "a message that is refused for good fails for good",
        "an endpoint that is gone is told as gone",
        "the wait that is asked for is told in milliseconds",
        "an endpoint that does not answer ends as a timeout, which is retryable",
        "a connection that can't be made, or breaks, is retryable",
        "a target that is forbidden when it is sent to fails for good"
      ])
    }))

  it.effect("finds a provider out that goes past the door, and one that does not end", () =>
    Effect.gen(function*() {
      const past = yield* failed(() => Effect.succeed({}))
      assert.include(past, "a message is delivered, through the door to the outside")
      const endless = yield* failed(() => Effect.uninterruptible(Effect.orDie(Effect.as(sent, {}))))
      assert.include(endless, "an attempt can be interrupted, and its request with it")
    }))

  it.effect("finds a provider out that keeps what endpoints repeat", () =>
    Effect.gen(function*() {
      const keeps = yield* failed((token) =>
        Effect.flatMap(Egress, (egress) =>
          Effect.orDie(egress.send({ method: "POST", url, headers: ["authorization", token], body: "{}" })).pipe(
            Effect.map(({ body, headers, statusCode }) => ({ statusCode, response: { headers, body } }))
          ))
      )
      assert.include(keeps, "no secret is in an error, nor in what is kept of an attempt")
    }))

  it.effect("finds a provider out that shows its secrets, and one that throws", () =>
    Effect.gen(function*() {
      const shows = yield* failed((token) =>
        Effect.andThen(
          Effect.exit(sent),
          Effect.fail(new Provider.PermanentError({ code: "Refused", message: `the token ${token} was refused` }))
        )
      )
      assert.include(shows, "no secret is in an error, nor in what is kept of an attempt")
      assert.include(
        yield* failed(() => Effect.andThen(Effect.exit(sent), Effect.die(new Error("oops")))),
        "an answer that makes no sense is an outcome, never a defect"
      )
    }))

  it.effect("finds a provider out that puts a payload's text into a header as it is", () =>
    Effect.gen(function*() {
      const titled = (write: (title: string) => string) =>
        failed((_, { message }) =>
          Effect.gen(function*() {
            const { title } = decodeTitled(message.payloadJson)
            const egress = yield* Egress
            const headers = ["x-title", write(title)]
            yield* Effect.mapError(
              egress.send({ method: "POST", url, headers, body: "{}" }),
              ({ message }) => new Provider.RetryableError({ code: "ConnectionFailed", message })
            )
            return {}
          })
        )
      const sentence = "a payload with a text that no header can hold is delivered or refused for good"
      assert.include(yield* titled((title) => title), sentence)
      assert.notInclude(yield* titled((title) => encodeURIComponent(title.toWellFormed())), sentence)
    }))
})
