/**
 * The metrics of this process as Prometheus reads them. What others measure without a word gets one, as its tools ask for it.
 */
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"

/**
 * Prometheus' text format, version 0.0.4.
 *
 * @category getters
 * @since 0.1.0
 */
export const text: Effect.Effect<string> = Effect.map(PrometheusMetrics.format(), (text) =>
  text.replaceAll(
    /^(# HELP \S+ .*\n)?# TYPE (\S+) .*$/gmu,
    (found, help: string | undefined, name: string) =>
      help === undefined ? `# HELP ${name} ${words[name] ?? "Measured by this process"}\n${found}` : found
  ))

// --- internal ---

/** Of Effect's cluster. */
const words: Readonly<Record<string, string>> = {
  effect_cluster_entities: "Entities in this process, by their type",
  effect_cluster_entity_mailbox_size_max: "The longest queue of an entity in this process, by their type",
  effect_cluster_runners: "Runners that this process knows",
  effect_cluster_runners_healthy: "Of those runners, the ones that count as healthy",
  effect_cluster_shards: "Shards that this process holds",
  effect_cluster_shards_releasing: "Shards that this process is giving back",
  effect_cluster_singletons: "Singletons in this process"
}
