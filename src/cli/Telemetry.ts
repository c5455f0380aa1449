/**
 * What a runner tells an OpenTelemetry collector: traces, metrics and logs over OTLP/HTTP, as the environment's standard names say
 * (`OTEL_EXPORTER_OTLP_ENDPOINT` and its kin). Without an endpoint it tells nothing.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Config, ConfigProvider, Effect, Layer, Option, Schema, Tracer } from "effect"
import { HttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"
import * as Sampling from "../Sampling.ts"
import { version } from "../Version.ts"

/** Whether anything is told. */
interface Telemetry {
  readonly isOn: boolean
  readonly layer: Layer.Layer<never>
}

/**
 * What the environment says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEnvironment: Effect.Effect<Telemetry, Config.ConfigError> = Effect.gen(function*() {
  const { disabled, endpoints, protocol, ratio, sampler, timeoutMs } = yield* settings
  if (disabled || endpoints.every(Option.isNone)) return { isOn: false, layer: Layer.empty }
  const serialization = protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  const exporting = Otlp.layerFromConfig({ resource: { serviceVersion: version } }).pipe(
    Layer.provide([serialization, clientOf(timeoutMs)]),
    // Where an endpoint is set, what is not said is told there.
    Layer.provide(ConfigProvider.layerAdd(ConfigProvider.fromUnknown({
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_LOGS_EXPORTER: "otlp",
      OTEL_SERVICE_NAME: "hookline"
    })))
  )
  // OpenTelemetry would have every trace told, which costs a message more than its delivery does.
  const [kind, share] = Option.match(sampler, {
    onNone: () => ["parentbased_traceidratio", Option.getOrElse(ratio, () => Sampling.defaultRatio)] as const,
    onSome: (named) => [named, Option.getOrElse(ratio, () => 1)] as const
  })
  const sampling = Layer.effect(Tracer.Tracer, Effect.map(Tracer.Tracer, Sampling.sampled(kind, share)))
  return { isOn: true, layer: Layer.provideMerge(sampling, exporting) }
})

// --- internal ---

const endpoint = (name: string) => Config.option(Config.URL(name))

const settings = Config.all({
  disabled: Config.withDefault(Config.Boolean("OTEL_SDK_DISABLED"), false),
  endpoints: Config.all([
    endpoint("OTEL_EXPORTER_OTLP_ENDPOINT"),
    endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    endpoint("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
    endpoint("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
  ]),
  protocol: Config.withDefault(
    Config.Literals(["http/protobuf", "http/json"], "OTEL_EXPORTER_OTLP_PROTOCOL"),
    "http/protobuf" as const
  ),
  timeoutMs: Config.withDefault(Config.Int("OTEL_EXPORTER_OTLP_TIMEOUT"), 10_000),
  sampler: Config.option(Config.Literals(Sampling.samplers, "OTEL_TRACES_SAMPLER")),
  ratio: Config.option(
    Config.schema(
      Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
      "OTEL_TRACES_SAMPLER_ARG"
    )
  )
})

/** A collector that is silent must not have what it is told pile up in memory: it is given up, and what it missed with it. */
const clientOf = (timeoutMs: number) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.transform((effect) =>
        Effect.timeoutOrElse(effect, { duration: timeoutMs, orElse: () => Effect.die(silent) })
      )
    )
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))

const silent = new Error("The collector gave no answer in time")
