/**
 * The status page's backend as it runs in production, composed as `examples/status-page/main.ts` does, on a PostgreSQL of its
 * own: started in a temporary folder, stopped last, and gone with its folder.
 */
import { NodeServices } from "@effect/platform-node"
import { PgClient, PgMigrator } from "@effect/sql-pg"
import { Effect, FileSystem, Layer } from "effect"
import { Hookline, Limits, Secrets } from "hookline"
import { Egress } from "hookline/egress"
import * as Webhook from "hookline/plugins/webhook"
import { EmbeddedPostgres, PgStorage } from "hookline/postgres"
import plugins from "../status-page/hookline.config.ts"
import { Incidents } from "../status-page/Incidents.ts"
import migrations from "../status-page/migrations.ts"

const PgLive = Layer.unwrap(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const dataDir = yield* fs.makeTempDirectoryScoped({ prefix: "hookline-demo-" })
  const { url } = yield* EmbeddedPostgres.make({ dataDir })
  return PgClient.layer({ url })
}))

const HooklineLive = Layer.unwrap(Effect.gen(function*() {
  const masterKey = yield* Secrets.generateMasterKey
  return Hookline.layer({ plugins: Layer.mergeAll(Webhook.plugin, plugins) }).pipe(
    Layer.provideMerge(PgStorage.layer()),
    // The receivers are on this machine, which is closed to webhooks otherwise.
    Layer.provide([
      Secrets.layer({ masterKey }),
      Egress.layer({ allow: ["127.0.0.0/8"] }),
      // A circuit would hold back what is for receivers that fail, for minutes: here every delivery comes to its end.
      Limits.layer({ circuitFailures: Number.MAX_SAFE_INTEGER, circuitSampleAttempts: Number.MAX_SAFE_INTEGER })
    ])
  )
}))

const MigrationsLive = PgMigrator.layer({ loader: PgMigrator.fromRecord(migrations) })

export const layer = Incidents.layer.pipe(
  Layer.provideMerge(HooklineLive),
  Layer.provide(MigrationsLive),
  Layer.provide(PgLive),
  Layer.provide(NodeServices.layer)
)
