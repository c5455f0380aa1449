/**
 * What the runners run: sixteen events, so that their groups spread over all runners; and the webhook provider, which says in
 * each request of which process it is.
 */
import { Schema } from "effect"
import * as Hook from "../../src/Hook.ts"
import * as IntegrationEvent from "../../src/IntegrationEvent.ts"
import * as Plugin from "../../src/Plugin.ts"
import * as Webhook from "../../src/plugins/webhook/index.ts"
import * as Provider from "../../src/Provider.ts"
import { hookIds, orderOf, pluginId, processHeader, processVariable } from "./Events.ts"

const hooks = hookIds.map((id) =>
  Hook.make(id, { payload: Schema.Struct({ key: Schema.String }), orderingKey: ({ key }) => orderOf(key) })
)

const endpoint = Provider.make({
  id: "endpoint",
  displayName: "Endpoint",
  config: Webhook.WebhookConfig,
  bind: (config) =>
    Webhook.provider.bind({
      ...config,
      customHeaders: [{ name: processHeader, value: process.env[processVariable] ?? "nobody" }]
    })
})

export default Plugin.make(pluginId, {
  hooks,
  events: hooks.map((hook) => IntegrationEvent.make(hook, { displayName: hook.id })),
  providers: [endpoint]
})
