import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Client from "../../src/http/Client.ts"
import * as Provider from "../../src/Provider.ts"
import { freePort } from "../support/runner.ts"
import { served } from "../support/served.ts"
import { Endpoints } from "../support/world.ts"
import { adminKey, emission, eventually, port, server } from "./support.ts"

const clientOf = (url: string, key = adminKey) =>
  Effect.provide(Client.make({ url, key: Redacted.make(key) }), FetchHttpClient.layer)

const client = Effect.flatMap(port, (port) => clientOf(`http://127.0.0.1:${port}`))

const endpoints = new Endpoints()
endpoints.behaviours.set(
  "refusing",
  () => Effect.fail(new Provider.PermanentError({ code: "HttpStatus", message: "HTTP 400", statusCode: 400 }))
)

const subscription = {
  name: "a",
  events: ["incident.*"],
  providerId: "test.endpoint",
  config: { name: "refusing" }
}

describe("the typed client", () => {
  layer(server({ endpoints }), { excludeTestServices: true })((it) => {
    it.effect("emits, subscribes, reads and retries, and hears what is recorded", () =>
      Effect.gen(function*() {
        const api = yield* client
        const events = yield* api.stream.listen({ query: {}, headers: {} })
        const heard = yield* Effect.forkChild(Stream.runHead(events))
        const made = yield* api.subscriptions.create({ payload: subscription })
        assert.match(made.signingSecret, /^whsec_/u)
        const { id } = yield* api.messages.emit({ payload: emission() })
        const first = yield* Fiber.join(heard)
        assert.isTrue(first._tag === "Some" && first.value.event === "delivery" && first.value.data.messageId === id)
        const [delivery] = yield* eventually(
          "it has failed",
          api.deliveries.list({ query: { messageId: id, status: "failed", limit: 5 } }),
          ({ items }) => items.length === 1
        ).pipe(Effect.map(({ items }) => items))
        const detail = yield* api.deliveries.get({ params: { id: delivery?.id ?? "" } })
        assert.deepInclude(detail.attempts[0], { outcome: "permanent", statusCode: 400 })
        assert.strictEqual((yield* api.deliveries.retry({ params: { id: detail.id } })).id, detail.id)
        yield* api.subscriptions.remove({ params: { id: made.id } })
      }))

    it.effect("tells what the plugins bring: hooks, events, providers with the schema of their configuration", () =>
      Effect.gen(function*() {
        const api = yield* client
        const { items } = yield* api.plugins.list()
        assert.deepStrictEqual(items.map((plugin) => plugin.id).sort(), ["incident", "test", "webhook"])
        assert.deepStrictEqual(items.find((plugin) => plugin.id === "incident"), {
          id: "incident",
          hooks: [
            { id: "incident.created", eventId: "incident.incident.created", exposed: true },
            { id: "broken", eventId: "incident.broken", exposed: true }
          ],
          events: ["incident.incident.created", "incident.broken"],
          providers: [],
          handlers: [],
          missingOn: []
        })
        const providers = yield* api.providers.list()
        assert.deepStrictEqual(providers.items.map((item) => item.id).sort(), ["test.endpoint", "webhook.webhook"])
        const webhook = yield* api.providers.get({ params: { id: "webhook.webhook" } })
        assert.includeMembers([...webhook.secretFields], ["config.bearerToken", "config.basicPassword"])
        assert.include(JSON.stringify(webhook.configSchema), "\"maxLength\":2048")
        const unknown = yield* Effect.flip(api.providers.get({ params: { id: "webhook.webhok" } }))
        assert.strictEqual(
          unknown.message,
          "There is no provider \"webhook.webhok\"; did you mean \"webhook.webhook\"?"
        )
      }))

    it.effect("problems are typed errors with their detail", () =>
      Effect.gen(function*() {
        const api = yield* client
        const missing = yield* Effect.flip(api.events.get({ params: { id: "incident.incident.craeted" } }))
        assert.strictEqual(missing._tag, "NotFound")
        assert.include(missing.message, "did you mean \"incident.incident.created\"")
        const refused = yield* Effect.flip(
          api.messages.emit({ payload: emission({ payload: { incidentId: 1, systemIds: [] } }) })
        )
        assert.isTrue(refused._tag === "Refused" && refused.path === "payload.incidentId")
        const { id } = yield* api.messages.emit({ payload: emission({ idempotencyKey: "k" }) })
        const other = { payload: emission({ idempotencyKey: "k", payload: { incidentId: "2", systemIds: [] } }) }
        const conflict = yield* Effect.flip(api.messages.emit(other))
        assert.isTrue(conflict._tag === "Conflict" && conflict.messageId === id)
        const stranger = yield* clientOf(`http://127.0.0.1:${yield* port}`, "wrong")
        const unauthorized = yield* Effect.flip(stranger.plugins.list())
        assert.strictEqual(unauthorized._tag, "Unauthorized")
      }))

    it.effect("a problem that no endpoint declares is told with its status", () =>
      Effect.gen(function*() {
        const api = yield* client
        const large = { payload: emission({ payload: "x".repeat(1_100_000) }) }
        const error = yield* Effect.flip(api.messages.emit(large))
        assert.isTrue(error._tag === "UnexpectedAnswer" && error.status === 413)
        assert.include(error.message, "1048576 bytes")
      }))
  })

  it.live("nobody there, and somebody else there, are told apart", () =>
    Effect.gen(function*() {
      const nobody = yield* clientOf(`http://127.0.0.1:${yield* freePort}`)
      const error = yield* Effect.flip(nobody.plugins.list())
      assert.strictEqual(error._tag, "Unreachable")
      assert.include(error.message, "ECONNREFUSED")
      let status = 200
      const other = yield* served((_, response) => void response.writeHead(status).end("<h1>hello</h1>"))
      const stranger = yield* clientOf(`http://127.0.0.1:${other.port}`)
      const html = yield* Effect.flip(stranger.plugins.list())
      assert.isTrue(html._tag === "HttpClientError" || Schema.isSchemaError(html))
      status = 502
      const gateway = yield* Effect.flip(stranger.plugins.list())
      assert.isTrue(gateway._tag === "UnexpectedAnswer" && gateway.status === 502)
    }))
})
