/**
 * A cluster of many processes: they find each other and share the shards out through PostgreSQL, and send each other hints
 * over sockets. The rows are the truth: where the sockets fail, each runner's sweep still finds the work of its shards.
 */
import { NodeClusterSocket, NodeSocketServer } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Option, References } from "effect"
import {
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  Runners,
  RunnerServer,
  RunnerStorage,
  Sharding,
  SocketRunner
} from "effect/cluster"
import { RpcSerialization, RpcServer } from "effect/rpc"
import { SocketServer } from "effect/socket"
import * as Cluster from "../Cluster.ts"
import { Limits } from "../Limits.ts"
import { Storage, type StorageUnavailable } from "../Storage.ts"
import * as PgPool from "../storage/PgPool.ts"
import * as Agreement from "./Agreement.ts"
import { ClusterRefused } from "./Agreement.ts"
import * as Closing from "./Closing.ts"
import * as LocalAddress from "./LocalAddress.ts"
import * as PgRunnerStorage from "./PgRunnerStorage.ts"

/** The connections that heartbeats, shards and assignments go over. */
class Connections extends Context.Service<Connections, PgClient.PgClient>()("hookline/cluster/Connections") {}

/** Built after the storage, which sees to the layout. */
const connections: Layer.Layer<
  Connections,
  ClusterRefused | StorageUnavailable,
  PgClient.PgClient | Storage
> = Layer.effect(
  Connections,
  Effect.gen(function*() {
    yield* Storage
    const limits = yield* Limits
    const sql = yield* PgPool.make(yield* PgClient.PgClient, {
      applicationName: "hookline-cluster",
      maxConnections: limits.clusterConnections,
      startupParameters: {
        statement_timeout: String(limits.lockExpiryMs)
      }
    })
    yield* Agreement.make(sql)
    return sql
  })
)

const runnerStorage = Layer.effect(RunnerStorage.RunnerStorage, Effect.flatMap(Connections, PgRunnerStorage.make))

/** How the other runners reach this one: known once it listens. */
class Address extends Context.Service<Address, RunnerAddress.RunnerAddress>()("hookline/cluster/Address") {}

const addressed = Layer.unwrap(
  Effect.map(Address, (address) => Cluster.settings({ runnerAddress: Option.some(address) }))
)

/**
 * How a runner is reached.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The name or address at which the other runners reach this one; that of its connection to the database when left out. */
  readonly host?: string | undefined
  /** The port for other runners; a free one when left out. */
  readonly port?: number | undefined
  /** The address to listen on, where `host` is not one of this machine's. */
  readonly listenHost?: string | undefined
}

/**
 * Layer of a runner's membership: it takes its share of the shards, and gives them back when it stops.
 *
 * **Gotchas**
 *
 * What runners send each other is neither encrypted nor authenticated: hints and confirmations, no payloads. Keep the port
 * inside the cluster's network.
 *
 * @category layers
 * @since 0.1.0
 */
export const runner = (
  options: Options = {}
): Layer.Layer<Sharding.Sharding, ClusterRefused | StorageUnavailable, PgClient.PgClient | Storage> =>
  membership.pipe(
    Layer.provide(runnerStorage),
    Layer.provide(addressed),
    Layer.provideMerge(reached),
    Layer.provide(listening(options)),
    Layer.provide([MessageStorage.layerNoop, RpcSerialization.layerSchemaBinary(), connections])
  )

/**
 * Layer of a process that owns no group and only sends hints, as a backend that emits and leaves the delivery to runners.
 *
 * @category layers
 * @since 0.1.0
 */
export const client: Layer.Layer<
  Sharding.Sharding,
  ClusterRefused | StorageUnavailable,
  PgClient.PgClient | Storage
> = SocketRunner.layerClientOnly.pipe(
  Layer.provide(NodeClusterSocket.layerClientProtocol),
  Layer.provide(runnerStorage),
  Layer.provide(Cluster.settings({})),
  Layer.provide([MessageStorage.layerNoop, RpcSerialization.layerSchemaBinary(), connections])
)

// --- internal ---

/** What effect's cluster complains of passes: peers that are gone, no runner left at a stop; what counts, our storage tells. */
const quiet = Layer.succeed(References.MinimumLogLevel, "Fatal")

const membership = Layer.unwrap(Effect.map(Limits, ({ lockExpiryMs }) =>
  // When it begins to close, the dispatchers have given back all they had; and shards are free once heartbeats end.
  Closing.within(
    // Again once it is a member: two that came at once may both have found no runner.
    Layer.effectDiscard(Effect.flatMap(Connections, Agreement.check)).pipe(
      Layer.provideMerge(served),
      Layer.provideMerge(Sharding.layer),
      Layer.provide(Runners.layerRpc),
      Layer.provide(quiet),
      // Heartbeats tell within their expiry; neither a ping nor Kubernetes would be sooner.
      Layer.provide(RunnerHealth.layerNoop),
      Layer.provide(NodeClusterSocket.layerClientProtocol)
    ),
    lockExpiryMs
  )))

/**
 * The port for other runners. Effect's server waits for each of its clients to end, however long that takes; nobody needs
 * its answers by then.
 */
const served = Layer.unwrap(Effect.map(Limits, ({ serverDrainMs }) =>
  Closing.within(
    Layer.provide(RunnerServer.layer, RpcServer.layerProtocolSocketServer),
    serverDrainMs
  )))

const listening = ({ host, listenHost, port }: Options) =>
  Layer.unwrap(Effect.gen(function*() {
    const client = yield* PgClient.PgClient
    const reached = host ?? (yield* LocalAddress.towards(LocalAddress.targetOf(client.config)))
    const options = { host: listenHost ?? reached, port: port ?? 0 }
    return Layer.effectContext(Effect.gen(function*() {
      const server = yield* Effect.mapError(
        NodeSocketServer.make(options),
        () =>
          new ClusterRefused({
            message: `Port ${options.port} on ${options.host} can't be used for other runners: choose another with ` +
              "--runner-port, or leave it out; --runner-host is how they reach this one, --runner-listen-host where it listens."
          })
      )
      const listening = server.address._tag === "UnixPathAddress" ? options.port : server.address.port
      return Context.add(
        Context.make(SocketServer.SocketServer, server),
        Address,
        RunnerAddress.make(reached, listening)
      )
    }))
  }))

const reached = Layer.effect(Cluster.Reached, Effect.map(Address, ({ host, port }) => hostPort(host, port)))

/** An IPv6 address stands in brackets. */
const hostPort = (host: string, port: number): string => `${host.includes(":") ? `[${host}]` : host}:${port}`
