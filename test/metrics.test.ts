/**
 * What is measured, what the documentation says of it, and what the dashboard and the alerts ask for: the same.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Metric, Schema } from "effect"
import { ClusterMetrics } from "effect/cluster"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Metrics from "../src/Metrics.ts"
import { call, emission, eventually, server, subscription } from "./http/support.ts"

const read = (file: string) => Fs.readFileSync(Path.resolve(import.meta.dirname, "..", file), "utf8")

interface Documented {
  readonly name: string
  readonly kind: string
  readonly labels: ReadonlyArray<string>
}

/** The rows of the tables in docs/metrics.md. */
const documented = [...read("docs/metrics.md").matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\|/gmu)]
  .map(([, name = "", kind = "", labels = ""]): Documented => ({
    name,
    kind,
    labels: [...labels.matchAll(/`(\w+)`/gu)].flatMap(([, label]) => label ?? [])
  }))

const named = new Map(documented.map((row) => [row.name, row]))

const own = Object.values(Metrics).filter((value) => Metric.isMetric(value))

const Dashboard = Schema.fromJsonString(Schema.Struct({
  schemaVersion: Schema.Int,
  panels: Schema.Array(Schema.Struct({
    title: Schema.String,
    targets: Schema.optionalKey(Schema.Array(Schema.Struct({ expr: Schema.String })))
  }))
}))

/** The names of metrics in an expression, without what a histogram's series add to them. */
const metricsIn = (expression: string) =>
  [...expression.matchAll(/\b(?:hookline|effect)_\w+/gu)].map(([name]) =>
    named.has(name) ? name : name.replace(/_(bucket|sum|count)$/u, "")
  )

const unknown = (expressions: ReadonlyArray<string>) =>
  expressions.flatMap(metricsIn).filter((name) => !named.has(name))

describe("the metrics", () => {
  layer(server(), { excludeTestServices: true })((it) => {
    it.effect("are documented, each with its kind, and nothing is that there is not", () =>
      Effect.sync(() => {
        const kinds = new Map(own.map(({ id, type }) => [id, type.toLowerCase()]))
        const ours = documented.filter(({ name }) => name.startsWith("hookline_"))
        assert.deepStrictEqual(new Map(ours.map(({ kind, name }) => [name, kind])), kinds)
        assert.strictEqual(named.size, documented.length)
        const others = documented.map(({ name }) => name).filter((name) => !kinds.has(name))
        const ofCluster = new Set(Object.values(ClusterMetrics).map(({ id }) => id))
        assert.deepStrictEqual(others.filter((name) => !ofCluster.has(name)), [])
      }))

    it.effect("that a runner exposes are those of the documentation, with its labels and some words", () =>
      Effect.gen(function*() {
        yield* call("POST", "/api/v1/subscriptions", subscription())
        yield* call("POST", "/api/v1/messages", emission())
        const { text } = yield* eventually(
          "it has delivered",
          call("GET", "/metrics"),
          ({ text }) => text.includes("hookline_deliveries_total{")
        )
        const exposed = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gmu)]
        for (const [, name = "", kind] of exposed) {
          assert.strictEqual(named.get(name)?.kind, kind, name)
          assert.match(text, new RegExp(`^# HELP ${name} \\S`, "mu"))
        }
        for (const [series, name = "", labels = ""] of text.matchAll(/^(\w+)\{(.*)\} /gmu)) {
          const [metric = ""] = metricsIn(name)
          const given = [...labels.matchAll(/(\w+)="/gu)].flatMap(([, label]) => label === "le" ? [] : label ?? [])
          assert.deepStrictEqual(given, [...named.get(metric)?.labels ?? []], series)
        }
        const rare = new Set([
          "hookline_statement_failures_total",
          "hookline_channel_dropped_total",
          "effect_cluster_shard_release"
        ])
        const missing = documented.map(({ name }) => name)
          .filter((name) => !rare.has(name) && !exposed.some(([, found]) => found === name))
        assert.deepStrictEqual(missing, [])
      }))

    it.effect("are what the dashboard's panels show and what the alerts look at", () =>
      Effect.gen(function*() {
        const { panels, schemaVersion } = yield* Schema.decodeUnknownEffect(Dashboard)(
          read("docs/grafana/hookline.json")
        )
        const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
        assert.isAtLeast(schemaVersion, 39)
        assert.isAbove(expressions.length, 20)
        assert.deepStrictEqual(unknown(expressions), [])
        const alerts = [...read("docs/grafana/alerts.yml").matchAll(/^ +expr: (.*)$/gmu)].flatMap(([, text]) =>
          text ?? []
        )
        assert.isAbove(alerts.length, 4)
        assert.deepStrictEqual(unknown(alerts), [])
        // Whatever is worth a metric is worth a place on the dashboard, what a runner says of its cluster aside.
        const shown = new Set(expressions.flatMap(metricsIn))
        const left = own.map(({ id }) => id).filter((id) => !shown.has(id))
        assert.deepStrictEqual(left.sort(), [
          "hookline_channel_dropped_total",
          "hookline_code_missing",
          "hookline_dispatchers",
          "hookline_groups_unrouted",
          "hookline_runners",
          "hookline_suspects"
        ])
      }))
  })
})
