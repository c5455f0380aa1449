/**
 * The API among the routes of a backend's own server.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as Hookline from "../../src/Hookline.ts"
import * as Auth from "../../src/http/Auth.ts"
import * as Server from "../../src/http/Server.ts"
import * as StorageMemory from "../../src/StorageMemory.ts"
import { Endpoints, IncidentPlugin, SecretsTest, TestPlugin } from "../support/world.ts"
import { adminKey, call, emission, port } from "./support.ts"

const own = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("the shop")),
  HttpRouter.add("GET", "/health/live", HttpServerResponse.text("the shop's")),
  HttpRouter.add("GET", "/fails", Effect.die("the shop's fault"))
)

const mounted = Server.ending.pipe(
  Layer.provideMerge(
    HttpRouter.serve(Layer.mergeAll(own, Server.routes({ health: false })), {
      disableLogger: true,
      disableListenLog: true
    })
  ),
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Auth.layer({ adminKey: Redacted.make(adminKey) })),
  Layer.provide(Hookline.layer({ plugins: Layer.mergeAll(IncidentPlugin, TestPlugin(new Endpoints())) })),
  Layer.provide([StorageMemory.layer, SecretsTest])
)

it.live("the API is served beside a backend's own routes, and keeps its rules to itself", () =>
  Effect.gen(function*() {
    const emitted = yield* call("POST", "/api/v1/messages", emission())
    assert.strictEqual(emitted.status, 202)
    assert.strictEqual(emitted.headers.get("x-frame-options"), "DENY")
    const refused = yield* call("POST", "/api/v1/messages", emission(), { authorization: "Bearer none" })
    assert.deepInclude(refused, { status: 401, type: "application/problem+json" })
    assert.isNotNull(refused.headers.get("www-authenticate"))
    const malformed = yield* call("POST", "/api/v1/messages", "{")
    assert.deepInclude(malformed, { status: 400, type: "application/problem+json" })
    const tooLarge = yield* call("POST", "/api/v1/messages", emission({ payload: "x".repeat(1_100_000) }))
    assert.deepInclude(tooLarge, { status: 413, type: "application/problem+json" })
    assert.strictEqual((yield* call("GET", "/openapi.json")).status, 200)
    const { headers, status, text } = yield* call("GET", "/")
    assert.deepInclude({ status, text }, { status: 200, text: "the shop" })
    assert.isNull(headers.get("x-frame-options"))
    assert.strictEqual((yield* call("GET", "/health/live")).text, "the shop's")
    assert.strictEqual((yield* call("GET", "/health/ready")).status, 404)
    for (const [path, status] of [["/nothing", 404], ["/api/v1/nothing", 404], ["/fails", 500]] as const) {
      const answer = yield* call("GET", path)
      assert.strictEqual(answer.status, status, path)
      assert.notStrictEqual(answer.type, "application/problem+json", path)
    }
  }).pipe(Effect.provide(mounted)))

it.live("a server of its own that stops lets the API's live streams end", () =>
  Effect.gen(function*() {
    const stream = yield* Effect.gen(function*() {
      const url = `http://127.0.0.1:${yield* port}/api/v1/stream`
      return yield* Effect.promise(() => fetch(url, { headers: { authorization: `Bearer ${adminKey}` } }))
    }).pipe(Effect.provide(mounted))
    assert.match(yield* Effect.promise(() => stream.text()), /^: open/u)
  }), 10_000)
