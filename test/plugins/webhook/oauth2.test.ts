import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { ServerResponse } from "node:http"
import * as EgressNode from "../../../src/egress/EgressNode.ts"
import * as Limits from "../../../src/Limits.ts"
import { provider } from "../../../src/plugins/webhook/index.ts"
import { eventually, served } from "../../support/served.ts"
import { type Answer, attemptAt, endpoint, type Got, loopback, nowMs, saved } from "./support.ts"

const clientSecret = "s%/+ :&=ß?"

const json = (value: unknown, status = 200): Answer => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value)
})

/** Gives tokens `t1`, `t2`, … */
const granting = (_: unknown, before: number) =>
  json({ access_token: `t${before + 1}`, token_type: "Bearer", expires_in: 3600 })

const granted = granting(undefined, 0)

const answer = (response: ServerResponse | undefined, { body, headers, status }: Answer) =>
  response?.writeHead(status ?? 200, headers).end(body)

/** An endpoint and a token endpoint, and a subscription that is bound to them. */
const world = Effect.fnUntraced(function*(options: {
  readonly config?: object
  readonly token?: (got: Got, before: number) => Answer
  readonly answer?: (got: Got, before: number) => Answer
} = {}) {
  const tokens = yield* endpoint(options.token ?? granting)
  const target = yield* endpoint(options.answer)
  const bound = yield* saved({
    url: target.url,
    authType: "oauth2",
    oauthTokenUrl: `${tokens.origin}/token?realm=a`,
    oauthClientId: "my client:ü",
    oauthClientSecret: clientSecret,
    ...options.config
  })
  const attempt = yield* attemptAt(nowMs)
  return {
    asked: tokens.requests,
    got: target.requests,
    used: () => target.requests.map(({ headers }) => headers.authorization),
    deliver: bound.deliver(attempt)
  }
})

describe("OAuth 2.0 client credentials", () => {
  it.live("are asked for with the client's id and secret in a header, in the form's encoding", () =>
    Effect.gen(function*() {
      const { asked, deliver, used } = yield* world()
      yield* deliver
      const { body, headers, method, path } = asked[0] ?? assert.fail("nobody asked")
      assert.strictEqual(method, "POST")
      assert.strictEqual(path, "/token?realm=a")
      assert.strictEqual(headers["content-type"], "application/x-www-form-urlencoded")
      const decoded = Buffer.from((headers.authorization ?? "").replace(/^Basic /u, ""), "base64").toString()
      const [id = "", secret = ""] = decoded.split(":")
      assert.deepStrictEqual([...new URLSearchParams(`id=${id}&secret=${secret}`)], [
        ["id", "my client:ü"],
        ["secret", clientSecret]
      ])
      assert.deepStrictEqual([...new URLSearchParams(body)], [["grant_type", "client_credentials"]])
      assert.deepStrictEqual(used(), ["Bearer t1"])
    }).pipe(Effect.provide(loopback)))

  it.live("are asked for with id and secret in the form on demand, with a scope and an audience", () =>
    Effect.gen(function*() {
      const { asked, deliver } = yield* world({
        config: {
          oauthClientAuth: "post",
          oauthScope: "hooks:write read",
          oauthAudience: "https://api.example.com/?a=b&c"
        }
      })
      yield* deliver
      assert.notProperty(asked[0]?.headers, "authorization")
      assert.deepStrictEqual([...new URLSearchParams(asked[0]?.body)].toSorted(), [
        ["audience", "https://api.example.com/?a=b&c"],
        ["client_id", "my client:ü"],
        ["client_secret", clientSecret],
        ["grant_type", "client_credentials"],
        ["scope", "hooks:write read"]
      ])
    }).pipe(Effect.provide(loopback)))

  it.live("give one token to all attempts, also to those at once", () =>
    Effect.gen(function*() {
      const { asked, deliver, used } = yield* world()
      yield* Effect.replicateEffect(deliver, 20, { concurrency: "unbounded" })
      yield* deliver
      assert.strictEqual(asked.length, 1)
      assert.strictEqual(used().length, 21)
      assert.deepStrictEqual([...new Set(used())], ["Bearer t1"])
    }).pipe(Effect.provide(loopback)))

  it.live("fail for all attempts at once with one request, and are asked for again by the next", () =>
    Effect.gen(function*() {
      const held: Array<ServerResponse> = []
      const { port } = yield* served((_, response) => void held.push(response))
      const { deliver, got } = yield* world({ config: { oauthTokenUrl: `http://127.0.0.1:${port}/` } })
      const attempts = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.flip(deliver), { startImmediately: true }),
        20
      )
      yield* eventually("somebody asks", () => held.length === 1)
      held[0]?.writeHead(503).end()
      for (const error of yield* Effect.forEach(attempts, Fiber.join)) {
        assert.deepInclude(error, { _tag: "Retryable", code: "OAuthFailed" })
      }
      assert.strictEqual(held.length, 1)
      const next = yield* Effect.forkChild(deliver)
      yield* eventually("it asks again", () => held.length === 2)
      answer(held[1], granted)
      yield* Fiber.join(next)
      assert.strictEqual(got.length, 1)
    }).pipe(Effect.provide(loopback)))

  it.live("go on for the others when the attempt that asked is interrupted, and end when nobody waits", () =>
    Effect.gen(function*() {
      const held: Array<ServerResponse> = []
      const { port } = yield* served((_, response) => void held.push(response))
      const { deliver, used } = yield* world({ config: { oauthTokenUrl: `http://127.0.0.1:${port}/` } })
      const begin = Effect.forkChild(deliver, { startImmediately: true })
      const attempts = [yield* begin, yield* begin] as const
      yield* eventually("somebody asks", () => held.length === 1)
      yield* Fiber.interrupt(attempts[0])
      answer(held[0], granted)
      yield* Fiber.join(attempts[1])
      assert.deepStrictEqual(used(), ["Bearer t1"])

      const other = yield* world({ config: { oauthTokenUrl: `http://127.0.0.1:${port}/` } })
      const alone = yield* Effect.forkChild(other.deliver)
      yield* eventually("it asks", () => held.length === 2)
      yield* Fiber.interrupt(alone)
      yield* eventually("its request is given up", () => held[1]?.destroyed === true)
    }).pipe(Effect.provide(loopback)))
})

describe("an OAuth token", () => {
  /** The tokens used by an attempt now, and by one after each of the times. */
  const usedAfter = (answer: object, ...waits: ReadonlyArray<Duration.Input>) =>
    Effect.gen(function*() {
      const { deliver, used } = yield* world({
        token: (_, before) => json({ access_token: `t${before + 1}`, token_type: "bearer", ...answer })
      })
      yield* deliver
      for (const wait of waits) {
        yield* TestClock.adjust(wait)
        yield* deliver
      }
      return used().map((header) => header?.replace("Bearer ", ""))
    }).pipe(Effect.provide(loopback))

  it.effect("is replaced shortly before it expires", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* usedAfter({ expires_in: 3600 }, "3569 seconds", "1 seconds"), ["t1", "t1", "t2"])
      assert.deepStrictEqual(yield* usedAfter({ expires_in: "3600" }, "3569 seconds", "1 seconds"), ["t1", "t1", "t2"])
    }))

  it.effect("that lives briefly is used for half of its life, and one without a life once", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* usedAfter({ expires_in: 20 }, "9 seconds", "1 seconds"), ["t1", "t1", "t2"])
      assert.deepStrictEqual(yield* usedAfter({ expires_in: 0 }, 0), ["t1", "t2"])
    }))

  it.effect("that does not say when it expires is used for five minutes, less the margin", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* usedAfter({}, "269 seconds", "1 seconds"), ["t1", "t1", "t2"])
    }))

  it.live("that the endpoint refuses is dropped, and the request sent once more with a new one", () =>
    Effect.gen(function*() {
      const { asked, deliver, got, used } = yield* world({
        answer: ({ headers }) => ({ status: headers.authorization === "Bearer t1" ? 401 : 200 })
      })
      assert.deepInclude(yield* deliver, { statusCode: 200 })
      yield* deliver
      assert.deepStrictEqual(used(), ["Bearer t1", "Bearer t2", "Bearer t2"])
      assert.strictEqual(asked.length, 2)
      // The same message, so that a receiver that counts them counts one.
      assert.strictEqual(got[0]?.headers["webhook-id"], got[1]?.headers["webhook-id"])
      assert.strictEqual(got[0]?.headers["webhook-signature"], got[1]?.headers["webhook-signature"])
    }).pipe(Effect.provide(loopback)))

  it.live("that is refused when it is new ends the delivery, as 401 does", () =>
    Effect.gen(function*() {
      const { asked, deliver, used } = yield* world({ answer: () => ({ status: 401, body: "who are you?" }) })
      const error = yield* Effect.flip(deliver)
      assert.deepInclude(error, { _tag: "Permanent", code: "HttpStatus", statusCode: 401 })
      assert.deepStrictEqual(used(), ["Bearer t1", "Bearer t2"])
      // The next one asks for no more than one either.
      yield* Effect.flip(deliver)
      assert.deepStrictEqual(used().slice(2), ["Bearer t2", "Bearer t3"])
      assert.strictEqual(asked.length, 3)
    }).pipe(Effect.provide(loopback)))

  it.live("that took a refused one's place is not dropped by a late refusal of the old one", () =>
    Effect.gen(function*() {
      const held: Array<ServerResponse> = []
      const used: Array<string | undefined> = []
      const { port } = yield* served((request, response) => {
        used.push(request.headers.authorization)
        if (used.length === 1) held.push(response)
        else response.writeHead(request.headers.authorization === "Bearer t1" ? 401 : 200).end()
      })
      const { asked, deliver } = yield* world({ config: { url: `http://127.0.0.1:${port}/` } })
      const late = yield* Effect.forkChild(deliver)
      yield* eventually("the first arrives", () => held.length === 1)
      yield* deliver
      assert.deepStrictEqual(used, ["Bearer t1", "Bearer t1", "Bearer t2"])
      held[0]?.writeHead(401).end()
      yield* Fiber.join(late)
      yield* deliver
      assert.deepStrictEqual(used.slice(3), ["Bearer t2", "Bearer t2"])
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(loopback)))

  it.live("that many attempts at once find refused is replaced once", () =>
    Effect.gen(function*() {
      const { asked, deliver } = yield* world({
        answer: ({ headers }) => ({ status: headers.authorization === "Bearer t1" ? 401 : 200 })
      })
      yield* Effect.replicateEffect(deliver, 20, { concurrency: "unbounded" })
      assert.strictEqual(asked.length, 2)
    }).pipe(Effect.provide(loopback)))
})

describe("a token endpoint", () => {
  const failed = (token: (got: Got) => Answer, config: object = {}) =>
    Effect.gen(function*() {
      const { deliver, got } = yield* world({ token, config })
      const error = yield* Effect.flip(deliver)
      assert.strictEqual(got.length, 0)
      assert.notInclude(JSON.stringify(error), clientSecret)
      assert.notProperty(error, "statusCode")
      return error
    })

  it.live("that refuses the client is tried again, and the error says what to check but never the secret", () =>
    Effect.gen(function*() {
      const refusals: ReadonlyArray<readonly [Answer, ReadonlyArray<string>]> = [
        [json({ error: "invalid_client", error_description: `bad secret ${clientSecret}` }, 401), [
          "invalid_client",
          "oauthClientSecret, which may have expired"
        ]],
        [{
          ...json({ error: "invalid_client" }, 401),
          headers: { "content-type": "application/json", "www-authenticate": "Basic realm=\"r\"" }
        }, ["invalid_client", "oauthClientSecret, which may have expired"]],
        [{ status: 401, headers: { "www-authenticate": "Basic" } }, ["HTTP 401", "oauthClientSecret"]],
        [json({ error: "invalid_scope" }, 400), ["invalid_scope", "oauthScope"]],
        [json({ error: "unauthorized_client" }, 400), ["unauthorized_client", "may use client credentials"]],
        [json({ error: clientSecret }, 400), ["HTTP 400", "oauthTokenUrl"]],
        [{ status: 404, body: "<h1>Not found</h1>" }, ["HTTP 404", "oauthTokenUrl"]],
        [{ status: 302, headers: { location: "/login" } }, ["HTTP 302", "oauthTokenUrl"]],
        [{ status: 503 }, ["HTTP 503", "it may pass"]],
        [{ status: 429 }, ["HTTP 429", "it may pass"]]
      ]
      for (const [answer, words] of refusals) {
        const error = yield* failed(() => answer)
        assert.deepInclude(error, { _tag: "Retryable", code: "OAuthFailed" })
        for (const word of words) assert.include(error.message, word)
      }
    }).pipe(Effect.provide(loopback)))

  it.live("that answers with what is no token is tried again", () =>
    Effect.gen(function*() {
      const token = { access_token: "t", token_type: "bearer" }
      const nonsense: ReadonlyArray<Answer> = [
        {},
        { status: 204 },
        { body: "access_token=t&token_type=bearer" },
        { headers: { "content-type": "text/html" }, body: "<p>" },
        { headers: { "content-type": "application/json" }, body: "{" },
        json(null),
        json([token]),
        json({ ...token, access_token: undefined }),
        json({ ...token, access_token: "" }),
        json({ ...token, access_token: 7 }),
        json({ ...token, access_token: "a\r\nx-admin: 1" }),
        json({ ...token, access_token: "ä" }),
        json({ ...token, access_token: "x".repeat(Limits.defaults.oauthTokenLength + 1) }),
        json({ ...token, token_type: undefined }),
        json({ ...token, token_type: "mac" }),
        json({ ...token, token_type: "DPoP" }),
        json({ ...token, expires_in: -1 }),
        json({ ...token, expires_in: "soon" }),
        json({ error: "invalid_client" }),
        json({ ...token, padding: "x".repeat(1_000_000) })
      ]
      for (const answer of nonsense) {
        const error = yield* failed(() => answer)
        assert.deepInclude(error, { _tag: "Retryable", code: "OAuthFailed" }, answer.body?.slice(0, 100))
        assert.include(error.message, "config.oauthTokenUrl")
      }
    }).pipe(Effect.provide(loopback)))

  it.live("that takes its time or is down is tried again; a slow one counts as slow", () =>
    Effect.gen(function*() {
      const silent = yield* served(() => {})
      const slow = yield* failed(() => granted, { oauthTokenUrl: `http://127.0.0.1:${silent.port}/` })
      assert.deepInclude(slow, { _tag: "Retryable", code: "OAuthFailed", timedOut: true })
      const down = yield* failed(() => granted, { oauthTokenUrl: "http://127.0.0.1:1/" })
      assert.deepInclude(down, { _tag: "Retryable", code: "OAuthFailed" })
      assert.notProperty(down, "timedOut")
      assert.include(down.message, "ECONNREFUSED")
    }).pipe(
      Effect.provide(
        EgressNode.layer({ allow: ["127.0.0.0/8"] }).pipe(Layer.provideMerge(Limits.layer({ requestTimeoutMs: 200 })))
      )
    ))

  it.live("in a forbidden place is refused for good", () =>
    Effect.gen(function*() {
      const bound = yield* provider.bind({
        url: "https://8.8.8.8/",
        authType: "oauth2",
        oauthTokenUrl: "http://10.0.0.1/token",
        oauthClientId: "c",
        oauthClientSecret: clientSecret
      })
      const error = yield* Effect.flip(bound.deliver(yield* attemptAt(nowMs)))
      assert.deepInclude(error, { _tag: "Permanent", code: "ForbiddenTarget" })
      assert.include(error.message, "config.oauthTokenUrl: 10.0.0.1 is not a public address")
    }).pipe(Effect.provide(EgressNode.layer())))
})
