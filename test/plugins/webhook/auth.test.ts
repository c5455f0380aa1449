import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References } from "effect"
import * as Hook from "../../../src/Hook.ts"
import * as Hookline from "../../../src/Hookline.ts"
import * as Note from "../../../src/Note.ts"
import * as WebhookPlugin from "../../../src/plugins/webhook/index.ts"
import type { RequestPreview } from "../../../src/Provider.ts"
import { Storage } from "../../../src/Storage.ts"
import * as StorageMemory from "../../../src/StorageMemory.ts"
import { Subscriptions } from "../../../src/Subscriptions.ts"
import { eventually } from "../../support/served.ts"
import { Created, IncidentPlugin, SecretsTest } from "../../support/world.ts"
import { attemptAt, endpoint, type Got, loopback, nowMs, saved } from "./support.ts"

/** Each `authType` but `mtls`, which needs HTTPS, with its secrets, among them what quotes and backslashes are escaped in. */
const kinds = (tokenUrl: string) => ({
  none: { config: {}, secrets: [] },
  bearer: { config: { bearerToken: "bear\"er\\secret" }, secrets: ["bear\"er\\secret"] },
  basic: {
    config: { basicUsername: "jürgen", basicPassword: "basic:secret" },
    secrets: ["basic:secret", Buffer.from("jürgen:basic:secret").toString("base64")]
  },
  header: { config: { authHeaderName: "X-Api-Key", authHeaderValue: "header secret" }, secrets: ["header secret"] },
  oauth2: {
    config: { oauthTokenUrl: tokenUrl, oauthClientId: "client", oauthClientSecret: "client-secret" },
    secrets: ["client-secret", "access-secret"]
  },
  sigv4: {
    config: {
      awsAccessKeyId: "AKID",
      awsSecretAccessKey: "aws-secret",
      awsSessionToken: "session-secret",
      awsRegion: "eu-central-1",
      awsService: "execute-api"
    },
    secrets: ["aws-secret", "session-secret"]
  }
})

const tokenEndpoint = endpoint(() => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ access_token: "access-secret", token_type: "bearer" })
}))

/** Holds a secret, as it is or as it stands in JSON, once or twice over. */
const tells = (text: string, secret: string) =>
  [secret, JSON.stringify(secret), JSON.stringify(JSON.stringify(secret))].some((form) =>
    text.includes(form.replace(/^(?:\\?")+|(?:\\?")+$/gu, ""))
  )

/** An endpoint that repeats what it gets in its headers and its body, and accepts it or not. */
const repeating = (status: number) =>
  endpoint(({ body, headers }) => ({
    status,
    headers: { "x-repeated": String(headers.authorization ?? headers["x-api-key"] ?? "") },
    body: JSON.stringify({ id: headers.authorization ?? headers["x-api-key"] ?? "", headers, body })
  }))

/** The headers that the transport writes. */
const transport = new Set(["host", "connection", "content-length"])

const pairs = ({ rawHeaders }: Got) =>
  rawHeaders.flatMap((name, i) =>
    i % 2 === 0 && !transport.has(name.toLowerCase()) ? [{ name, value: rawHeaders[i + 1] ?? "" }] : []
  )

describe("a webhook's authentication", () => {
  it.live("is the header that its kind says", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* endpoint()
      const sent = Effect.fnUntraced(function*(config: object) {
        const bound = yield* saved({ url, ...config })
        yield* bound.deliver(yield* attemptAt(nowMs))
        return requests.at(-1)?.headers ?? assert.fail("it did not arrive")
      })
      assert.strictEqual((yield* sent({ authType: "bearer", bearerToken: "t0ken" })).authorization, "Bearer t0ken")
      const basic = yield* sent({ authType: "basic", basicUsername: "jürgen", basicPassword: "a:b" })
      const credentials = Buffer.from((basic.authorization ?? "").slice(6), "base64").toString("utf8")
      assert.strictEqual(credentials, "jürgen:a:b")
      const header = yield* sent({ authType: "header", authHeaderName: "X-Api-Key", authHeaderValue: "k" })
      assert.strictEqual(header["x-api-key"], "k")
      const agent = yield* sent({ authType: "header", authHeaderName: "User-Agent", authHeaderValue: "k" })
      assert.strictEqual(agent["user-agent"], "k")
      const none = yield* sent({ bearerToken: "t0ken", basicUsername: "u", basicPassword: "p" })
      assert.notProperty(none, "authorization")
    }).pipe(Effect.provide(loopback)))

  it.live("is shown in previews, and noted of attempts, that are the request, but for its secrets", () =>
    Effect.gen(function*() {
      const tokens = yield* tokenEndpoint
      const { origin, requests } = yield* endpoint()
      for (const [authType, { config, secrets }] of Object.entries(kinds(tokens.url))) {
        const bound = yield* saved({
          url: `${origin}/ä/{{ payload.b }}?x=[1]+2#fragment`,
          method: "PUT",
          customHeaders: [{ name: "X-Id", value: "{{ payload.b }}" }],
          authType,
          ...config
        })
        const attempt = yield* attemptAt(nowMs)
        const asked = tokens.requests.length
        const preview: RequestPreview = yield* bound.preview?.(attempt) ?? Effect.die("it has no preview")
        assert.strictEqual(tokens.requests.length, asked, "a preview asks nobody for a token")
        for (const secret of secrets) assert.isFalse(tells(JSON.stringify(preview), secret), authType)
        const note = Note.make()
        yield* Effect.provideService(bound.deliver(attempt), Note.Note, note)
        assert.deepStrictEqual(note.request, preview, "what is noted of an attempt is the preview")
        const got = requests.at(-1) ?? assert.fail("it did not arrive")
        assert.strictEqual(preview.method, got.method)
        assert.strictEqual(preview.url, `${origin}${got.path}`)
        assert.strictEqual(preview.body, got.body)
        const wire = pairs(got)
        assert.deepStrictEqual(preview.headers.map(({ name }) => name), wire.map(({ name }) => name), authType)
        const hidden = preview.headers.flatMap(({ name, value }, i) =>
          value === wire[i]?.value ? [] : [{ name, value }]
        )
        assert.deepStrictEqual(hidden.map(({ name }) => name), shown[authType] ?? [], authType)
        for (const { value } of hidden) {
          assert.match(value, /^(Bearer |Basic |AWS4-HMAC-SHA256 Credential=AKID\/.*)?\*{3}$/u)
        }
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is in no error and no record of an attempt, also where the endpoint repeats it", () =>
    Effect.gen(function*() {
      const tokens = yield* tokenEndpoint
      for (const [authType, { config, secrets }] of Object.entries(kinds(tokens.url))) {
        for (const status of [200, 400, 401, 500]) {
          const { requests, url } = yield* repeating(status)
          const bound = yield* saved({ url, authType, ...config })
          const outcome = yield* bound.deliver(yield* attemptAt(nowMs)).pipe(
            Effect.match({ onFailure: (error) => error, onSuccess: (delivered) => delivered })
          )
          assert.isAtLeast(requests.length, 1)
          assert.deepInclude(outcome, { statusCode: status })
          // What is kept is the answer and nothing less.
          assert.include(JSON.stringify(outcome.response), "webhook-signature")
          for (const secret of secrets) assert.isFalse(tells(JSON.stringify(outcome), secret), `${authType} ${status}`)
        }
      }
    }).pipe(Effect.provide(loopback)))

  it.live("is neither in what is stored of a delivery nor in the log", () => {
    const logged: Array<string> = []
    const logger = Logger.make((entry) => void logged.push(JSON.stringify(Logger.formatJson.log(entry))))
    return Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const storage = yield* Storage
      const tokens = yield* tokenEndpoint
      const { url } = yield* repeating(500)
      const all = kinds(tokens.url)
      for (const [authType, { config }] of Object.entries(all)) {
        yield* subscriptions.create({
          name: authType,
          events: ["incident.*"],
          providerId: "webhook.webhook",
          config: { url, authType, ...config },
          retry: { type: "delays", delaysMs: [] }
        })
      }
      yield* Hook.emit(Created, { incidentId: "i1", systemIds: [] })
      const failed = storage.listDeliveries({ status: "failed" }, { cursor: undefined, limit: 100 })
      yield* eventually(
        "all deliveries fail",
        () => Effect.map(failed, ({ length }) => length === Object.keys(all).length)
      )
      const records = yield* Effect.forEach(yield* failed, ({ id }) => storage.getDelivery(id))
      const stored = JSON.stringify([records, yield* storage.subscriptions])
      assert.include(stored, "x-repeated")
      assert.isNotEmpty(logged)
      for (const { secrets } of Object.values(all)) {
        for (const secret of secrets) {
          assert.isFalse(tells(stored, secret), secret)
          assert.isFalse(tells(logged.join("\n"), secret), secret)
        }
      }
    }).pipe(
      Effect.provide(
        Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, WebhookPlugin.plugin) }).pipe(
          Layer.provideMerge(StorageMemory.layer),
          Layer.provide([SecretsTest, loopback])
        )
      ),
      Effect.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "All")])
    )
  })
})

/** The headers whose values a preview covers. */
const shown: Readonly<Record<string, ReadonlyArray<string>>> = {
  bearer: ["authorization"],
  basic: ["authorization"],
  header: ["X-Api-Key"],
  oauth2: ["authorization"],
  sigv4: ["x-amz-security-token", "authorization"]
}
