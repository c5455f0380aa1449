/**
 * The HTTP guide, held to what it shows: its commands run with curl against a server, and the answers are those below them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import StatusPage from "../../examples/status-page/hookline.config.ts"
import * as Hookline from "../../src/Hookline.ts"
import * as Auth from "../../src/http/Auth.ts"
import * as Server from "../../src/http/Server.ts"
import * as Undeclared from "../../src/http/Undeclared.ts"
import { defaults } from "../../src/Limits.ts"
import * as Webhook from "../../src/plugins/webhook/index.ts"
import * as StorageMemory from "../../src/StorageMemory.ts"
import * as EgressFake from "../../src/testing/EgressFake.ts"
import { adminKey, port } from "../http/support.ts"
import { SecretsTest } from "../support/world.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const page = Fs.readFileSync(Path.join(root, "docs/api.md"), "utf8")

/** A command and the answer that is shown below it. */
interface Shown {
  readonly line: number
  readonly command: string
  readonly answer: string
}

const shown: ReadonlyArray<Shown> = [
  ...page.matchAll(/^```sh\n(?!npm )([\s\S]*?)^```\n\n(?:```http\n([\s\S]*?)^```$)?/gmu)
].map((match) => ({
  line: page.slice(0, match.index).split("\n").length,
  command: match[1] ?? "",
  answer: match[2] ?? ""
}))

interface Answer {
  readonly status: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Schema.Json
}

const Body = Schema.fromJsonString(Schema.Json)

const parse = (text: string): Answer => {
  const [head = "", ...body] = text.replaceAll("\r\n", "\n").split("\n\n")
  const [first = "", ...lines] = head.trim().split("\n")
  const json = body.join("\n\n").trim()
  return {
    status: first,
    headers: new Map(lines.map((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })),
    body: json === "" ? null : Schema.decodeUnknownSync(Body)(json)
  }
}

const isObject = (value: Schema.Json | undefined): value is { readonly [name: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Where an answer is not as it is shown: `…` in a text stands for any text, `"…": "…"` for further properties. */
const differences = (expected: Schema.Json, actual: Schema.Json | undefined, path = ""): ReadonlyArray<string> => {
  const differs = [`${path}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`]
  if (typeof expected === "string") {
    const pattern = expected.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, "\\$&")).join(".+")
    return typeof actual === "string" && new RegExp(`^${pattern}$`, "su").test(actual) ? [] : differs
  }
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length
      ? expected.flatMap((item: Schema.Json, n) => differences(item, actual[n], `${path}[${n}]`))
      : differs
  }
  if (!isObject(expected)) return expected === actual ? [] : differs
  if (!isObject(actual)) return differs
  const { "…": more, ...properties }: { readonly [name: string]: Schema.Json } = expected
  const extra = more === undefined ? Object.keys(actual).filter((name) => !(name in properties)) : []
  return [
    ...extra.map((name) => `${path}.${name} is not shown`),
    ...Object.entries(properties).flatMap(([name, value]) => differences(value, actual[name], `${path}.${name}`))
  ]
}

const judge = (expected: Answer, actual: Answer): ReadonlyArray<string> => [
  ...differences(expected.status, actual.status, "the status"),
  ...[...expected.headers].flatMap(([name, value]) => differences(value, actual.headers.get(name), name)),
  ...(expected.body === null ? [] : differences(expected.body, actual.body, "the body"))
]

const bash = (command: string, env: Readonly<Record<string, string>>) =>
  Effect.callback<string>((resume) => {
    execFile(
      "bash",
      ["-euo", "pipefail", "-c", command],
      { env: { PATH: process.env["PATH"] ?? "", ...env }, timeout: 20_000 },
      (error, stdout, stderr) => {
        resume(
          error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${command}\n${stderr}`, { cause: error }))
        )
      }
    )
  })

const names: Readonly<Record<string, string>> = { sub: "SUBSCRIPTION", msg: "MESSAGE", dlv: "DELIVERY" }

/** What later commands of the page mean by their variables. */
const learn = (env: Record<string, string>, { body, headers }: Answer) => {
  const etag = headers.get("etag")
  if (etag !== undefined) env["ETAG"] = etag
  if (!isObject(body)) return
  const { id, key } = body
  const name = typeof id === "string" ? names[id.slice(0, 3)] : undefined
  if (name !== undefined && typeof id === "string") env[name] = id
  if (typeof key === "string") env["KEY"] = key
}

const server = Server.layer({ port: 0, host: "127.0.0.1" }).pipe(
  Layer.provide(Auth.layer({ adminKey: Redacted.make(adminKey) })),
  Layer.provide(Hookline.layer({ plugins: Layer.mergeAll(Webhook.plugin, StatusPage) })),
  Layer.provide([StorageMemory.layer, SecretsTest, EgressFake.layer])
)

describe("the HTTP guide", () => {
  it.live("shows what curl gets", () =>
    Effect.gen(function*() {
      assert.isAbove(shown.length, 8)
      const env: Record<string, string> = {
        HOOKLINE_URL: `http://127.0.0.1:${yield* port}`,
        HOOKLINE_KEY: adminKey
      }
      for (const { answer, command, line } of shown) {
        const expected = parse(answer)
        assert.match(expected.status, /^HTTP\/1\.1 \d{3} /u, `docs/api.md:${line} shows no answer`)
        let actual = parse(yield* bash(command.replaceAll("curl -i", "curl -sS -i"), env))
        // What is read may take a moment to become what is shown.
        const isRead = !/ -(d|X) /u.test(command)
        for (let left = isRead ? 200 : 0; left > 0 && judge(expected, actual).length > 0; left--) {
          yield* Effect.sleep("20 millis")
          actual = parse(yield* bash(command.replaceAll("curl -i", "curl -sS -i"), env))
        }
        assert.deepStrictEqual(judge(expected, actual), [], `docs/api.md:${line}`)
        learn(env, actual)
      }
    }).pipe(Effect.provide(server)), 60_000)

  it("has every type of problem, with its status", () => {
    const document = Fs.readFileSync(Path.join(root, "docs/openapi.json"), "utf8")
    // In schemas, whose types and statuses stand in the order of their fields; one status may have several.
    const problem =
      /"enum":\["https:\/\/hookline\.dev\/problems\/([a-z-]+)"\][^{}]*\},"status":\{[^{}]*"enum":\[(\d+)\]/gu
    const described = [...JSON.stringify(JSON.parse(document)).matchAll(problem)]
      .map(([, name = "", status = ""]) => `| \`${name}\` | ${status} |`)
    const others = Object.values(Undeclared)
      .flatMap((kind) => typeof kind === "object" ? [`| \`${kind.name}\` | ${kind.status} |`] : [])
    const rows = new Set([...described, ...others])
    assert.isAbove(described.length, 10)
    for (const row of rows) assert.include(page, row)
    assert.strictEqual([...page.matchAll(/^\| `[a-z-]+` \| \d{3} \|/gmu)].length, rows.size)
  })

  it("tells the limits as they are", () => {
    assert.include(page, `\`limit\` is 1 to ${defaults.pageSize}, ${defaults.pageSizeDefault} unless said`)
    assert.include(page, `within ${defaults.idempotencyTtlMs / 3_600_000} hours`)
    assert.include(page, `more than ${defaults.payloadBytes / 1024 / 1024} MiB`)
  })
})
