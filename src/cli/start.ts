/**
 * `hookline start`: a runner with the plugins of a configuration file.
 */
import { Console, Effect, Layer, Option, Redacted } from "effect"
import { Command } from "effect/cli"
import type { Settings } from "../Runner.ts"
import * as Heap from "./Heap.ts"
import * as Kept from "./Kept.ts"
import * as RunnerFlags from "./RunnerFlags.ts"
import * as Stopping from "./Stopping.ts"

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const start = Command.make("start", RunnerFlags.flags, (given) =>
  Effect.gen(function*() {
    yield* Heap.collectedSooner
    const [{ load }, Settings, Telemetry, Runner] = yield* Effect.promise(() =>
      Promise.all([import("./Plugins.ts"), import("./Settings.ts"), import("./Telemetry.ts"), import("../Runner.ts")])
    )
    const telemetry = yield* Telemetry.fromEnvironment
    const { config, ...flags } = yield* RunnerFlags.resolve(given)
    const plugins = yield* load(config)
    yield* Effect.scoped(Effect.gen(function*() {
      const settings = yield* Settings.make(flags)
      yield* Layer.build(
        Runner.layer({ ...settings, tellsMetrics: telemetry.isOn }, plugins).pipe(Layer.provide(telemetry.layer))
      )
      if (!given.dev) yield* Console.log(`Hookline listens on ${urlOf(settings)}`)
      else {
        const kept = yield* Kept.read(flags.dataDir, "admin-key")
        // The key of the usual folder is found by every command.
        const known = flags.dataDir === ".hookline" && Option.isSome(kept) &&
          Redacted.value(kept.value) === Redacted.value(settings.adminKey)
        yield* Console.log(welcome(settings, known))
      }
      yield* Effect.never
    }))
  }).pipe(Effect.scoped, Stopping.untilStopped)).pipe(Command.withDescription("Starts a runner"))

// --- internal ---

/** An IPv6 address stands in brackets. */
const urlOf = ({ host, port }: Settings): string => `http://${host.includes(":") ? `[${host}]` : host}:${port}`

const payload = {
  incidentId: "i-1",
  systemIds: ["web"],
  title: "Checkout is down",
  severity: "major",
  status: "open",
  createdAt: "2026-01-31T12:00:00Z"
}

const welcome = (settings: Settings, keyIsKnown: boolean): string => {
  const url = urlOf(settings)
  const key = Redacted.value(settings.adminKey)
  // What the commands assume by themselves need not be said.
  const there = [
    ...(url === "http://127.0.0.1:4680" ? [] : [`--url ${url}`]),
    ...(keyIsKnown ? [] : [`--key ${key}`])
  ].map((flag) => ` ${flag}`).join("")
  return `
Hookline listens on ${url}
  admin key  ${key}

Try it, in a second terminal:
  1. Receive:    npm run -s hookline -- listen
  2. Subscribe:  npm run -s hookline -- subscribe http://127.0.0.1:4690/ --events 'incident.*'${there}
  3. Emit:       npm run -s hookline -- emit incident.incident.created${there} \\
                   --payload '${JSON.stringify(payload)}'
`
}
