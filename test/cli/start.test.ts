import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Schema } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import * as RunnerFlags from "../../src/cli/RunnerFlags.ts"
import { call } from "../support/cli.ts"
import { exited, folder, hookline, kill, madeDataDir, until } from "../support/process.ts"
import { config, freePort, ready, receiver, startArgs } from "../support/runner.ts"

const Created = Schema.fromJsonString(
  Schema.Struct({ id: Schema.String, signingSecret: Schema.optionalKey(Schema.String) })
)

const Seen = Schema.fromJsonString(
  Schema.Struct({ messageId: Schema.String, eventId: Schema.String, signature: Schema.String, status: Schema.Int })
)

const post = (url: string, key: string, body: unknown) =>
  Effect.tryPromise(() =>
    fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body)
    }).then((response) => response.text())
  ).pipe(Effect.flatMap((text) => Schema.decodeEffect(Created)(text)))

/** The lines of JSON that a receiver has printed. */
const seenBy = (output: { readonly text: string }) =>
  Effect.suspend(() =>
    Effect.forEach(
      output.text.split("\n").filter((line) => line.startsWith("{") && line.endsWith("}")),
      (line) => Schema.decodeEffect(Seen)(line)
    )
  )

const postmaster = (dataDir: string): string | undefined => {
  const file = Path.join(dataDir, "postgres", "postmaster.pid")
  return Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").split("\n")[0] : undefined
}

const incident = {
  eventId: "incident.incident.created",
  payload: {
    incidentId: "i-1",
    systemIds: ["web"],
    title: "Checkout is down",
    severity: "major",
    status: "open",
    createdAt: "2026-01-31T12:00:00Z"
  }
}

describe.concurrent("hookline start and listen", () => {
  it.live(
    "a message that is emitted arrives at the receiver signed, again after a 500, and a signal ends everything in order",
    () =>
      Effect.gen(function*() {
        const dataDir = Path.join(yield* folder, "data")
        const [port, receiverPort] = [yield* freePort, yield* freePort]
        const runner = yield* hookline(startArgs({ port, dataDir }))
        yield* until("the runner serves", ready(port))
        yield* until("it says what to try", Effect.sync(() => runner.output.text.includes("3. Emit:")))
        const key = Fs.readFileSync(Path.join(dataDir, "admin-key"), "utf8").trim()
        assert.include(runner.output.text, key)
        for (const name of ["admin-key", "master-key", "postgres-password"]) {
          assert.strictEqual(Fs.statSync(Path.join(dataDir, name)).mode & 0o777, 0o600, name)
        }

        const url = `http://127.0.0.1:${port}/api/v1`
        const subscription = yield* post(`${url}/subscriptions`, key, {
          name: "try",
          events: ["incident.*"],
          providerId: "webhook.webhook",
          config: { url: `http://127.0.0.1:${receiverPort}/` },
          retry: { type: "delays", delaysMs: [100] }
        })
        const listen = yield* hookline(
          ["listen", "--port", String(receiverPort), "--fail", "1", "--json"],
          { HOOKLINE_SECRET: subscription.signingSecret ?? "" }
        )
        yield* until("the receiver listens", Effect.sync(() => listen.output.text.includes("Listening")))
        const message = yield* post(`${url}/messages`, key, incident)
        yield* until("it came twice", Effect.map(seenBy(listen.output), (seen) => seen.length >= 2))
        const expected = { messageId: message.id, eventId: incident.eventId, signature: "verified" }
        assert.deepStrictEqual(yield* seenBy(listen.output), [{ ...expected, status: 500 }, {
          ...expected,
          status: 200
        }])

        yield* kill(listen.child, "SIGTERM")
        assert.strictEqual(yield* exited(listen.child), 0)
        yield* kill(runner.child, "SIGTERM")
        assert.strictEqual(yield* exited(runner.child).pipe(Effect.timeout("10 seconds")), 0)
        assert.isUndefined(postmaster(dataDir), "PostgreSQL has been stopped")
      }),
    90_000
  )

  it.live(
    "a killed runner leaves its PostgreSQL running, and the next one on the folder adopts it and keeps the keys",
    () =>
      Effect.gen(function*() {
        const dataDir = yield* madeDataDir
        const port = yield* freePort
        const args = ["start", "--dev", "--config", config, "--port", String(port), "--data-dir", dataDir]
        const first = yield* hookline(args)
        yield* until("the runner serves", ready(port))
        const [server, key] = [postmaster(dataDir), Fs.readFileSync(Path.join(dataDir, "admin-key"), "utf8")]
        assert.isDefined(server)
        yield* kill(first.child, "SIGKILL")
        yield* exited(first.child)
        const second = yield* hookline(args)
        yield* until("the runner serves again", ready(port))
        assert.strictEqual(postmaster(dataDir), server)
        assert.strictEqual(Fs.readFileSync(Path.join(dataDir, "admin-key"), "utf8"), key)
        // As when its terminal is closed.
        yield* kill(second.child, "SIGHUP")
        assert.strictEqual(yield* exited(second.child), 0)
        assert.isUndefined(postmaster(dataDir))
      }),
    90_000
  )

  it.live("a receiver that waits before it answers is stopped at once", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const listen = yield* hookline(["listen", "--port", String(port), "--delay", "60000"])
      yield* until("the receiver listens", Effect.sync(() => listen.output.text.includes("Listening")))
      const client = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Http.request({ port, host: "127.0.0.1", method: "POST", headers: { expect: "100-continue" } }).on(
            "error",
            () => {}
          )
        ),
        (client) => Effect.sync(() => client.destroy())
      )
      yield* Effect.callback<void>((resume) => {
        client.on("continue", () => resume(Effect.void)).flushHeaders()
      })
      client.end("{}")
      yield* kill(listen.child, "SIGINT")
      assert.strictEqual(yield* exited(listen.child).pipe(Effect.timeout("20 seconds")), 0)
    }), 60_000)
})

describe.concurrent("a command that ends by itself", () => {
  it.live("says by its exit code that a signal has cut it off", () =>
    Effect.gen(function*() {
      const endpoint = yield* receiver
      endpoint.hold = true
      const url = `http://127.0.0.1:${endpoint.port}`
      const emit = yield* hookline(["emit", incident.eventId, "--payload", "{}", "--url", url, "--key", "hk_a"])
      yield* until("it waits for an answer", Effect.sync(() => endpoint.held.length === 1))
      yield* kill(emit.child, "SIGINT")
      assert.strictEqual(yield* exited(emit.child), 130)
    }), 60_000)
})

describe.concurrent("what can't be used is told in a sentence, without a stack", () => {
  const refused = (args: ReadonlyArray<string>, env: Record<string, string>, ...expected: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* call(args, env)
      assert.strictEqual(code, 1, stdout + stderr)
      for (const text of expected) assert.include(stderr, text)
      assert.notMatch(stderr, /\n\s+at .*:\d+:\d+|ConfigError|SchemaError/u)
      assert.strictEqual(stdout, "")
    })

  it.live("a port that is no port, before anything is started", () =>
    Effect.gen(function*() {
      const made = yield* folder
      const start = ["start", "--dev", "--config", config, "--data-dir", Path.join(made, "data")]
      yield* refused([...start, "--port", "70000"], {}, "port")
      yield* refused(start, { HOOKLINE_PORT: "abc" }, "HOOKLINE_PORT")
      yield* refused(start, { HOOKLINE_HISTORY_DAYS: "0" }, "HOOKLINE_HISTORY_DAYS")
      yield* refused(start, { HOOKLINE_HISTORY_DAYS: "7", HOOKLINE_ATTEMPTS_DAYS: "8" }, "HOOKLINE_ATTEMPTS_DAYS is 8")
      yield* refused(["listen", "--port", "99999"], {}, "port")
      assert.isFalse(Fs.existsSync(Path.join(made, "data")))
    }), 60_000)

  it.effect("but not what Kubernetes says of a service named after Hookline, and nothing that is empty", () =>
    Effect.gen(function*() {
      const none = Option.none()
      const given = {
        dev: false,
        host: "127.0.0.1",
        config: none,
        port: none,
        dataDir: none,
        runnerHost: none,
        runnerPort: none,
        runnerListenHost: none
      }
      const resolved = (env: Record<string, string>) =>
        RunnerFlags.resolve(given).pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
        )
      const unset = yield* resolved({})
      assert.deepInclude(unset, { port: 4680, dataDir: ".hookline", publicDocs: true })
      const names = ["PORT", "RUNNER_PORT", "DATA_DIR", "HISTORY_DAYS", "ATTEMPTS_DAYS", "PUBLIC_DOCS"]
      const empty = Object.fromEntries(names.map((name) => [`HOOKLINE_${name}`, ""]))
      assert.deepStrictEqual(yield* resolved(empty), unset)
      const link = "tcp://10.0.0.1:4680"
      assert.deepStrictEqual(yield* resolved({ HOOKLINE_PORT: link, HOOKLINE_RUNNER_PORT: link }), unset)
    }))

  it.live("a receiver's port that another process has", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const first = yield* hookline(["listen", "--port", String(port)])
      yield* until("it listens", Effect.sync(() => first.output.text.includes("Listening")))
      yield* refused(["listen", "--port", String(port)], {}, String(port), "--port")
    }), 60_000)

  it.live("a migration without a database, a malformed secret, a malformed network", () =>
    Effect.gen(function*() {
      yield* refused(["migrate"], {}, "DATABASE_URL")
      yield* refused(["listen", "--secret", "whsec_x"], {}, "whsec_")
      const keys = {
        HOOKLINE_MASTER_KEY: "ab".repeat(32),
        HOOKLINE_ADMIN_KEY: "hk_a",
        DATABASE_URL: "postgres://127.0.0.1:1/x"
      }
      yield* refused(["start", "--config", config], { ...keys, HOOKLINE_EGRESS_ALLOW: "10.0.0.0/8,bogus" }, "bogus")
    }), 60_000)

  it.live("a kept key's file that is empty", () =>
    Effect.gen(function*() {
      const made = yield* folder
      Fs.writeFileSync(Path.join(made, "master-key"), "")
      yield* refused(
        ["start", "--dev", "--config", config, "--data-dir", made],
        { DATABASE_URL: "postgres://127.0.0.1:1/x" },
        "master-key",
        "empty"
      )
    }), 60_000)

  it.live("a database that is away, after it was waited for, without its password", () =>
    Effect.gen(function*() {
      const { child, output } = yield* hookline(["start", "--config", config, "--port", String(yield* freePort)], {
        HOOKLINE_MASTER_KEY: "ab".repeat(32),
        HOOKLINE_ADMIN_KEY: "hk_very_secret",
        DATABASE_URL: "postgres://hookline:very_secret@127.0.0.1:1/x"
      })
      assert.strictEqual(yield* exited(child), 1)
      assert.include(output.text, "DATABASE_URL")
      assert.notInclude(output.text, "very_secret")
    }), 60_000)
})
