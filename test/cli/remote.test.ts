import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Remote from "../../src/cli/Remote.ts"
import { folder } from "../support/process.ts"

const connect = (
  given: { readonly key?: string; readonly dataDir?: string },
  env: Readonly<Record<string, string>> = {}
) =>
  Remote.connect({
    url: Option.none(),
    json: false,
    key: Option.map(Option.fromUndefinedOr(given.key), (key) => Redacted.make(key)),
    dataDir: Option.fromUndefinedOr(given.dataDir)
  }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))

describe("the key of a command", () => {
  it.effect("that no header carries is refused before it is sent, by where it comes from and without being shown", () =>
    Effect.gen(function*() {
      const dataDir = yield* folder
      const file = Path.join(dataDir, "admin-key")
      Fs.writeFileSync(file, "pl4nted\nkey\n")
      const refused = yield* Effect.forEach([
        connect({ key: "pl4nted\nkey" }),
        connect({ key: "pl4nted€" }),
        connect({ key: "" }),
        connect({}, { HOOKLINE_KEY: " ", HOOKLINE_ADMIN_KEY: "pl4nted key" }),
        connect({}, { HOOKLINE_KEY: "pl4nted key", HOOKLINE_ADMIN_KEY: "hk_a" }),
        connect({ dataDir })
      ], (connected) => Effect.map(Effect.flip(connected), ({ message }) => message))
      for (const message of refused) {
        assert.match(message, /^The key from \S+ can't be sent: pass a key of the runner's, /u)
        assert.notInclude(message, "pl4nted")
      }
      assert.deepStrictEqual(
        refused.map((message) => message.split(" ")[3]),
        ["--key", "--key", "--key", "HOOKLINE_ADMIN_KEY", "HOOKLINE_KEY", file]
      )
    }))

  it.effect("is taken without the white space around it, as files and shells leave it", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* connect({ key: " hk_a\n" })).url, "http://127.0.0.1:4680")
    }))
})
