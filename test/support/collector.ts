/**
 * A collector of OTLP over HTTP, in JSON: what it was told, as spans, log records and names of metrics.
 */
import { Effect, Schema } from "effect"
import { served } from "./served.ts"

const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Schema.Record(Schema.String, Schema.Json) }))

const Resource = Schema.Struct({ attributes: Attributes })

const Traces = Schema.Struct({
  resourceSpans: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeSpans: Schema.Array(Schema.Struct({
      spans: Schema.Array(Schema.Struct({
        traceId: Schema.String,
        spanId: Schema.String,
        parentSpanId: Schema.optionalKey(Schema.String),
        name: Schema.String,
        attributes: Attributes,
        status: Schema.Struct({ code: Schema.Int })
      }))
    }))
  }))
})

const Logs = Schema.Struct({
  resourceLogs: Schema.Array(Schema.Struct({
    scopeLogs: Schema.Array(Schema.Struct({
      logRecords: Schema.Array(Schema.Struct({ body: Schema.Json, attributes: Attributes }))
    }))
  }))
})

const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(Schema.Struct({
    scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(Schema.Struct({ name: Schema.String })) }))
  }))
})

export interface Span {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly attributes: Readonly<Record<string, Schema.Json | undefined>>
  readonly isError: boolean
}

const read = (attributes: typeof Attributes.Type): Readonly<Record<string, Schema.Json | undefined>> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** Collects while the scope is open. */
export const collector = Effect.gen(function*() {
  const spans: Array<Span> = []
  const logs: Array<(typeof Logs.Type)["resourceLogs"][number]["scopeLogs"][number]["logRecords"][number]> = []
  const metrics = new Set<string>()
  const headers: Array<string | undefined> = []
  const { port } = yield* served((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
      const json: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      headers.push(request.headers["x-collector"]?.toString())
      if (request.url === "/v1/traces") {
        for (const { resource, scopeSpans } of Schema.decodeUnknownSync(Traces)(json).resourceSpans) {
          const service = String(read(resource.attributes)["service.name"])
          for (const { attributes, parentSpanId, status, ...span } of scopeSpans.flatMap(({ spans }) => spans)) {
            spans.push({ ...span, service, parentSpanId, attributes: read(attributes), isError: status.code === 2 })
          }
        }
      } else if (request.url === "/v1/logs") {
        for (const { scopeLogs } of Schema.decodeUnknownSync(Logs)(json).resourceLogs) {
          logs.push(...scopeLogs.flatMap(({ logRecords }) => logRecords))
        }
      } else {
        for (const { scopeMetrics } of Schema.decodeUnknownSync(Metrics)(json).resourceMetrics) {
          for (const { name } of scopeMetrics.flatMap(({ metrics }) => metrics)) metrics.add(name)
        }
      }
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    logs,
    metrics,
    headers,
    /** The spans of a trace by name. */
    named: (traceId: string, name: string) => spans.filter((span) => span.traceId === traceId && span.name === name)
  }
})
