/**
 * The contract of the cluster: its runners and who owns which worker group.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { RunnerId } from "../Id.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Refused, Unavailable } from "./Problem.ts"

/** @category schemas @since 0.1.0 */
export const RunnerView = Schema.Struct({
  id: RunnerId,
  /** The one that answers. */
  self: Schema.Boolean,
  /** Its lease is in force; one that is not alive was killed or can't reach the database. */
  alive: Schema.Boolean,
  leaseUntil: Schema.String,
  /** How other runners reach it; none in a cluster of one. */
  address: Schema.optionalKey(Schema.String),
  version: Schema.optionalKey(Schema.String),
  startedAt: Schema.optionalKey(Schema.String),
  shards: Schema.Int,
  /** Worker groups that it owns. */
  dispatchers: Schema.Int,
  /** The events and providers whose code it has. */
  events: Schema.Array(Schema.String),
  providers: Schema.Array(Schema.String)
}).annotate({ identifier: "Runner" })

/**
 * What is needed and some runner that is alive lacks: deliveries of groups that it owns stay `pending`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CodeMissing = Schema.Struct({
  kind: Schema.Literals(["event", "provider"]),
  id: Schema.String,
  runnerIds: Schema.Array(RunnerId)
}).annotate({ identifier: "CodeMissing" })

/** @category schemas @since 0.1.0 */
export const ClusterView = Schema.Struct({
  runners: Schema.Array(RunnerView),
  /** Those of the cluster, and those that living runners hold. */
  shards: Schema.Struct({ total: Schema.Int, held: Schema.Int }),
  /** Worker groups with due work that is in nobody's hands, and since when the oldest is due. */
  due: Schema.Struct({
    groups: Schema.Int,
    oldestAt: Schema.optionalKey(Schema.String),
    oldestAgeMs: Schema.optionalKey(Schema.Int)
  }),
  codeMissing: Schema.Array(CodeMissing)
}).annotate({ identifier: "Cluster" })

/** @category schemas @since 0.1.0 */
export const DispatcherView = Schema.Struct({
  workerGroup: Schema.String,
  partition: Schema.Int,
  /** Grows with every take-over. */
  epoch: Schema.Int,
  /** None when it was given back. */
  runnerId: Schema.optionalKey(RunnerId)
}).annotate({ identifier: "Dispatcher" })

/** Worker groups are named after subscriptions, and those are somebody's. */
const everybody = { scope: "read", everybody: true } as const

/** @category groups @since 0.1.0 */
export class ClusterGroup extends HttpApiGroup.make("cluster").add(
  HttpApiEndpoint.get("get", "/cluster", { success: ClusterView, error: Unavailable }).annotateMerge(
    described({
      summary: "Read the cluster",
      description: "Its runners, their shards, due work that nobody has, and code that is missing somewhere.",
      answer: Examples.cluster
    })
  ).annotate(Needs, everybody),
  HttpApiEndpoint.get("dispatchers", "/cluster/dispatchers", {
    query: {
      runnerId: Schema.optionalKey(RunnerId),
      ...Page.query
    },
    success: Page.of(DispatcherView),
    error: [Refused, Unavailable]
  }).annotateMerge(
    described({
      summary: "List dispatchers",
      description: "Who owns which worker group, page by page.",
      answer: Examples.dispatchers
    })
  ).annotate(Needs, everybody)
).annotateMerge(OpenApi.annotations({ description: "The runners and who owns what." })) {}
