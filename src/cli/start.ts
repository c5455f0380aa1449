/**
 * `hookline start`: a runner with the plugins of a configuration file.
 */
import { Console, Effect, Layer, Option, Redacted } from "effect"
import { Command } from "effect/cli"
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
    const [{ load }, Settings, Telemetry, Runner, Welcome] = yield* Effect.promise(() =>
      Promise.all([
        import("./Plugins.ts"),
        import("./Settings.ts"),
        import("./Telemetry.ts"),
        import("../Runner.ts"),
        import("./Welcome.ts")
      ])
    )
    const telemetry = yield* Telemetry.fromEnvironment
    const { config, ...flags } = yield* RunnerFlags.resolve(given)
    const plugins = yield* load(config)
    yield* Effect.scoped(Effect.gen(function*() {
      const settings = yield* Settings.make(flags)
      const runner = yield* Layer.build(
        Runner.layer({ ...settings, tellsMetrics: telemetry.isOn }, plugins).pipe(Layer.provide(telemetry.layer))
      )
      if (!given.dev) yield* Console.log(`Hookline listens on ${Welcome.urlOf(settings)}`)
      else {
        const kept = yield* Kept.read(flags.dataDir, "admin-key")
        // The key of the usual folder is found by every command.
        const known = flags.dataDir === ".hookline" && Option.isSome(kept) &&
          Redacted.value(kept.value) === Redacted.value(settings.adminKey)
        yield* Console.log(yield* Effect.provide(Welcome.text(settings, known), runner))
      }
      yield* Effect.never
    }))
  }).pipe(Effect.scoped, Stopping.untilStopped)).pipe(Command.withDescription("Starts a runner"))
