/**
 * The contract of the cluster: its runners and who owns which worker group.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { RunnerId } from "../Id.ts"
import { told } from "../Told.ts"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"
import * as Examples from "./Examples.ts"
import * as Page from "./Page.ts"
import { Refused, Unavailable } from "./Problem.ts"
import { Time } from "./Time.ts"

/** @category schemas @since 0.1.0 */
export const RunnerView = Schema.Struct({
  id: RunnerId.pipe(told("The runner's id")),
  self: Schema.Boolean.pipe(told("The one that answers")),
  alive: Schema.Boolean.pipe(
    told("Its lease is in force; one that is not alive was killed or can't reach the database")
  ),
  leaseUntil: Time.pipe(told("Until when it may begin attempts")),
  address: Schema.optionalKey(Schema.String).pipe(told("How other runners reach it; none in a cluster of one")),
  version: Schema.optionalKey(Schema.String).pipe(told("Of Hookline")),
  startedAt: Schema.optionalKey(Time).pipe(told("When it was started")),
  shards: Schema.Int.pipe(told("Shards that it holds")),
  dispatchers: Schema.Int.pipe(told("Worker groups that it owns")),
  events: Schema.Array(Schema.String).pipe(told("The events whose code it has")),
  providers: Schema.Array(Schema.String).pipe(told("The providers whose code it has"))
}).annotate({ identifier: "Runner" })

/**
 * What is needed and some runner that is alive lacks: deliveries of groups that it owns stay `pending`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CodeMissing = Schema.Struct({
  kind: Schema.Literals(["event", "provider"]).pipe(told("What is missing")),
  id: Schema.String.pipe(told("Its id")),
  runnerIds: Schema.Array(RunnerId).pipe(told("The runners that lack it"))
}).annotate({ identifier: "CodeMissing" })

/** @category schemas @since 0.1.0 */
export const ClusterView = Schema.Struct({
  runners: Schema.Array(RunnerView).pipe(told("Those that are alive, and those that were lately")),
  shards: Schema.Struct({
    total: Schema.Int.pipe(told("Shards of the cluster")),
    held: Schema.Int.pipe(told("Those that living runners hold"))
  }).pipe(told("How the work is shared out")),
  due: Schema.Struct({
    groups: Schema.Int.pipe(told("Worker groups that have some")),
    oldestAt: Schema.optionalKey(Time).pipe(told("Since when the oldest is due")),
    oldestAgeMs: Schema.optionalKey(Schema.Int).pipe(told("For how long, in milliseconds"))
  }).pipe(told("Due work that is in nobody's hands")),
  codeMissing: Schema.Array(CodeMissing).pipe(told("What is needed and some runner that is alive lacks"))
}).annotate({ identifier: "Cluster" })

/** @category schemas @since 0.1.0 */
export const DispatcherView = Schema.Struct({
  workerGroup: Schema.String.pipe(told("What it owns, as `integration.incident.incident.created`")),
  partition: Schema.Int.pipe(told("Always 0: a partition is a worker group of its own")),
  epoch: Schema.Int.pipe(told("Grows with every take-over")),
  runnerId: Schema.optionalKey(RunnerId).pipe(told("Who owns it; left out when it was given back"))
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
