/**
 * A client that somebody else's generator makes from docs/openapi.json: it type-checks, and works against a server.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { adminKey, port, server } from "./support.ts"

const root = Path.resolve(import.meta.dirname, "../..")

/** What a stranger writes against the generated client. */
const program = `
import { scheduler } from "node:timers/promises"
import * as client from "./client.ts"

const [baseUrl = "", key = ""] = process.argv.slice(2)
client.defaults.baseUrl = baseUrl
client.defaults.headers = { authorization: \`Bearer \${key}\` }

const created = await client.subscriptionsCreate({
  name: "generated",
  events: ["incident.incident.created"],
  providerId: "test.endpoint",
  config: { name: "generated" }
})
if (created.status !== 201) throw new Error(JSON.stringify(created))
const secret: string = created.data.signingSecret

const refused = await client.messagesEmit({ eventId: "incident.nothing", payload: {} })
if (refused.status !== 422) throw new Error(JSON.stringify(refused))
const problem: "https://hookline.dev/problems/refused" = refused.data.type

const emitted = await client.messagesEmit({
  eventId: "incident.incident.created",
  payload: { incidentId: "i1", systemIds: ["s1"] }
})
if (emitted.status !== 202) throw new Error(JSON.stringify(emitted))

for (let n = 0; n < 1000; n++) {
  const found = await client.deliveriesList({ messageId: emitted.data.id, limit: 10 })
  if (found.status !== 200) throw new Error(JSON.stringify(found))
  const [delivery] = found.data.items
  if (delivery?.status === "success") {
    const detail = await client.deliveriesGet(delivery.id)
    if (detail.status !== 200) throw new Error(JSON.stringify(detail))
    const removed = await client.subscriptionsRemove(created.data.id)
    const outcomes = detail.data.attempts.map(({ outcome }) => outcome)
    console.log(JSON.stringify({ hasSecret: secret.startsWith("whsec_"), problem, outcomes, removed: removed.status }))
    break
  }
  await scheduler.wait(20)
}
`

const settings = {
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "dom", "dom.iterable"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true
  },
  include: ["*.ts"]
}

/** A folder of a stranger's project that has the same packages. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const made = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-generated-"))
    Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(made, "node_modules"))
    Fs.writeFileSync(Path.join(made, "package.json"), "{\"type\":\"module\"}")
    Fs.writeFileSync(Path.join(made, "tsconfig.json"), JSON.stringify(settings))
    Fs.writeFileSync(Path.join(made, "use.ts"), program)
    return made
  }),
  (made) => Effect.sync(() => Fs.rmSync(made, { recursive: true, force: true }))
)

const node = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    execFile(process.execPath, args, { cwd, timeout: 60_000 }, (error, stdout, stderr) => {
      resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${stdout}${stderr}`, { cause: error })))
    })
  })

const bin = (name: string) => Path.join(root, "node_modules", name)

it.live(
  "a generated client type-checks, subscribes, emits and reads the delivery until it succeeded",
  () =>
    Effect.gen(function*() {
      const cwd = yield* folder
      const description = Path.join(root, "docs/openapi.json")
      yield* node(cwd, bin("oazapfts/dist/cli.js"), description, "client.ts", "--futureStripLegacyMethods")
      yield* node(cwd, bin("typescript/bin/tsc"), "--project", "tsconfig.json")
      const told = yield* node(cwd, "use.ts", `http://127.0.0.1:${yield* port}`, adminKey)
      assert.deepStrictEqual(Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Json))(told), {
        hasSecret: true,
        problem: "https://hookline.dev/problems/refused",
        outcomes: ["success"],
        removed: 204
      })
    }).pipe(Effect.scoped, Effect.provide(server())),
  120_000
)
