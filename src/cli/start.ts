/**
 * `hookline start`: a runner with the plugins of a configuration file.
 */
import { Console, Effect, Layer, Redacted } from "effect"
import { Command } from "effect/cli"
import type { Settings } from "../Runner.ts"
import * as RunnerFlags from "./RunnerFlags.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const start = Command.make("start", RunnerFlags.flags, (given) =>
  Effect.gen(function*() {
    const [{ load }, Settings, Runner] = yield* Effect.promise(() =>
      Promise.all([import("./Plugins.ts"), import("./Settings.ts"), import("../Runner.ts")])
    )
    const { config, ...flags } = yield* RunnerFlags.resolve(given)
    const plugins = yield* load(config)
    yield* Effect.scoped(Effect.gen(function*() {
      const settings = yield* Settings.make(flags)
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
