/**
 * Plugins of a test: an endpoint that ends the process when it is to deliver poison, and else posts to POISON_URL.
 */
import { Effect, Schema } from "effect"
import * as Hook from "../../../src/Hook.ts"
import * as IntegrationEvent from "../../../src/IntegrationEvent.ts"
import * as Plugin from "../../../src/Plugin.ts"
import * as Provider from "../../../src/Provider.ts"

const Happened = Hook.make("happened", { payload: Schema.Struct({ poison: Schema.Boolean }) })

const url = process.env["POISON_URL"] ?? ""

const endpoint = Provider.make({
  id: "endpoint",
  displayName: "Endpoint",
  config: Schema.Struct({}),
  bind: (): Provider.Bound<never> => ({
    check: Effect.void,
    deliver: (attempt) =>
      Effect.promise(async () => {
        if (attempt.message.payloadJson.includes("true")) process.kill(process.pid, "SIGKILL")
        await fetch(url, { method: "POST", headers: { "webhook-id": attempt.message.id } })
        return {}
      })
  })
})

export default Plugin.make("test", {
  hooks: [Happened],
  events: [IntegrationEvent.make(Happened, { displayName: "Happened" })],
  providers: [endpoint]
})
