/**
 * The standard process: wiring only. The database, the keys, the plugins, Hookline and its HTTP side, in the order in which
 * they stand; stopped in reverse, PostgreSQL last.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, type Redacted } from "effect"
import * as SocketCluster from "./cluster/SocketCluster.ts"
import type { Egress } from "./Egress.ts"
import * as EgressNode from "./egress/EgressNode.ts"
import * as Hookline from "./Hookline.ts"
import * as Auth from "./http/Auth.ts"
import * as Server from "./http/Server.ts"
import { Limits } from "./Limits.ts"
import * as Webhook from "./plugins/webhook/index.ts"
import * as Readings from "./Readings.ts"
import type { PluginError, Registry } from "./Registry.ts"
import * as Retention from "./Retention.ts"
import * as Secrets from "./Secrets.ts"
import * as PgStorage from "./storage/PgStorage.ts"

/**
 * What a runner needs to be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly host: string
  readonly port: number
  readonly databaseUrl: Redacted.Redacted<string>
  readonly masterKey: Redacted.Redacted<string>
  /** Keys that open what they have sealed. */
  readonly otherMasterKeys: ReadonlyArray<Redacted.Redacted<string>>
  readonly adminKey: Redacted.Redacted<string>
  /** Networks that requests may go to although they are not public, as CIDRs. */
  readonly egressAllow: ReadonlyArray<string>
  /** Origins whose pages may use the API with a key. */
  readonly corsOrigins: ReadonlyArray<string>
  /** Whether `/openapi.json` and `/docs` are there for everybody; they are unless this is false. */
  readonly publicDocs?: boolean
  /** For how many days history is kept, and attempts where they go earlier: as the limits say where left out. */
  readonly historyDays?: number
  readonly attemptsDays?: number
  /** Whether a collector is told what is measured: then the database is asked regularly, and not only by who reads `/metrics`. */
  readonly tellsMetrics?: boolean
  /** How the other runners of the database reach this one. */
  readonly cluster: SocketCluster.Options
}

/**
 * Layer of a runner with the webhook plugin and those given; what it runs can be used beside it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E>(
  settings: Settings,
  plugins: Layer.Layer<never, E | PluginError, Registry | Egress>
) =>
  Layer.mergeAll(
    Layer.provide(Server.layer(settings), Auth.layer(settings)),
    settings.tellsMetrics === true ? Readings.regularly : Layer.empty
  ).pipe(
    Layer.provideMerge(Hookline.layer({
      plugins: Layer.mergeAll(Webhook.plugin, plugins),
      cluster: SocketCluster.runner(settings.cluster)
    })),
    Layer.provide(PgStorage.layer()),
    Layer.provide([
      EgressNode.layer({ allow: settings.egressAllow }),
      Secrets.layer(settings),
      PgClient.layer({ url: settings.databaseUrl, applicationName: "hookline-emit" })
    ]),
    Layer.provide(terms(settings)),
    Layer.tap(() =>
      Effect.logInfo("Hookline runs").pipe(Effect.annotateLogs({ host: settings.host, port: settings.port }))
    )
  )

// --- internal ---

/** The limits of the program with the terms that the settings say. */
const terms = (settings: Settings) =>
  Layer.effect(Limits, Effect.map(Limits, (limits) => ({ ...limits, ...Retention.limitsOf(settings) })))
