/**
 * A backend that composes Hookline in its own process: its tables and its messages commit together.
 *
 * DATABASE_URL=… HOOKLINE_MASTER_KEY=… node --conditions=hookline-source examples/status-page/main.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, DateTime, Effect, Layer } from "effect"
import { Hook, Hookline, Secrets } from "hookline"
import { Egress } from "hookline/egress"
import * as Webhook from "hookline/plugins/webhook"
import { PgStorage } from "hookline/postgres"
import plugins from "./hookline.config.ts"
import { IncidentCreated, IncidentResolved } from "./incident.ts"

// The one client that the program's own code and Hookline share.
const PgLive = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })

const SecretsLive = Layer.unwrap(
  Effect.map(Config.Redacted("HOOKLINE_MASTER_KEY"), (masterKey) => Secrets.layer({ masterKey }))
)

const App = Hookline.layer({ plugins: Layer.mergeAll(Webhook.plugin, plugins) }).pipe(
  Layer.provide(PgStorage.layer()),
  Layer.provide([SecretsLive, Egress.layer()]),
  Layer.provideMerge(PgLive)
)

const incident = { systemIds: ["web"], title: "Checkout is down", severity: "major" }

const openIncident = Effect.fn("openIncident")(function*(incidentId: string) {
  const sql = yield* PgClient.PgClient
  const createdAt = DateTime.formatIso(yield* DateTime.now)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`insert into incidents (id, status) values (${incidentId}, 'open')`
    yield* Hook.emit(IncidentCreated, { incidentId, ...incident, status: "open", createdAt })
  }))
})

const resolveIncident = Effect.fn("resolveIncident")(function*(incidentId: string) {
  const sql = yield* PgClient.PgClient
  const resolvedAt = DateTime.formatIso(yield* DateTime.now)
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`update incidents set status = 'resolved' where id = ${incidentId}`
    yield* Hook.emit(IncidentResolved, { incidentId, ...incident, status: "resolved", resolvedAt })
  }))
})

const program = Effect.gen(function*() {
  const sql = yield* PgClient.PgClient
  yield* sql`create table if not exists incidents (id text primary key, status text not null)`
  yield* sql`delete from incidents`
  yield* openIncident("i-1")
  yield* resolveIncident("i-1")
  // The second insert of one id fails, and nobody hears of its incident.
  yield* openIncident("i-2")
  yield* Effect.ignore(openIncident("i-2"))
  const [messages] = yield* sql<{ readonly n: number }>`select count(*)::int as n from hookline.messages`
  yield* Effect.log(`${messages?.n} messages are stored`)
})

program.pipe(Effect.provide(App), NodeRuntime.runMain)
