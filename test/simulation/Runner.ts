/**
 * A runner: a process with the production code in it, from hooks and administration to the engine, on the wire to the one
 * database.
 */
import { Cause, Context, Effect, Exit, Layer, Logger, Random, Redacted, References, Scope } from "effect"
import * as Bindings from "../../src/Bindings.ts"
import * as Dispatcher from "../../src/Dispatcher.ts"
import { Egress } from "../../src/Egress.ts"
import * as Handlers from "../../src/Handlers.ts"
import type { Hooks } from "../../src/Hook.ts"
import * as HooksLive from "../../src/Hooks.ts"
import * as Limits from "../../src/Limits.ts"
import * as Live from "../../src/Live.ts"
import * as Registry from "../../src/Registry.ts"
import { Secrets } from "../../src/Secrets.ts"
import { Storage } from "../../src/Storage.ts"
import * as Subscriptions from "../../src/Subscriptions.ts"
import type { Assignments } from "./Assignments.ts"
import type { Database } from "./Database.ts"
import type { Dice } from "./Dice.ts"
import type { History } from "./History.ts"
import type { Machine, Process } from "./Machine.ts"
import * as Member from "./Member.ts"
import type { Mutant } from "./Mutant.ts"
import type { Receivers } from "./Receivers.ts"
import * as Shop from "./Shop.ts"
import * as Wire from "./Wire.ts"

/** Where runners live. */
export interface Surroundings {
  readonly machine: Machine
  readonly history: History
  readonly dice: Dice
  readonly database: Database
  readonly weather: Wire.Weather
  readonly receivers: Receivers
  readonly assignments: Assignments
  readonly network: Member.Network
  readonly limits: Limits.Limits
  readonly mutant: Mutant
}

export interface Runner {
  readonly process: Process
  /** What the backend's code in it can use; none until it has started. */
  readonly services: () => Context.Context<Hooks | Subscriptions.Subscriptions | Storage> | undefined
  /** Stops as after SIGTERM; `end` is told when it has. */
  readonly stop: (end: () => void) => void
}

export const start = (surroundings: Surroundings, name: string): Runner => {
  const { assignments, database, history, machine, mutant, network, receivers, weather } = surroundings
  const dice = surroundings.dice.of(name)
  const process = machine.process(
    name,
    Context.make(Random.Random, dice.of("code").random).pipe(
      Context.add(Limits.Limits, mutant.limits(surroundings.limits)),
      Context.add(References.TracerEnabled, false),
      Context.add(Logger.CurrentLoggers, new Set([logger(history, name)]))
    )
  )
  const storage = Wire.connect(process, database, weather, history, dice.of("wire"))
  const scope = Scope.makeUnsafe()
  let services: Context.Context<Hooks | Subscriptions.Subscriptions | Storage> | undefined
  history.add({ _tag: "Runner", runner: name, what: "started" })

  const layer = Handlers.layer.pipe(
    Layer.provideMerge(HooksLive.layer),
    Layer.provideMerge(Subscriptions.layer),
    Layer.provideMerge(Member.layer(process, assignments, network, dice.of("network"))),
    Layer.provideMerge(
      Layer.provide(Dispatcher.layer, Layer.effect(Bindings.Bindings, Effect.map(Bindings.Bindings, mutant.bindings)))
    ),
    Layer.provide(Bindings.layer),
    Layer.provide(Live.layer),
    Layer.provide(plugins(receivers, process, name)),
    Layer.provideMerge(Layer.succeed(Storage, mutant.wire(storage, surroundings.limits))),
    Layer.provide(Layer.succeed(Secrets, unsealed))
  )
  process.run(Layer.buildWithScope(layer, scope), (exit) => {
    if (Exit.isSuccess(exit)) {
      services = exit.value
      history.add({ _tag: "Runner", runner: name, what: "up" })
    } else history.add({ _tag: "Log", runner: name, level: "Fatal", message: String(exit.cause) })
  })
  return {
    process,
    services: () => process.state === "gone" ? undefined : services,
    stop: (end) => {
      services = undefined
      history.add({ _tag: "Runner", runner: name, what: "stopping" })
      process.run(Scope.close(scope, Exit.void), () => {
        history.add({ _tag: "Runner", runner: name, what: "stopped" })
        process.kill()
        end()
      })
    }
  }
}

// --- internal ---

const plugins = (receivers: Receivers, process: Process, runner: string) =>
  Layer.effectDiscard(Effect.flatMap(Registry.Registry, (registry) => registry.seal)).pipe(
    Layer.provideMerge(Layer.provide(Shop.plugin(receivers, runner), Layer.succeed(Egress, receivers.door(process)))),
    Layer.provideMerge(Registry.layer),
    Layer.orDie
  )

/** Nothing is secret here, and nonces would come from the system's generator. */
const unsealed: Secrets["Service"] = {
  seal: (plaintext) => Effect.succeed(Redacted.value(plaintext)),
  open: (envelope) => Effect.succeed(Redacted.make(envelope)),
  isStale: () => false
}

const logger = (history: History, runner: string) =>
  Logger.make<unknown, void>(({ cause, logLevel, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    const why = cause.reasons.length === 0 ? "" : `: ${String(Cause.squash(cause))}`
    history.add({ _tag: "Log", runner, level: logLevel, message: text + why })
  })
