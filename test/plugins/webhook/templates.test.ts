import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Schema } from "effect"
import { Egress } from "../../../src/Egress.ts"
import * as EgressNode from "../../../src/egress/EgressNode.ts"
import * as Hook from "../../../src/Hook.ts"
import * as Hookline from "../../../src/Hookline.ts"
import * as Limits from "../../../src/Limits.ts"
import * as WebhookPlugin from "../../../src/plugins/webhook/index.ts"
import { Storage } from "../../../src/Storage.ts"
import * as StorageMemory from "../../../src/StorageMemory.ts"
import { Subscriptions } from "../../../src/Subscriptions.ts"
import { eventually } from "../../support/served.ts"
import { Created, IncidentPlugin, SecretsTest } from "../../support/world.ts"
import { attemptAt, endpoint, loopback, nowMs, refused, saved, url } from "./support.ts"

/** What is sent for a payload. */
const sent = Effect.fnUntraced(function*(config: object, payload: Schema.Json = {}) {
  const { origin, requests } = yield* endpoint()
  const bound = yield* saved({ url: `${origin}/`, ...config })
  const attempt = yield* attemptAt(nowMs, { payloadJson: JSON.stringify(payload) })
  yield* bound.deliver(attempt)
  return { attempt, request: requests[0] ?? assert.fail("it did not arrive") }
})

/** Why nothing is sent for a payload. */
const failed = Effect.fnUntraced(function*(config: object, payload: Schema.Json = {}) {
  const bound = yield* WebhookPlugin.provider.bind({ url, ...config })
  const attempt = yield* attemptAt(nowMs, { payloadJson: JSON.stringify(payload) })
  const error = yield* Effect.flip(bound.deliver(attempt))
  const previewed = yield* Effect.flip(bound.preview?.(attempt) ?? Effect.die("it has no preview"))
  assert.deepInclude(previewed, { _tag: error._tag, code: error.code })
  return error
})

const nothingSent = Effect.provideService(Egress, {
  check: () => Effect.void,
  send: () => Effect.die("it sends nothing")
})

describe("a webhook's origin", () => {
  it.effect("is where its URL goes, unless a template decides that", () =>
    Effect.gen(function*() {
      const origins = yield* Effect.forEach([
        "https://example.com:443/a?b",
        "https://example.com/{{ payload.id }}",
        "https://{{ payload.id }}.example.com/",
        "http://127.0.0.1:8080/"
      ], (url) => Effect.map(WebhookPlugin.provider.bind({ url }), ({ origin }) => origin))
      assert.deepStrictEqual(origins, [
        "https://example.com",
        "https://example.com",
        undefined,
        "http://127.0.0.1:8080"
      ])
    }))
})

describe("a webhook's templates", () => {
  it.live("stand in the URL, in the values of headers and in the body, with the seed's context", () =>
    Effect.gen(function*() {
      const { origin, requests } = yield* endpoint()
      const names = [
        "deliveryId",
        "eventType",
        "eventId",
        "timestamp",
        "subscriptionId",
        "subscriptionName",
        "payload.title"
      ]
      const bound = yield* saved({
        url: `${origin}/{{ eventType }}/{{ payload.id }}?name={{subscriptionName}}`,
        customHeaders: [{ name: "X-Id", value: "{{payload.id}} of {{ deliveryId }}" }, {
          name: "X-Plain",
          value: "{}"
        }],
        bodyTemplate: `{${names.map((name) => `"${name}": "{{ ${name} }}"`).join(",")}}`
      })
      const payload = { id: "a/b ä", title: "\"quoted\"\nand \\ more" }
      const attempt = yield* attemptAt(nowMs, { payloadJson: JSON.stringify(payload) })
      yield* bound.deliver(attempt)
      const { body, headers, path } = requests[0] ?? assert.fail("it did not arrive")
      assert.strictEqual(path, "/incident.incident.created/a%2Fb%20%C3%A4?name=the%20%22first%22")
      // On the wire a header's characters are bytes of Latin-1.
      assert.strictEqual(headers["x-id"], `${payload.id} of ${attempt.deliveryId}`)
      assert.strictEqual(headers["x-plain"], "{}")
      assert.deepStrictEqual(JSON.parse(body), {
        deliveryId: attempt.deliveryId,
        eventType: "incident.incident.created",
        eventId: "incident.incident.created",
        timestamp: new Date(attempt.message.timestampMs).toISOString(),
        subscriptionId: attempt.subscription.id,
        subscriptionName: "the \"first\"",
        "payload.title": payload.title
      })
    }).pipe(Effect.provide(loopback)))

  it.live("write a missing value as nothing, wherever it stands", () =>
    Effect.gen(function*() {
      const { request } = yield* sent({
        customHeaders: [{ name: "x-missing", value: "<{{ payload.none }}>" }],
        bodyTemplate: "{\"a\": \"{{ payload.none.deeper }}\", \"b\": {{ payload.none | json }}}"
      })
      assert.strictEqual(request.headers["x-missing"], "<>")
      assert.deepStrictEqual(JSON.parse(request.body), { a: "", b: null })
    }).pipe(Effect.provide(loopback)))

  it.live("give a URL whose fragment stays at home", () =>
    Effect.gen(function*() {
      const { origin, requests } = yield* endpoint()
      const bound = yield* saved({ url: `${origin}/{{ payload.id }}#{{ payload.id }}` })
      const attempt = yield* attemptAt(nowMs, { payloadJson: "{\"id\":\"i\"}" })
      yield* bound.deliver(attempt)
      assert.strictEqual(requests[0]?.path, "/i")
      const preview = yield* bound.preview?.(attempt) ?? Effect.die("it has no preview")
      assert.strictEqual(preview.url, `${origin}/i`)
    }).pipe(Effect.provide(loopback)))

  it.effect("are refused when they are saved, with the field's path, the line and the column", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [config: object, path: string, place: string]> = [
        [{ url: "https://example.com/{{ payload.id }" }, "config.url", "Line 1, column 21: "],
        [{ url: "https://example.com/{{ paylod.id }}" }, "config.url", "Line 1, column 24: "],
        [
          { customHeaders: [{ name: "x", value: "v" }, { name: "y", value: "{{ payload.id | upcas }}" }] },
          "config.customHeaders[1].value",
          "Line 1, column 1: "
        ],
        [{ bodyTemplate: "{\n  \"a\": {% if payload.b %}1\n}" }, "config.bodyTemplate", "Line 2, column 8: "],
        [
          { bodyTemplate: `{{ payload }}${" ".repeat(Limits.defaults.templateLength)}` },
          "config.bodyTemplate",
          "Line 1"
        ]
      ]
      for (const [config, path, place] of cases) {
        const error = yield* refused(config)
        assert.strictEqual(error.path, path)
        assert.isTrue(error.message.startsWith(place), error.message)
      }
    }))
})

describe("a webhook's template that fails", () => {
  it.effect("for good ends the delivery with the field and the reason, and nothing is sent", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [config: object, payload: Schema.Json, message: RegExp]> = [
        [
          { customHeaders: [{ name: "x", value: "{{ payload.id }}" }] },
          { id: "a\r\nx-admin: 1" },
          /^config\.customHeaders\[0\]\.value: .*U\+000D/u
        ],
        [{ customHeaders: [{ name: "x", value: "{{ payload.id }}" }] }, { id: "\u2028" }, /U\+2028/u],
        [
          { bodyTemplate: "{% for i in (1..3000) %}{{ payload.id }}{% endfor %}" },
          { id: "x".repeat(1000) },
          /longer than/u
        ],
        [
          {
            bodyTemplate: "{% assign a = payload.id %}{% for i in (1..100) %}{% assign a = a | append: a %}{% endfor %}"
          },
          { id: "x" },
          /^config\.bodyTemplate: .*more than/u
        ],
        [{ url: "https://example.com/{{ payload.id }}/x" }, { id: ".." }, /^config\.url: .*segment/u]
      ]
      for (const [config, payload, message] of cases) {
        const error = yield* failed(config, payload)
        assert.deepInclude(error, { _tag: "Permanent", code: "TemplateFailed" })
        assert.match(error.message, message)
      }
    }).pipe(nothingSent, Effect.provide(Limits.layer({ templateRenderMs: 60_000 }))))

  it.effect("to end in time is tried again, as it may have less to do then", () =>
    Effect.gen(function*() {
      const endless = "{% for i in (1..9999) %}{% for j in (1..9999) %}{% assign a = j %}{% endfor %}{% endfor %}"
      const error = yield* failed({ bodyTemplate: endless })
      assert.deepInclude(error, { _tag: "Retryable", code: "TemplateFailed" })
      assert.match(error.message, /^config\.bodyTemplate: .*takes longer than 20 ms/u)
      // Its endpoint was not slow.
      assert.notProperty(error, "timedOut")
    }).pipe(
      nothingSent,
      Effect.provide(Limits.layer({ templateRenderMs: 20 }))
    ))

  it.effect("to give a URL ends the delivery", () =>
    Effect.gen(function*() {
      for (const target of ["", "nonsense", "http://", "http://[/", "//example.com/"]) {
        const error = yield* failed({ url: "{{ payload.target }}" }, { target })
        assert.deepInclude(error, { _tag: "Permanent", code: "MalformedUrl" }, target)
        assert.include(error.message, "config.url")
      }
    }).pipe(nothingSent))
})

describe("a target that a template renders", () => {
  it.live("is judged at each send: a forbidden one, another scheme or credentials end the delivery", () =>
    Effect.gen(function*() {
      const templated = { url: "{{ payload.target }}" }
      const bound = yield* saved(templated)
      const cases: ReadonlyArray<readonly [target: string, message: string]> = [
        ["http://127.0.0.1:9/", "127.0.0.1 is not a public address"],
        ["http://2130706433/", "127.0.0.1 is not a public address"],
        ["http://[::ffff:10.0.0.1]/", "not a public address"],
        ["http://169.254.169.254/latest/meta-data", "169.254.169.254 is not a public address"],
        ["file:///etc/passwd", "file: is not allowed"],
        ["javascript:alert(1)", "javascript: is not allowed"],
        ["https://user:hunter2@example.com/", "credentials in the URL are not allowed"]
      ]
      for (const [target, message] of cases) {
        const attempt = yield* attemptAt(nowMs, { payloadJson: JSON.stringify({ target }) })
        const error = yield* Effect.flip(bound.deliver(attempt))
        assert.deepInclude(error, { _tag: "Permanent", code: "ForbiddenTarget" }, target)
        assert.include(error.message, message)
        assert.notInclude(error.message, "hunter2")
      }
    }).pipe(Effect.provide(EgressNode.layer())))

  it.live("is judged when it is saved, as far as the template says where it is", () =>
    Effect.gen(function*() {
      for (
        const url of [
          "http://127.0.0.1/{{ payload.id }}",
          "http://127.0.0.1:8080?{{ payload.id }}",
          "  http://2130706433/{% if payload.id %}a{% endif %}",
          "http://u:p@example.com/{{ payload.id }}"
        ]
      ) assert.strictEqual((yield* Effect.flip(saved({ url }))).path, "config.url", url)
      for (
        const url of [
          "http://127.0.0.{{ payload.id }}/",
          "http://127.0.0.1{{ payload.id }}",
          "{{ payload.scheme }}://127.0.0.1/",
          "{% if payload.id %}http://127.0.0.1/{% endif %}"
        ]
      ) yield* saved({ url })
    }).pipe(Effect.provide(EgressNode.layer())))

  it.live("and is forbidden ends as a failed delivery whose record says why", () =>
    Effect.gen(function*() {
      const subscriptions = yield* Subscriptions
      const storage = yield* Storage
      yield* subscriptions.create({
        name: "templated",
        events: ["incident.*"],
        providerId: "webhook.webhook",
        config: { url: "http://{{ payload.incidentId }}/" }
      })
      yield* Hook.emit(Created, { incidentId: "127.0.0.1:9", systemIds: [] })
      const failed = storage.listDeliveries({ status: "failed" }, { cursor: undefined, limit: 10 })
      yield* eventually("the delivery fails", () => Effect.map(failed, (found) => found.length === 1))
      const [delivery] = yield* failed
      const found = yield* storage.getDelivery(delivery?.id ?? assert.fail("there is none"))
      const attempts = found._tag === "Some" ? found.value.attempts : []
      assert.strictEqual(attempts.length, 1)
      assert.deepInclude(attempts[0], { outcome: "permanent" })
      assert.include(JSON.stringify(attempts[0]), "127.0.0.1 is not a public address")
    }).pipe(
      Effect.provide(
        Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, WebhookPlugin.plugin) }).pipe(
          Layer.provideMerge(StorageMemory.layer),
          Layer.provide([SecretsTest, EgressNode.layer()])
        )
      )
    ))
})
