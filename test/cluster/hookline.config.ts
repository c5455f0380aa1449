/**
 * Plugins of the cluster's tests: twelve events, so that their worker groups are spread over the runners.
 */
import { Schema } from "effect"
import * as Hook from "../../src/Hook.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"

const hooks = Array.from({ length: 12 }, (_, n) => Hook.make(`e${n}`, { payload: Schema.Struct({ n: Schema.Int }) }))

export default Plugin.make("load", {
  hooks,
  events: hooks.map((hook) => IntegrationEvent.make(hook, { displayName: hook.id }))
})
