/**
 * The example of a provider, as a program uses it: subscriptions to a Matrix server on the loopback that is made for the test.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Schema } from "effect"
import { Hook, Hookline, StorageMemory, Subscriptions } from "hookline"
import { Egress } from "hookline/egress"
import { text } from "node:stream/consumers"
import MatrixPlugin from "../../examples/custom-provider/matrix.ts"
import { Storage } from "../../src/Storage.ts"
import { until } from "../support/process.ts"
import { served } from "../support/served.ts"
import { Created, IncidentPlugin, SecretsTest } from "../support/world.ts"

const incident = { incidentId: "i-1", systemIds: ["web"] }

const token = "pl4nted-t0ken"

const App = Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, MatrixPlugin) }).pipe(
  Layer.provideMerge(StorageMemory.layer),
  Layer.provide([SecretsTest, Egress.layer({ allow: ["127.0.0.0/8"] })])
)

type Answer = readonly [status: number, headers: Readonly<Record<string, string>>] | "lost"

/** A Matrix server: it posts what is sent under a new transaction id, and answers by a script, then as it should. */
const matrix = (script: ReadonlyArray<Answer>) =>
  Effect.gen(function*() {
    const answers = [...script]
    const posts = new Map<string, string>()
    const tokens = new Set<string | undefined>()
    const { port } = yield* served((request, response) => {
      void text(request).then((body) => {
        const answer = answers.shift() ?? [200, {}]
        tokens.add(request.headers.authorization)
        if (answer === "lost" || answer[0] === 200) posts.set(`${request.method} ${request.url}`, body)
        if (answer === "lost") request.socket.destroy()
        else response.writeHead(...answer).end(answer[0] === 200 ? `{"event_id":"$${posts.size}"}` : "{}")
      })
    })
    return { server: `http://127.0.0.1:${port}`, posts, tokens }
  })

const subscribe = (server: string, config: Readonly<Record<string, Schema.Json>> = {}) =>
  Subscriptions.Subscriptions.use(({ create }) =>
    create({
      name: "on call",
      events: ["incident.*"],
      providerId: "matrix.room",
      config: { server, room: "!on-call:example.com", token, text: "Incident {{ payload.incidentId }}", ...config },
      retry: { type: "delays", delaysMs: [0, 0, 0] }
    })
  ).pipe(Effect.map(({ subscription }) => subscription))

/** Emits a message and waits for the end of its one delivery. */
const delivered = Effect.gen(function*() {
  const storage = yield* Storage
  const messageId = yield* Hook.emit(Created, incident)
  const read = Effect.flatMap(
    storage.listDeliveries({ messageId }, { cursor: undefined, limit: 1 }),
    ([delivery]) => Effect.fromNullishOr(delivery)
  )
  yield* until("the delivery has ended", Effect.map(read, ({ completedAtMs }) => completedAtMs !== undefined))
  const { id } = yield* read
  return yield* Effect.flatMap(storage.getDelivery(id), Effect.fromOption)
})

describe("the example of a provider", () => {
  it.live("posts a message once, whatever is lost on the way, and keeps the server's id", () =>
    Effect.gen(function*() {
      const { posts, server, tokens } = yield* matrix([[502, {}], [429, { "retry-after": "1" }], "lost"])
      yield* subscribe(server)
      const { attempts, delivery } = yield* delivered
      assert.deepInclude(delivery, { status: "success", externalId: "$1", attemptCount: 4 })
      assert.deepStrictEqual(attempts.map(({ statusCode }) => statusCode), [502, 429, undefined, 200])
      assert.strictEqual(attempts[1]?.retryAfterMs, 1000)
      assert.deepStrictEqual([...posts], [[
        `PUT /_matrix/client/v3/rooms/!on-call%3Aexample.com/send/m.room.message/${delivery.id}`,
        JSON.stringify({ msgtype: "m.text", body: "Incident i-1" })
      ]])
      assert.deepStrictEqual([...tokens], [`Bearer ${token}`])
    }).pipe(Effect.provide(App)))

  it.live("gives up on what it may not post, and on a room that is gone", () =>
    Effect.gen(function*() {
      const { server } = yield* matrix([[403, {}], [404, {}]])
      const { id } = yield* subscribe(server)
      const { get } = yield* Subscriptions.Subscriptions
      assert.deepInclude((yield* delivered).delivery, { status: "failed", reason: "permanent", attemptCount: 1 })
      assert.isTrue((yield* get(id)).enabled)
      assert.deepInclude((yield* delivered).delivery, { status: "failed", reason: "gone", attemptCount: 1 })
      yield* until("the subscription is disabled", Effect.map(get(id), ({ enabled }) => !enabled))
    }).pipe(Effect.provide(App)))

  it.effect("refuses a configuration at its field", () =>
    Effect.gen(function*() {
      const refusals: ReadonlyArray<readonly [config: Readonly<Record<string, Schema.Json>>, path: string]> = [
        [{ server: "http://10.0.0.1" }, "config.server"],
        [{ room: "on-call" }, "config.room"],
        [{ token: "a\r\nb" }, "config.token"],
        [{ text: "{{ paylod }}" }, "config.text"],
        [{ texts: "" }, "config.texts"]
      ]
      for (const [config, path] of refusals) {
        const error = yield* Effect.flip(subscribe("http://127.0.0.1:1", config))
        assert.deepInclude(error, { _tag: "SubscriptionRefused", path })
      }
    }).pipe(Effect.provide(App)))

  it.effect("keeps its token to itself", () =>
    Effect.gen(function*() {
      const { config, id } = yield* subscribe("http://127.0.0.1:1")
      assert.notProperty(config, "token")
      const stored = yield* Effect.flatMap(Storage.use(({ getSubscription }) => getSubscription(id)), Effect.fromOption)
      assert.notInclude(JSON.stringify(stored), token)
    }).pipe(Effect.provide(App)))
})
