/**
 * The model of the persistence seam: a backend and the memory storage are given the same generated verbs, and must answer
 * alike, step by step. What the conformance suite says in sentences this tries in sequences that nobody thought of.
 */
import { layer as withLayer } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import * as Id from "../Id.ts"
import { Storage } from "../Storage.ts"
import * as StorageMemory from "../StorageMemory.ts"
import { run } from "./StorageModelRun.ts"
import { sequences, type Verb } from "./StorageModelVerbs.ts"
import { World } from "./StorageModelWorld.ts"

/**
 * How much is tried, and what.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many sequences. */
  readonly runs?: number
  /** How many verbs the longest has. */
  readonly verbs?: number
  /** What a failure printed as `Replay`: that sequence alone, with its verbs taken away, is tried again. */
  readonly replay?: string
}

/**
 * Registers the model with vitest.
 *
 * **Details**
 *
 * A failure prints the shortest sequence that was found to fail, what both answered, and the seed to replay it with. The
 * storage is used by nobody else meanwhile. It runs on the real clock.
 *
 * **Example**
 *
 * ```ts
 * StorageModel.suite("PgStorage", storage, { runs: 400 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<Storage, E>, options: Options = {}): void => {
  const { replay, runs = 50, verbs = 60 } = options
  withLayer(layer, { excludeTestServices: true, timeout: "60 seconds" })(`${name} and the memory storage`, (test) => {
    test.effect.prop(
      "answer alike, whatever they are asked to do",
      [sequences(verbs)],
      ([sequence]) => alike(sequence),
      {
        timeout: 300_000,
        arbitrary: { runs, size: verbs, replay }
      }
    )
  })
}

// --- internal ---

// Its own in each run, also where the backend is built on a memory storage.
const memory = Effect.provide(Effect.map(Storage, (storage) => storage), Layer.fresh(StorageMemory.layer))

const alike = Effect.fnUntraced(function*(sequence: ReadonlyArray<Verb>) {
  const clock = yield* Clock.Clock
  const world = new World({
    reference: yield* memory,
    backend: yield* Storage,
    clock,
    name: Id.toUuid(yield* Id.messageId(clock.currentTimeMillisUnsafe())).slice(-16),
    runners: [yield* Id.runnerId, yield* Id.runnerId]
  })
  yield* run(world, sequence)
})
