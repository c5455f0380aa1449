/**
 * `hookline/http` bundled for a browser, and used where there is nothing of Node's.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createContext, runInContext } from "node:vm"
import { rolldown } from "rolldown"
import { adminKey, port, server } from "./support.ts"

const root = Path.resolve(import.meta.dirname, "../..")

const program = `
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { Client } from "hookline/http"

globalThis.used = (url, key) =>
  Effect.runPromise(Effect.gen(function*() {
    const client = yield* Client.make({ url, key: Redacted.make(key) })
    const { items } = yield* client.events.list({ query: {} })
    const { id } = yield* client.messages.emit({
      payload: { eventId: "incident.incident.created", payload: { incidentId: "i1", systemIds: [] } }
    })
    const refused = yield* Effect.flip(client.messages.emit({ payload: { eventId: "incident.nothing", payload: {} } }))
    const wrong = yield* Client.make({ url, key: Redacted.make("wrong") })
    const unknown = yield* Effect.flip(wrong.deliveries.list({ query: {} }))
    return JSON.stringify({ events: items.length, id, refused: refused._tag, unknown: unknown._tag })
  }).pipe(Effect.provide(FetchHttpClient.layer)))
`

/** What a browser has, of what the client could need; bytes are those of its fetch. */
const browser = () =>
  createContext({
    AbortController,
    AbortSignal,
    ArrayBuffer,
    Blob,
    FormData,
    Headers,
    ReadableStream,
    Request,
    Response,
    TextDecoder,
    TextEncoder,
    URL,
    URLSearchParams,
    Uint8Array,
    clearTimeout,
    console,
    crypto,
    fetch,
    performance,
    queueMicrotask,
    setTimeout
  })

const bundled = Effect.acquireUseRelease(
  Effect.sync(() => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-browser-"))
    Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
    Fs.writeFileSync(Path.join(folder, "main.js"), program)
    return folder
  }),
  (folder) =>
    Effect.promise(async () => {
      const bundle = await rolldown({
        input: Path.join(folder, "main.js"),
        platform: "browser",
        resolve: { conditionNames: ["browser", "import", "default"], alias: { "hookline/http": source() } },
        onLog: (_, { message }) => {
          throw new Error(message)
        }
      })
      const { output: [{ code, imports }] } = await bundle.generate({ format: "iife" })
      await bundle.close()
      return { code, imports }
    }),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const Exports = Schema.Struct({
  exports: Schema.Struct({ "./http": Schema.Struct({ "hookline-source": Schema.Struct({ browser: Schema.String }) }) })
})

/** Where package.json sends a browser. */
const source = () => {
  const text = Fs.readFileSync(Path.join(root, "package.json"), "utf8")
  const { exports } = Schema.decodeUnknownSync(Schema.fromJsonString(Exports))(text)
  return Path.join(root, exports["./http"]["hookline-source"].browser)
}

it.live("the typed client of hookline/http works in a browser", () =>
  Effect.gen(function*() {
    const { code, imports } = yield* bundled
    assert.deepStrictEqual(imports, [])
    const context = browser()
    runInContext(code, context)
    const url = `http://127.0.0.1:${yield* port}`
    const told = yield* Effect.promise(() =>
      runInContext(`used(${JSON.stringify(url)}, ${JSON.stringify(adminKey)})`, context)
    )
    const { id, ...rest } = Schema.decodeUnknownSync(
      Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))
    )(told)
    assert.match(String(id), /^msg_/u)
    assert.deepStrictEqual(rest, { events: 6, refused: "Refused", unknown: "Unauthorized" })
  }).pipe(Effect.provide(server())), 60_000)
