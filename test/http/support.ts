/**
 * A server on the loopback over the memory storage, and calls to it as a client makes them.
 */
import { Effect, Layer, Redacted, Schema } from "effect"
import { HttpServer } from "effect/http"
import { request } from "node:http"
import * as EgressNode from "../../src/egress/EgressNode.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Auth from "../../src/http/Auth.ts"
import * as Server from "../../src/http/Server.ts"
import * as WebhookPlugin from "../../src/plugins/webhook/index.ts"
import type { PluginError, Registry } from "../../src/Registry.ts"
import { Storage } from "../../src/Storage.ts"
import * as StorageMemory from "../../src/StorageMemory.ts"
import { Endpoints, IncidentPlugin, SecretsTest, TestPlugin } from "../support/world.ts"

export const adminKey = "hk_0123456789abcdef"

/** Layer of a server whose storage is changed by `change`, on a free port. */
export const server = (options: {
  readonly endpoints?: Endpoints
  readonly change?: (storage: Storage["Service"]) => Storage["Service"]
  readonly key?: string
  readonly port?: number
  readonly corsOrigins?: ReadonlyArray<string>
  /** Beside the usual ones. */
  readonly plugins?: Layer.Layer<never, PluginError, Registry>
  readonly publicDocs?: boolean
} = {}) => {
  const plugins = Layer.mergeAll(
    IncidentPlugin,
    WebhookPlugin.plugin,
    TestPlugin(options.endpoints ?? new Endpoints()),
    options.plugins ?? Layer.empty
  )
  const storage = Layer.effect(Storage, Effect.map(Storage, options.change ?? ((storage) => storage))).pipe(
    Layer.provide(StorageMemory.layer)
  )
  const { corsOrigins = [], publicDocs = true } = options
  return Server.layer({ port: options.port ?? 0, host: "127.0.0.1", corsOrigins, publicDocs }).pipe(
    Layer.provide(Auth.layer({ adminKey: Redacted.make(options.key ?? adminKey) })),
    Layer.provide(Hookline.layer({ plugins })),
    Layer.provideMerge(storage),
    Layer.provide([SecretsTest, EgressNode.layer({ allow: [] })])
  )
}

export const port = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => "port" in address ? address.port : 0
)

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const Item = Schema.Record(Schema.String, Schema.Json)

/** One request as `fetch` makes it: with the key and as JSON, unless the headers say otherwise. */
export const call = Effect.fnUntraced(function*(
  method: string,
  path: string,
  body?: ReadableStream | Schema.Json,
  headers: Record<string, string> = {}
) {
  const url = `http://127.0.0.1:${yield* port}${path}`
  const content = body === undefined || typeof body === "string" || body instanceof ReadableStream
    ? body
    : JSON.stringify(body)
  const response = yield* Effect.promise(() =>
    fetch(url, {
      method,
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json", ...headers },
      ...(content === undefined ? {} : { body: content }),
      ...(content instanceof ReadableStream ? { duplex: "half" } : {})
    })
  )
  const text = yield* Effect.promise(() => response.text())
  return {
    status: response.status,
    headers: response.headers,
    type: response.headers.get("content-type"),
    text,
    json: text === "" || !/json/u.test(response.headers.get("content-type") ?? "")
      ? {}
      : Schema.decodeUnknownSync(Json)(text)
  }
})

/** The status of a request whose target goes on the wire as it is written here, and its content type. */
export const raw = Effect.fnUntraced(function*(method: string, path: string) {
  const options = { host: "127.0.0.1", port: yield* port, method, path, agent: false }
  return yield* Effect.callback<{ readonly status: number; readonly type: string }>((resume) => {
    const sent = request({ ...options, headers: { authorization: `Bearer ${adminKey}` } }, (response) => {
      response.resume()
      resume(
        Effect.succeed({ status: response.statusCode ?? 0, type: String(response.headers["content-type"]) })
      )
    })
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end()
  })
})

/** The items of a list. */
export const items = (json: { readonly [name: string]: Schema.Json }) =>
  Schema.decodeUnknownSync(Schema.Array(Item))(json["items"])

export const eventually = <A, E, R>(what: string, read: Effect.Effect<A, E, R>, met: (a: A) => boolean) =>
  Effect.gen(function*() {
    for (let n = 0; n < 1000; n++) {
      const found = yield* read
      if (met(found)) return found
      yield* Effect.sleep("10 millis")
    }
    return yield* Effect.die(new Error(`it did not come to pass: ${what}`))
  })

export const subscription = (extra: { readonly [name: string]: Schema.Json } = {}) => ({
  name: "a",
  events: ["incident.incident.created"],
  providerId: "test.endpoint",
  config: { name: "a" },
  ...extra
})

export const emission = (extra: { readonly [name: string]: Schema.Json } = {}) => ({
  eventId: "incident.incident.created",
  payload: { incidentId: "i1", systemIds: ["s1"] },
  ...extra
})
