import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { call } from "../support/cli.ts"
import { hookline, madeDataDir, until } from "../support/process.ts"
import { adminKey, freePort, ready, startArgs } from "../support/runner.ts"

/** A runner with the chat's plugins, and the environment by which commands find it. */
class Running extends Context.Service<Running, {
  readonly env: Record<string, string>
  readonly dataDir: string
}>()("test/RunningChat") {}

const runner = Layer.effect(
  Running,
  Effect.gen(function*() {
    const dataDir = yield* madeDataDir
    const port = yield* freePort
    const process = yield* hookline(startArgs({ config: "test/cli/configs/chat.ts", port, dataDir }), {
      HOOKLINE_ADMIN_KEY: adminKey
    })
    yield* until("the runner is ready", ready(port)).pipe(
      Effect.mapError((error) => new Error(`${error.message}\n${process.output.text}`))
    )
    const env = { HOOKLINE_URL: `http://127.0.0.1:${port}`, HOOKLINE_ADMIN_KEY: adminKey, HOOKLINE_DATA_DIR: dataDir }
    return { env, dataDir }
  })
)

const Json = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))

const json = (text: string) => Schema.decodeUnknownSync(Json)(text)

/** A command that succeeds; what it printed, which holds no secret. */
const succeeds = Effect.fnUntraced(function*(args: ReadonlyArray<string>, input?: string) {
  const { env } = yield* Running
  const result = yield* call(args, env, input)
  assert.strictEqual(result.code, 0, `${args.join(" ")}: ${result.stderr}`)
  assert.notInclude(result.stdout + result.stderr, "pl4nted")
  return result
})

/** A command that fails; what it says, in one sentence without a secret. */
const fails = Effect.fnUntraced(function*(args: ReadonlyArray<string>) {
  const result = yield* call(args, (yield* Running).env)
  assert.strictEqual(result.code, 1, args.join(" "))
  assert.match(result.stderr, /^hookline: [^\n]+\n$/u)
  assert.notInclude(result.stdout + result.stderr, "pl4nted")
  return result
})

const good = JSON.stringify({ server: "https://chat.example.com", token: "pl4nted-good" })

const make = Effect.map(
  succeeds(["connections", "create", "--provider", "chat.room", "--name", "Chat", "--config", good]),
  ({ stdout }) => /^connection +(con_\w+)$/mu.exec(stdout)?.[1] ?? ""
)

describe("connections on the command line", () => {
  layer(runner, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      "are made from a flag, a file or standard input, listed, shown, changed and deleted",
      () =>
        Effect.gen(function*() {
          const id = yield* make
          const file = Path.join((yield* Running).dataDir, "chat.json")
          Fs.writeFileSync(file, good)
          const create = ["connections", "create", "--provider", "chat.untested", "--tenant", "acme"]
          const other = json((yield* succeeds([...create, "--file", file, "--json"])).stdout)
          assert.deepInclude(other, {
            name: "chat.untested",
            tenantId: "acme",
            config: { server: "https://chat.example.com" }
          })
          yield* succeeds([...create, "--file", "-"], good)
          const all = yield* succeeds(["connections", "list"])
          assert.match(all.stdout, /^CONNECTION +NAME +PROVIDER +TENANT +UPDATED\n/u)
          assert.strictEqual(all.stdout.trim().split("\n").length, 4)
          const ofRoom = yield* succeeds(["connections", "list", "--provider", "chat.room", "--tenant", "default"])
          assert.strictEqual(ofRoom.stdout.trim().split("\n").length, 2)
          assert.include(
            (yield* succeeds(["connections", "list", "--provider", "chat.none"])).stderr,
            "no such connections"
          )
          const page = yield* succeeds(["connections", "list", "--limit", "1"])
          assert.match(page.stderr, /--cursor con_\w+/u)
          const shown = yield* succeeds(["connections", "get", id])
          assert.match(shown.stdout, /^provider +chat\.room$/mu)
          assert.include(shown.stdout, "\"server\": \"https://chat.example.com\"")
          const change = JSON.stringify({ server: "https://chat.example.com/b", token: "" })
          const changed = yield* succeeds(["connections", "update", id, "--name", "B", "--config", change])
          assert.include(changed.stdout, "no attempt begins any more with the old credentials")
          assert.include((yield* succeeds(["connections", "test", id])).stdout, "Connected as hookline")
          assert.deepInclude(json((yield* succeeds(["connections", "get", id, "--json"])).stdout), {
            name: "B",
            config: { server: "https://chat.example.com/b" }
          })
          yield* succeeds(["connections", "delete", id])
          assert.include((yield* fails(["connections", "get", id])).stderr, "no connection")
        }),
      60_000
    )

    it.effect("are tried, saved or not, and the exit code tells", () =>
      Effect.gen(function*() {
        const id = yield* make
        assert.strictEqual((yield* succeeds(["connections", "test", id])).stdout, "Connected as hookline\n")
        const unsaved = ["connections", "test", "--provider", "chat.room", "--config"]
        assert.strictEqual((yield* succeeds([...unsaved, good])).stdout, "Connected as hookline\n")
        const bad = good.replace("good", "bad")
        const failed = yield* fails([...unsaved, bad])
        assert.deepStrictEqual([failed.stdout, failed.stderr], ["", "hookline: HTTP 401 to ***\n"])
        const document = yield* fails([...unsaved, bad, "--json"])
        assert.deepStrictEqual(json(document.stdout), { success: false, message: "HTTP 401 to ***" })
        const untested = yield* succeeds(["connections", "test", "--provider", "chat.untested", "--config", good])
        assert.include(untested.stdout, "does not support connection testing")
        for (const args of [[], [id, "--provider", "chat.room"], [id, "--config", good], ["--provider", "chat.room"]]) {
          assert.include(
            (yield* fails(["connections", "test", ...args])).stderr,
            "Pass a connection's id; or --provider"
          )
        }
      }), 60_000)

    it.effect(
      "tell the options of a field; a system that does not answer is told as such",
      () =>
        Effect.gen(function*() {
          const id = yield* make
          const ask = ["connections", "options", id, "rooms"]
          const { stdout } = yield* succeeds([...ask, "--context", "{\"space\":\"ops\"}"])
          assert.match(stdout, /^VALUE +LABEL +DESCRIPTION\nr1 +Room 1 +in ops\nr2 +2\n$/u)
          assert.include((yield* fails(ask)).stderr, "HTTP 503")
          assert.include((yield* fails([...ask, "--context", "[]"])).stderr, "--context: Expected a JSON object")
          assert.include((yield* fails(["connections", "options", id, "roms"])).stderr, "did you mean \"rooms\"?")
        }),
      60_000
    )

    it.effect(
      "are what `subscribe --connection` delivers through, with the provider's configuration",
      () =>
        Effect.gen(function*() {
          const id = yield* make
          const subscribe = ["subscribe", "--connection", id, "--events", "incident.*"]
          const made = json((yield* succeeds([...subscribe, "--config", "{\"room\":\"r1\"}", "--json"])).stdout)
          assert.deepInclude(made, { name: "Chat", providerId: "chat.room", connectionId: id, config: { room: "r1" } })
          const subscription = String(made["id"])
          assert.match(
            (yield* succeeds(["subscriptions", "get", subscription])).stdout,
            new RegExp(`^connection +${id}$`, "mu")
          )
          assert.include((yield* fails(["connections", "delete", id])).stderr, "Subscriptions use it (1)")
          const users = ["subscriptions", "list", "--connection"]
          const listed = yield* succeeds([...users, id])
          assert.deepStrictEqual(listed.stdout.trim().split("\n").map((line) => line.split(" ", 1)[0]), [
            "SUBSCRIPTION",
            subscription
          ])
          assert.include(
            (yield* succeeds([...users, `con_${"0".repeat(12)}70008${"0".repeat(15)}`])).stderr,
            "no such subscriptions"
          )
          const cases = [
            [["https://example.com/", ...subscribe.slice(1)], "--connection is instead of a target"],
            [subscribe.slice(1), "config.room"],
            [["--config", "{}", "--events", "*"], "--config is for the provider of a --connection"],
            [[...subscribe.slice(1), "--file", "x.json"], "--file"]
          ] as const
          for (const [args, text] of cases) assert.include((yield* fails(["subscribe", ...args])).stderr, text)
        }),
      60_000
    )

    it.effect("what is left out is asked for before anything is sent", () =>
      Effect.gen(function*() {
        const id = yield* make
        assert.include(
          (yield* fails(["connections", "create", "--provider", "chat.room"])).stderr,
          "--config with JSON, or --file"
        )
        assert.include((yield* fails(["connections", "update", id])).stderr, "Say what changes")
        const both = ["connections", "update", id, "--config", "{}", "--file", "x.json"]
        assert.include((yield* fails(both)).stderr, "exclude each other")
        assert.include((yield* fails(["connections", "update", id, "--config", "{oops"])).stderr, "--config is no JSON")
      }), 60_000)

    it.effect("providers are listed and shown, with what connections take; what goes through one is previewed", () =>
      Effect.gen(function*() {
        const list = yield* succeeds(["providers"])
        assert.match(list.stdout, /^PROVIDER +NAME +CONNECTIONS +DESCRIPTION\n/u)
        assert.match(list.stdout, /^chat\.room +Chat room +yes, tested/mu)
        assert.match(list.stdout, /^webhook\.webhook +Webhook +Sends/mu)
        const one = yield* succeeds(["providers", "chat.room"])
        assert.match(one.stdout, /^of connections +config\.token/mu)
        assert.include(one.stdout, "A connection:")
        assert.deepInclude(json((yield* succeeds(["providers", "chat.room", "--json"])).stdout), { id: "chat.room" })
        assert.include((yield* fails(["providers", "chat.rom"])).stderr, "chat.room")
        const connectionId = yield* make
        const definition = JSON.stringify({
          providerId: "chat.room",
          config: { room: "a" },
          connectionId,
          events: ["incident.incident.created"]
        })
        const preview = yield* succeeds(["preview", "--file", "-"], definition)
        assert.include(preview.stdout, "https://chat.example.com")
        yield* succeeds(["connections", "delete", connectionId])
      }))
  })
})
