import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import StatusPage from "../../examples/status-page/hookline.config.ts"
import * as Welcome from "../../src/cli/Welcome.ts"
import * as Hook from "../../src/Hook.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Registry from "../../src/Registry.ts"

const settings = { host: "::1", port: 4680, adminKey: Redacted.make("hk_a") }

const said = <E>(plugins: Layer.Layer<never, E, Registry.Registry>, keyIsKnown = true) =>
  Effect.provide(Welcome.text(settings, keyIsKnown), Layer.provideMerge(plugins, Registry.layer))

describe("what a runner in development says when it runs", () => {
  it.effect("is three commands with an event of its plugins, which a shell takes as they are", () =>
    Effect.gen(function*() {
      const text = yield* said(StatusPage)
      assert.include(text, "subscribe http://127.0.0.1:4690/ --events 'incident.*' --url http://[::1]:4680\n")
      assert.include(text, "emit incident.incident.created --url http://[::1]:4680 \\\n")
      assert.include(text, "\"title\":\"Checkout is down\"")
      assert.include(yield* said(StatusPage, false), "--key hk_a")
      const hook = Hook.make("quoted", {
        payload: Schema.Struct({ note: Schema.String.annotate({ examples: ["it's"] }) })
      })
      const events = [IntegrationEvent.make(hook, { displayName: "Quoted" })]
      assert.include(yield* said(Plugin.make("q", { hooks: [hook], events })), `--payload '{"note":"it'\\''s"}'`)
    }))

  it.effect("is where it listens, and that there is nothing to subscribe to, where its plugins bring no event", () =>
    Effect.gen(function*() {
      const text = yield* said(Layer.empty)
      assert.include(text, "Hookline listens on http://[::1]:4680")
      assert.include(text, "bring no event yet")
    }))
})
