import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import type { ConnectionId, SubscriptionId } from "../../src/Id.ts"
import * as Id from "../../src/Id.ts"
import * as Secrets from "../../src/Secrets.ts"
import { Storage } from "../../src/Storage.ts"
import * as PgStorage from "../../src/storage/PgStorage.ts"
import { subscribe } from "../storage/support.ts"
import { call } from "../support/cli.ts"
import * as Postgres from "../support/postgres.ts"

const [older, newer, lost] = ["a1", "b2", "c3"].map((byte) => byte.repeat(32)) as [string, string, string]

const texts = Schema.Struct({ token: Schema.String, list: Schema.Array(Schema.String), plain: Schema.String })

/** Stores a subscription with secrets that a key has sealed: one that signs, two of its configuration. */
const store = (key: string) =>
  Effect.gen(function*() {
    const secrets = yield* Secrets.Secrets
    const id = yield* Id.subscriptionId(1_700_000_000_000)
    const seal = (text: string) => secrets.seal(Redacted.make(text), id)
    const config = { token: yield* seal("t0ken"), list: [yield* seal("in a list")], plain: "v1:looks:like one" }
    yield* subscribe({ id, config, signingSecrets: [{ sealed: yield* seal("whsec_x"), createdAtMs: 0 }] })
    return id
  }).pipe(Effect.provide(Secrets.layer({ masterKey: Redacted.make(key) })))

/** Stores a connection with a secret that a key has sealed. */
const connect = (key: string) =>
  Effect.gen(function*() {
    const secrets = yield* Secrets.Secrets
    const id = yield* Id.connectionId(1_700_000_000_000)
    const token = yield* secrets.seal(Redacted.make("sh4red"), id)
    yield* Storage.use((storage) =>
      storage.createConnection({
        id,
        tenantId: "default",
        providerId: "chat.room",
        name: "chat",
        config: { token },
        version: 1,
        createdAtMs: 0,
        updatedAtMs: 0
      })
    )
    return id
  }).pipe(Effect.provide(Secrets.layer({ masterKey: Redacted.make(key) })))

/** The connection's secret, as a key opens it. */
const shared = (id: ConnectionId, key: string) =>
  Effect.gen(function*() {
    const secrets = yield* Secrets.Secrets
    const { config } = Option.getOrThrow(yield* Storage.use((storage) => storage.getConnection(id)))
    const { token } = yield* Schema.decodeUnknownEffect(Schema.Struct({ token: Schema.String }))(config)
    return Redacted.value(yield* secrets.open(token, id))
  }).pipe(Effect.provide(Secrets.layer({ masterKey: Redacted.make(key) })))

/** What of it a key opens, by itself. */
const opened = (id: SubscriptionId, key: string) =>
  Effect.gen(function*() {
    const storage = yield* Storage
    const secrets = yield* Secrets.Secrets
    const found = Option.getOrThrow(yield* storage.getSubscription(id))
    const { list, plain, token } = yield* Schema.decodeUnknownEffect(texts)(found.config)
    const sealed = [token, ...list, ...found.signingSecrets.map((secret) => secret.sealed)]
    const all = yield* Effect.forEach(sealed, (text) => Effect.map(secrets.open(text, id), Redacted.value))
    return [...all, plain]
  }).pipe(Effect.provide(Secrets.layer({ masterKey: Redacted.make(key) })))

describe("hookline rotate-key", () => {
  it.live(
    "seals with the new key what the older one has sealed, and only names what neither opens",
    () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.testDatabase
        const storage = yield* Layer.build(
          PgStorage.layer().pipe(Layer.provideMerge(Layer.fresh(PgClient.layer({ url, maxConnections: 2 }))))
        )
        yield* Effect.gen(function*() {
          const [first, second] = [yield* store(older), yield* store(older)]
          const connection = yield* connect(older)
          const env = {
            DATABASE_URL: Redacted.value(url),
            HOOKLINE_MASTER_KEY: newer,
            HOOKLINE_OTHER_MASTER_KEYS: older
          }
          const done = yield* call(["rotate-key"], env)
          assert.deepStrictEqual([done.code, done.stderr], [0, ""], done.stderr)
          assert.strictEqual(done.stdout, "7 secrets of 3 sealed anew with this master key.\n")
          for (const id of [first, second]) {
            assert.deepStrictEqual(yield* opened(id, newer), ["t0ken", "in a list", "whsec_x", "v1:looks:like one"])
            assert.strictEqual((yield* Effect.flip(opened(id, older)))._tag, "UnsealError")
          }
          assert.strictEqual(yield* shared(connection, newer), "sh4red")
          assert.strictEqual((yield* call(["rotate-key"], env)).stdout, "Everything is sealed with this master key.\n")

          const third = yield* store(lost)
          const left = yield* call(["rotate-key"], env)
          assert.strictEqual(left.code, 1)
          assert.include(left.stderr, third)
          assert.include(left.stderr, "HOOKLINE_OTHER_MASTER_KEYS")
          assert.deepStrictEqual((yield* opened(third, lost)).slice(0, 1), ["t0ken"])
          const entries = yield* Storage.use((storage) => storage.listAudit({}, { cursor: undefined, limit: 10 }))
          assert.deepStrictEqual(entries.map(({ action, after }) => [action, after?.["secrets"]]), [
            ["secrets.reseal", 0],
            ["secrets.reseal", 0],
            ["secrets.reseal", 7]
          ])
          for (const key of [older, newer, "t0ken", "sh4red"]) {
            assert.notInclude(JSON.stringify([entries, done, left]), key)
          }
        }).pipe(Effect.provide(storage))
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("needs the key, and each to be one", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.testDatabase
      const env = { DATABASE_URL: Redacted.value(url) }
      const none = yield* call(["rotate-key"], env)
      assert.deepStrictEqual([none.code, none.stderr.includes("HOOKLINE_MASTER_KEY")], [1, true])
      const wrong = yield* call(["rotate-key"], {
        ...env,
        HOOKLINE_MASTER_KEY: newer,
        HOOKLINE_OTHER_MASTER_KEYS: "short"
      })
      assert.deepStrictEqual([wrong.code, wrong.stderr.includes("HOOKLINE_OTHER_MASTER_KEYS")], [1, true])
      assert.notInclude(wrong.stderr, "short")
    }).pipe(Effect.scoped), 60_000)
})
