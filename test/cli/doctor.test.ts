import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Checks from "../../src/cli/Checks.ts"
import * as Id from "../../src/Id.ts"
import * as Retention from "../../src/Retention.ts"
import * as Secrets from "../../src/Secrets.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { StorageUnavailable } from "../../src/StorageError.ts"
import * as Http from "../http/support.ts"
import { prepareDay, subscribe } from "../storage/support.ts"
import { call } from "../support/cli.ts"
import * as Postgres from "../support/postgres.ts"
import { folder } from "../support/process.ts"
import { config, freePort } from "../support/runner.ts"
import { served } from "../support/served.ts"

const Report = Schema.fromJsonString(Schema.Struct({
  ok: Schema.Boolean,
  checks: Schema.Array(Schema.Struct({
    name: Schema.String,
    status: Schema.Literals(["ok", "warning", "failure"]),
    message: Schema.String,
    todo: Schema.optionalKey(Schema.String)
  }))
}))

const keys = { HOOKLINE_MASTER_KEY: "ab".repeat(32), HOOKLINE_ADMIN_KEY: "hk_0123456789abcdef" }

/** What `hookline doctor` finds, by the names of its checks, as `failure: …`. */
const examined = Effect.fnUntraced(function*(env: Record<string, string>, args: ReadonlyArray<string> = []) {
  const port = args.includes("--port") ? [] : ["--port", String(yield* freePort)]
  const { code, stderr, stdout } = yield* call(["doctor", "--json", ...port, ...args], env)
  const { checks, ok } = Schema.decodeUnknownSync(Report)(stdout)
  const failures = checks.filter((check) => check.status === "failure")
  assert.strictEqual(ok, failures.length === 0)
  assert.strictEqual(code, ok ? 0 : 1)
  assert.strictEqual(stderr, ok ? "" : `hookline: ${failures.length} of ${checks.length} checks failed.\n`)
  for (const check of checks) assert.strictEqual(check.todo !== undefined, check.status !== "ok", check.message)
  for (const secret of [env["HOOKLINE_MASTER_KEY"], env["HOOKLINE_ADMIN_KEY"], "pl4nted"]) {
    if (secret !== undefined && secret.length > 3) assert.notInclude(stdout, secret)
  }
  return Object.fromEntries(checks.map(({ message, name, status }) => [name, `${status}: ${message}`]))
})

const database = Effect.gen(function*() {
  const { url } = yield* Postgres.testDatabase
  const client = Layer.fresh(PgClient.layer({ url, maxConnections: 2 }))
  return { client, url: Redacted.value(url) }
})

/** Stores a connection whose secret is sealed under a key. */
const connect = (masterKey: string) =>
  Effect.gen(function*() {
    const secrets = yield* Secrets.Secrets
    const id = yield* Id.connectionId(0)
    const token = yield* secrets.seal(Redacted.make("pl4nted"), id)
    yield* Storage.use((storage) =>
      storage.createConnection({
        id,
        tenantId: "default",
        providerId: "jira.issue",
        name: "Jira",
        config: { server: "https://jira.example.com", auth: [{ token }] },
        version: 1,
        createdAtMs: 0,
        updatedAtMs: 0
      })
    )
  }).pipe(Effect.provide([Secrets.layer({ masterKey: Redacted.make(masterKey) }), PgStorage.layer()]))

/** Stores a subscription whose secret is sealed under a key. */
const store = (masterKey: string, providerId: string) =>
  Effect.gen(function*() {
    const secrets = yield* Secrets.Secrets
    const id = yield* Id.subscriptionId(0)
    const sealed = yield* secrets.seal(Redacted.make("whsec_x"), id)
    yield* subscribe({ id, providerId, signingSecrets: [{ sealed, createdAtMs: 0 }] })
  }).pipe(Effect.provide([Secrets.layer({ masterKey: Redacted.make(masterKey) }), PgStorage.layer()]))

describe("hookline doctor", () => {
  it.live("finds nothing where all is well, and says it to people too", () =>
    Effect.gen(function*() {
      const { client, url } = yield* database
      yield* Effect.provide(store(keys.HOOKLINE_MASTER_KEY, "webhook.webhook"), client)
      yield* Effect.provide(connect(keys.HOOKLINE_MASTER_KEY), client)
      const env = { ...keys, DATABASE_URL: url, HOOKLINE_EGRESS_ALLOW: "10.0.0.0/8" }
      const port = String(yield* freePort)
      const found = yield* examined(env, ["--config", config, "--port", port])
      assert.deepStrictEqual(
        Object.entries(found).filter(([, text]) => !text.startsWith("ok: ")),
        []
      )
      assert.deepInclude(found, {
        "master-key": "ok: It opens what is stored (2)",
        egress: "ok: Public addresses, 10.0.0.0/8",
        port: `ok: 127.0.0.1:${port} is free: no runner listens there`
      })
      const people = yield* call(["doctor", "--config", config, "--port", port], env)
      assert.strictEqual(people.code, 0, people.stdout)
      assert.match(people.stdout, /^ok +clock +The database's clock is/mu)
      assert.match(people.stdout, /Nothing is in the way\.\n$/u)
    }), 60_000)

  it.live("names everything that is not set, and what is set wrong", () =>
    Effect.gen(function*() {
      const other = yield* served((_, response) => void response.end("hello"))
      const place = ["--port", String(other.port), "--config", "test/cli/configs/throws.ts"]
      const unset = yield* examined({ HOOKLINE_EGRESS_ALLOW: "10.0.0.0/8,bogus,10/8" }, place)
      assert.deepInclude(unset, {
        database: "failure: DATABASE_URL is not set",
        "master-key": "failure: It is not set",
        "admin-key": "failure: It is not set",
        egress: "failure: HOOKLINE_EGRESS_ALLOW: \"bogus\", \"10/8\" is no network",
        port: `failure: 127.0.0.1:${other.port} is taken by another process than Hookline`,
        plugins: "failure: test/cli/configs/throws.ts: no connection to the incident database"
      })
      const wrong = yield* examined({
        DATABASE_URL: "nonsense",
        HOOKLINE_MASTER_KEY: "pl4nted",
        HOOKLINE_ADMIN_KEY: "short",
        HOOKLINE_EGRESS_ALLOW: "0.0.0.0/0",
        HOOKLINE_CORS_ORIGINS: "https://a.example,b.example/",
        HOOKLINE_HISTORY_DAYS: "2",
        HOOKLINE_ATTEMPTS_DAYS: "3"
      })
      assert.match(String(wrong["settings"]), /^failure: .*"b\.example\/".* HOOKLINE_ATTEMPTS_DAYS is 3, /u)
      assert.strictEqual(wrong["database"], "failure: DATABASE_URL is no URL of a database")
      assert.match(String(wrong["master-key"]), /^failure: .*64 hexadecimal digits/u)
      assert.match(String(wrong["admin-key"]), /^warning: .* can be guessed/u)
      assert.match(String(wrong["egress"]), /^warning: .* opens every address/u)
      assert.match(String(wrong["plugins"]), /^warning: They are not checked/u)
    }), 60_000)

  it.live("says why a database can't be used", () =>
    Effect.gen(function*() {
      const { url } = yield* database
      const change = (f: (url: URL) => void) => {
        const changed = new URL(url)
        f(changed)
        return changed.href
      }
      const cases = [
        [change((url) => void (url.port = "1")), "nobody listens there"],
        [change((url) => void (url.password = "pl4nted")), "it refuses the user or the password"],
        [change((url) => void (url.pathname = "/nowhere")), "it has no such database"],
        [change((url) => void (url.hostname = "nowhere.invalid")), "the host's name"]
      ] as const
      for (const [DATABASE_URL, why] of cases) {
        const found = yield* examined({ ...keys, DATABASE_URL })
        assert.match(String(found["database"]), /^failure: The database .* can't be used: /u)
        assert.include(found["database"], why)
        assert.strictEqual(found["master-key"], "ok: Well-formed; there is nothing to open with it")
      }
    }), 60_000)

  it.live(
    "finds a layout that is not there or newer, partitions that are missing, secrets of another key",
    () =>
      Effect.gen(function*() {
        const empty = yield* Postgres.emptyDatabase
        const bare = yield* examined({ ...keys, DATABASE_URL: Redacted.value(empty.url) })
        assert.strictEqual(bare["layout"], "warning: The database has no layout yet")
        assert.notProperty(bare, "partitions")

        const { client, url } = yield* database
        yield* Effect.provide(store("cd".repeat(32), "slack.slack"), client)
        yield* Effect.provide(store(keys.HOOKLINE_MASTER_KEY, "webhook.webhook"), client)
        yield* Effect.provide(connect("ef".repeat(32)), client)
        yield* Effect.flatMap(PgClient.PgClient, (sql) =>
          sql`do $$ begin
          insert into hookline_migrations (migration_id, name) values (9999, 'later');
          execute 'drop table hookline.attempts_' || to_char(now() at time zone 'utc', 'YYYYMMDD');
          execute 'drop table hookline.messages_' || to_char((now() at time zone 'utc') + interval '1 day', 'YYYYMMDD');
        end $$`.unprepared).pipe(Effect.provide(client))
        const found = yield* examined({ ...keys, DATABASE_URL: url }, ["--config", config])
        assert.match(
          String(found["layout"]),
          /^failure: The database's layout is version 9999, this program knows \d+$/u
        )
        assert.strictEqual(found["partitions"], "failure: There is no partition for today of attempts: emits fail")
        assert.match(
          String(found["master-key"]),
          /^failure: 2 of 3 stored secrets can't be opened\. .*sealed with the master key \w+, not \w+/u
        )
        assert.match(String(found["plugins"]), /^warning: .* enabled subscriptions name: slack\.slack \(1\)$/u)
      }),
    60_000
  )

  it.live("finds expired days that are there still, and what holds them", () =>
    Effect.gen(function*() {
      const { client, url } = yield* database
      const env = { ...keys, DATABASE_URL: url, HOOKLINE_HISTORY_DAYS: "2" }
      const found = examined(env, ["--config", config])
      assert.strictEqual(
        (yield* found)["retention"],
        "ok: History is kept for 2 days; nothing older is there"
      )
      const dayMs = 24 * 60 * 60 * 1000
      const old = Retention.dayOf((yield* Clock.currentTimeMillis) - 5 * dayMs)
      yield* Effect.provide(prepareDay(old), client)
      assert.strictEqual(
        (yield* found)["retention"],
        `warning: The history of ${old} has expired and is there still`
      )
      yield* Effect.flatMap(PgClient.PgClient, (sql) =>
        sql`insert into hookline.inbox (message_id, worker_group, slot, tenant_id, size, set_aside_at, error)
          values (hookline.day_bound(${old}::date), 'integration.a.b', 0, 'default', 1, now(), 'refused')`).pipe(
          Effect.provide(client)
        )
      assert.strictEqual(
        (yield* found)["retention"],
        `warning: The history of ${old} has expired and stays: it is held by 1 message that was set aside`
      )
    }), 60_000)

  it.live("asks a runner that listens whether it is ready and takes the key", () =>
    Effect.gen(function*() {
      const away = Effect.fail(new StorageUnavailable({ message: "The database does not answer." }))
      const port = yield* freePort
      const server = Http.server({ port, change: (storage) => ({ ...storage, listSubscriptions: () => away }) })
      const found = yield* Effect.provide(examined(keys, ["--port", String(port)]), server)
      assert.strictEqual(found["admin-key"], "ok: Set")
      assert.strictEqual(
        found["port"],
        `failure: A runner listens at 127.0.0.1:${port}, but is not ready: The database does not answer.`
      )
      const another = yield* freePort
      const stranger = Http.server({ port: another, key: "hk_fedcba9876543210" })
      const refused = yield* Effect.provide(examined(keys, ["--port", String(another)]), stranger)
      assert.strictEqual(refused["admin-key"], `failure: The runner at 127.0.0.1:${another} refuses it`)
    }), 60_000)

  it.live("looks at a folder of a runner in development and makes nothing in it", () =>
    Effect.gen(function*() {
      const made = yield* folder
      const dataDir = Path.join(made, "data")
      const dev = ["--dev", "--data-dir", dataDir]
      const fresh = yield* examined({}, dev)
      assert.match(String(fresh["embedded"]), /^ok: PostgreSQL \d+\.\d+ is installed; the first start makes /u)
      assert.strictEqual(fresh["egress"], "ok: Public addresses, loopback")
      assert.isFalse(Fs.existsSync(dataDir))
      Fs.mkdirSync(Path.join(dataDir, "postgres"), { recursive: true })
      Fs.writeFileSync(Path.join(dataDir, "postgres", "PG_VERSION"), "13\n")
      Fs.writeFileSync(Path.join(dataDir, "master-key"), "")
      Fs.writeFileSync(Path.join(dataDir, "admin-key"), "hk_0123456789abcdef\n")
      const old = yield* examined({}, dev)
      assert.match(String(old["embedded"]), /^failure: .* was made by PostgreSQL 13, installed is \d+\.\d+$/u)
      assert.match(String(old["database"]), /^warning: The embedded PostgreSQL is not running/u)
      assert.match(String(old["master-key"]), /^failure: .*master-key is empty/u)
      assert.strictEqual(old["admin-key"], "ok: Set")
    }), 60_000)

  it("judges versions and clocks by their limits", () => {
    const status = (check: Checks.Check) => check.status
    assert.deepStrictEqual(
      ["18.20.0", "22.18.9", "22.19.0", "24.0.0"].map((version) => status(Checks.node(version, ">=22.19"))),
      ["failure", "failure", "ok", "ok"]
    )
    assert.deepStrictEqual(
      [130_012, 140_000, 180_004].map((number) => status(Checks.server({ number, text: "" }))),
      ["failure", "ok", "ok"]
    )
    assert.deepStrictEqual(
      [0, 1000, -1001, 1004, 60_000, -60_001, 90_000].map((aheadMs) => status(Checks.clock({ aheadMs, withinMs: 0 }))),
      ["ok", "ok", "warning", "warning", "warning", "failure", "failure"]
    )
    // What is not known so exactly is no fault.
    assert.strictEqual(status(Checks.clock({ aheadMs: 1500, withinMs: 600 })), "ok")
    assert.strictEqual(status(Checks.layout({ found: 1, known: 2 })), "warning")
    assert.strictEqual(status(Checks.partitions({ today: [], tomorrow: ["messages"] })), "warning")
  })
})
