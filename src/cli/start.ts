/**
 * `hookline start`: a runner with the plugins of a configuration file.
 */
import { Config, Console, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import type { Settings } from "../Runner.ts"

const flags = {
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
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const start = Command.make("start", flags, (given) =>
  Effect.gen(function*() {
    const [{ load }, Settings, Runner] = yield* Effect.promise(() =>
      Promise.all([import("./Plugins.ts"), import("./Settings.ts"), import("../Runner.ts")])
    )
    const port = yield* Option.match(given.port, {
      onNone: () => Config.withDefault(Config.Port("HOOKLINE_PORT"), 4680),
      onSome: Effect.succeed
    })
    const dataDir = yield* Option.match(given.dataDir, {
      onNone: () => Config.withDefault(Config.String("HOOKLINE_DATA_DIR"), ".hookline"),
      onSome: Effect.succeed
    })
    const plugins = yield* load(Option.getOrUndefined(given.config))
    yield* Effect.scoped(Effect.gen(function*() {
      const settings = yield* Settings.make({ dev: given.dev, host: given.host, port, dataDir })
      yield* Layer.build(Runner.layer(settings, plugins))
      yield* Console.log(given.dev ? welcome(settings) : `Hookline listens on ${urlOf(settings)}`)
      yield* Effect.never
    }))
  })).pipe(Command.withDescription("Starts a runner"))

// --- internal ---

/** An IPv6 address stands in brackets. */
const urlOf = ({ host, port }: Settings): string => `http://${host.includes(":") ? `[${host}]` : host}:${port}`

const welcome = (settings: Settings): string => {
  const url = urlOf(settings)
  const key = Redacted.value(settings.adminKey)
  return `
Hookline listens on ${url}
  admin key  ${key}

Try it, in a second terminal:
  1. Receive:    npm run hookline -- listen
  2. Subscribe:  curl -s ${url}/api/v1/subscriptions -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
                   -d '{"name":"try","events":["incident.*"],"providerId":"webhook.webhook","config":{"url":"http://127.0.0.1:4690/"}}'
  3. Emit:       curl -s ${url}/api/v1/messages -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
                   -d '{"eventId":"incident.incident.created","payload":{"incidentId":"i-1","systemIds":["web"],"title":"Checkout is down","severity":"major","status":"open","createdAt":"2026-01-31T12:00:00Z"}}'
`
}
