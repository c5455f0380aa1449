/**
 * The contract of a runner's measurements, for Prometheus.
 */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Needs } from "./Bearer.ts"
import { described } from "./Described.ts"

/** @category schemas @since 0.1.0 */
export const Exposition = Schema.String.annotate({ description: "Prometheus' text format, version 0.0.4" }).pipe(
  HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })
)

/** @category groups @since 0.1.0 */
export class MetricsGroup extends HttpApiGroup.make("metrics").add(
  HttpApiEndpoint.get("read", "/metrics", { success: Exposition }).annotateMerge(
    described({
      summary: "Read what a runner measures",
      description:
        "For Prometheus, which sends the key by its setting `authorization`: attempts, deliveries and messages that " +
        "this runner has counted since its start, what is in its memory, what waits in the cluster's database, and whatever else its " +
        "process measures with Effect's metrics. docs/metrics.md says what each means.",
      answer:
        "# HELP hookline_ready Whether this runner does what is due\n# TYPE hookline_ready gauge\nhookline_ready 1\n"
    })
  ).annotate(Needs, { scope: "read", everybody: true })
).annotateMerge(OpenApi.annotations({ description: "What a runner measures." })) {}
