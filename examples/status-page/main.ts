/**
 * A backend with Hookline in its own process: no second service to run, and one transaction for its rows and its messages.
 *
 * DATABASE_URL=postgres://… HOOKLINE_MASTER_KEY=<64 hexadecimal digits> WEBHOOK_URL=https://… WEBHOOK_SECRET=whsec_… \
 *   node --conditions=hookline-source examples/status-page/main.ts
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { PgClient, PgMigrator } from "@effect/sql-pg"
import { Config, Effect, Layer, Schema } from "effect"
import { Hookline, Secrets, Subscriptions } from "hookline"
import { Egress } from "hookline/egress"
import * as Webhook from "hookline/plugins/webhook"
import { PgStorage } from "hookline/postgres"
import plugins from "./hookline.config.ts"
import { Incidents } from "./Incidents.ts"
import migrations from "./migrations.ts"

// The one client of the program's own code and of Hookline's emits: a second one would not join its transactions.
const PgLive = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })

const HooklineLive = Layer.unwrap(Effect.gen(function*() {
  const masterKey = yield* Config.Redacted("HOOKLINE_MASTER_KEY")
  // Networks that are not public are closed to webhooks, but for these: "127.0.0.0/8" for a receiver on this machine.
  const allow = yield* Config.withDefault(Config.Array(Schema.String, "HOOKLINE_EGRESS_ALLOW"), [])
  return Hookline.layer({ plugins: Layer.mergeAll(Webhook.plugin, plugins) }).pipe(
    Layer.provide([PgStorage.layer(), Secrets.layer({ masterKey }), Egress.layer({ allow })])
  )
}))

const MigrationsLive = PgMigrator.layer({ loader: PgMigrator.fromRecord(migrations) }).pipe(
  Layer.provide(NodeServices.layer)
)

/** Who hears of incidents. Serve `hookline/http` as well, and they can subscribe themselves. */
const subscribe = Effect.gen(function*() {
  const subscriptions = yield* Subscriptions.Subscriptions
  if ((yield* subscriptions.list({}, { cursor: undefined, limit: 1 })).length > 0) return
  yield* subscriptions.create({
    name: "status page",
    events: ["incident.*"],
    providerId: "webhook.webhook",
    config: { url: yield* Config.String("WEBHOOK_URL") },
    signingSecret: yield* Config.Redacted("WEBHOOK_SECRET")
  })
})

/** What would be requests to the backend. */
const work = Effect.gen(function*() {
  const incidents = yield* Incidents
  const incidentId = yield* incidents.open({ title: "Checkout is down", severity: "major", systemIds: ["checkout"] })
  // Refused, because of the checkout: nothing of it is stored, and nobody hears of it.
  yield* incidents.open({ title: "All is slow", severity: "minor", systemIds: ["search", "checkout"] }).pipe(
    Effect.catchTag("SystemHasIncident", (refused) => Effect.logWarning(refused))
  )
  yield* incidents.resolve(incidentId)
})

const App = Layer.effectDiscard(Effect.andThen(subscribe, work)).pipe(
  Layer.provide(Incidents.layer),
  Layer.provide([HooklineLive, MigrationsLive]),
  Layer.provide(PgLive)
)

// Delivers until it is stopped; then hands over what is under way.
Layer.launch(App).pipe(NodeRuntime.runMain)
