/**
 * The flags that a runner is started with, which `hookline doctor` takes too.
 */
import { Config, Effect, Option, Schema } from "effect"
import { Flag } from "effect/cli"

/**
 * The flags.
 *
 * @category flags
 * @since 0.1.0
 */
export const flags = {
  dev: Flag.Boolean("dev").pipe(
    Flag.withDescription("Embedded PostgreSQL, generated keys and loopback targets, for development"),
    Flag.withDefault(false)
  ),
  config: Flag.String("config").pipe(
    Flag.withDescription("The file whose default export is a Layer of plugins"),
    Flag.optional
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("The address to listen on"),
    Flag.withDefault("127.0.0.1")
  ),
  port: Flag.Int("port").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
    Flag.withDescription("The port to listen on (HOOKLINE_PORT, 4680)"),
    Flag.optional
  ),
  dataDir: Flag.String("data-dir").pipe(
    Flag.withDescription("The folder of the embedded PostgreSQL and the keys (HOOKLINE_DATA_DIR, .hookline)"),
    Flag.optional
  )
}

/**
 * What was given, filled up from the environment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = Effect.fnUntraced(function*(given: {
  readonly dev: boolean
  readonly config: Option.Option<string>
  readonly host: string
  readonly port: Option.Option<number>
  readonly dataDir: Option.Option<string>
}) {
  const port = yield* Option.match(given.port, {
    onNone: () => Config.withDefault(Config.Port("HOOKLINE_PORT"), 4680),
    onSome: Effect.succeed
  })
  const dataDir = yield* Option.match(given.dataDir, {
    onNone: () => Config.withDefault(Config.String("HOOKLINE_DATA_DIR"), ".hookline"),
    onSome: Effect.succeed
  })
  return { dev: given.dev, host: given.host, port, dataDir, config: Option.getOrUndefined(given.config) }
})
