/**
 * How the process logs, on stderr: for a person at a terminal, else a line of `key=value` an entry, or of JSON. What a line is
 * about stands in keys of its own, `messageId`, `deliveryId`, `subscriptionId`, and `traceId` and `spanId` where it has a trace.
 */
import { Config, type Fiber, Layer, Logger, References } from "effect"
import * as TraceContext from "../TraceContext.ts"

/**
 * Layer of the logger that `HOOKLINE_LOG_FORMAT` names.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, Config.ConfigError> = Layer.unwrap(
  Config.Literals(["pretty", "logfmt", "json"], "HOOKLINE_LOG_FORMAT").pipe(
    Config.withDefault(process.stderr.isTTY ? "pretty" as const : "logfmt" as const),
    Config.map((format) =>
      Layer.mergeAll(
        Logger.layer([loggers[format]()]),
        Layer.succeed(Logger.LogToStderr, true),
        Layer.succeed(References.MinimumLogLevel, "Info" as const)
      )
    )
  )
)

/**
 * The loggers, as texts.
 *
 * @category formats
 * @since 0.1.0
 */
export const formats = {
  logfmt: Logger.make<unknown, string>((options) => {
    const text = Logger.formatLogFmt.log(options)
    const { spanId, traceId } = traceOf(options.fiber)
    return traceId === undefined ? text : `${text} traceId=${traceId} spanId=${spanId}`
  }),
  json: Logger.make<unknown, string>((options) => {
    const { annotations, cause, fiberId, level, message, spans, timestamp } = Logger.formatStructured.log(options)
    return JSON.stringify({
      timestamp,
      level,
      message,
      // What stands here already keeps its place.
      ...Object.fromEntries(Object.entries(annotations).filter(([name]) => !own.has(name))),
      ...traceOf(options.fiber),
      ...(cause === undefined ? {} : { cause }),
      ...(Object.keys(spans).length === 0 ? {} : { spans }),
      fiberId
    })
  })
}

// --- internal ---

const own = new Set(["timestamp", "level", "message", "traceId", "spanId", "cause", "spans", "fiberId"])

const loggers = {
  pretty: () => Logger.consolePretty(),
  logfmt: () => Logger.withConsoleError(formats.logfmt),
  json: () => Logger.withConsoleError(formats.json)
}

const traceOf = (
  fiber: Fiber.Fiber<unknown, unknown>
): { readonly traceId?: string | undefined; readonly spanId?: string | undefined } => {
  const [, traceId, spanId] = TraceContext.ofFiber(fiber)?.split("-") ?? []
  return traceId === undefined ? {} : { traceId, spanId }
}
