/**
 * What the tests of a runner's process share: a free port, calls to its API, and a receiver of its deliveries.
 */
import { Effect, Schema } from "effect"
import { createServer, type ServerResponse } from "node:http"
import * as ports from "./ports.ts"

export const adminKey = "hk_runner_test"
export const config = "examples/status-page/hookline.config.ts"

/** The arguments of a runner in development. */
export const startArgs = (options: { readonly config?: string; readonly port: number; readonly dataDir: string }) => [
  "start",
  "--dev",
  "--config",
  options.config ?? config,
  "--port",
  String(options.port),
  "--data-dir",
  options.dataDir
]

export const freePort = Effect.promise(ports.freePort)

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

export const post = (url: string, body: unknown) =>
  Effect.tryPromise(() =>
    fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
      body: JSON.stringify(body)
    }).then(async (response) => ({ status: response.status, text: await response.text() }))
  ).pipe(Effect.map(({ status, text }) => ({ status, json: Schema.decodeUnknownSync(Json)(text) })))

export const get = (url: string) =>
  Effect.tryPromise(() =>
    fetch(url, { headers: { authorization: `Bearer ${adminKey}` } }).then(async (response) => ({
      status: response.status,
      text: await response.text()
    }))
  )

export const ready = (port: number) =>
  Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/health/ready`).then((response) => response.ok))

/** A receiver that may hold its answers; it tells which messages came how often, and when at first. */
export const receiver = Effect.acquireRelease(
  Effect.callback<{
    readonly port: number
    readonly seen: Map<string, number>
    readonly firstAtMs: Map<string, number>
    readonly held: Array<ServerResponse>
    hold: boolean
    readonly close: () => void
  }>((resume) => {
    const seen = new Map<string, number>()
    const firstAtMs = new Map<string, number>()
    const state = {
      port: 0,
      seen,
      firstAtMs,
      held: new Array<ServerResponse>(),
      hold: false,
      close: () => {}
    }
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        const id = String(request.headers["webhook-id"])
        seen.set(id, (seen.get(id) ?? 0) + 1)
        if (!firstAtMs.has(id)) firstAtMs.set(id, Date.now())
        if (state.hold) state.held.push(response)
        else response.writeHead(204).end()
      })
    })
    state.close = () => {
      server.closeAllConnections()
      server.close()
    }
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      state.port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed(state))
    })
  }),
  ({ close }) => Effect.sync(close)
)
