/**
 * Webhooks as a plugin: `import * as Webhook from "hookline/plugins/webhook"`, then `Webhook.plugin`.
 */
import type { Layer } from "effect"
import type { Egress } from "../../Egress.ts"
import * as Plugin from "../../Plugin.ts"
import type { PluginError, Registry } from "../../Registry.ts"
import { provider } from "./Webhook.ts"

export { provider } from "./Webhook.ts"
export { WebhookConfig } from "./WebhookConfig.ts"

/**
 * The plugin `webhook` with the provider `webhook.webhook`.
 *
 * @category plugins
 * @since 0.1.0
 */
export const plugin: Layer.Layer<never, PluginError, Registry | Egress> = Plugin.make("webhook", {
  providers: [provider]
})
