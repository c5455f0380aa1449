/**
 * The conformance suite of the persistence seam: one sentence a rule, in the order of a message's life. A backend that
 * passes keeps the promises that the rest of Hookline builds on.
 */
import { layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Storage } from "../Storage.ts"
import { batches } from "./StorageSuiteBatch.ts"
import { broadcasting } from "./StorageSuiteBroadcasting.ts"
import { claiming } from "./StorageSuiteClaiming.ts"
import { completing } from "./StorageSuiteCompleting.ts"
import { connecting } from "./StorageSuiteConnecting.ts"
import { counting } from "./StorageSuiteCounting.ts"
import { emitting } from "./StorageSuiteEmitting.ts"
import { healths } from "./StorageSuiteHealth.ts"
import { keeping } from "./StorageSuiteKeeping.ts"
import { measuring } from "./StorageSuiteMeasuring.ts"
import { membership } from "./StorageSuiteMembership.ts"
import { ordering } from "./StorageSuiteOrdering.ts"
import { ownership } from "./StorageSuiteOwnership.ts"
import { reading } from "./StorageSuiteReading.ts"
import { recording } from "./StorageSuiteRecording.ts"
import { replays } from "./StorageSuiteReplaying.ts"
import { retaining } from "./StorageSuiteRetaining.ts"
import { routing } from "./StorageSuiteRouting.ts"
import { subscribing } from "./StorageSuiteSubscribing.ts"
import { times } from "./StorageSuiteTimes.ts"
import { tracing } from "./StorageSuiteTracing.ts"
import { upkeep } from "./StorageSuiteUpkeep.ts"
import { walking } from "./StorageSuiteWalking.ts"
import { Backend, type Cases } from "./StorageSuiteWorld.ts"

/**
 * Runs effects as transactions of a backend's client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transact {
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, unknown, R>
}

/**
 * A backend under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Harness<R, E> {
  /** The storage, and what `transact` needs. One is built for all cases: they don't touch each other's rows. */
  readonly layer: Layer.Layer<Storage | R, E>
  /** The transactions of the client that `append` joins; one inside another is a savepoint. */
  readonly transact: Effect.Effect<Transact, never, R>
  /**
   * Whether the storage reads `TestClock`, which then stands still but for `advance`. Otherwise the cases run on the real
   * clock, and allow for a second between the storage's clock and the test's.
   */
  readonly virtualTime: boolean
  /** Lets time pass: adjusts `TestClock`, or sleeps. Asked for a few milliseconds where `virtualTime` is false. */
  readonly advance: (ms: number) => Effect.Effect<void>
  /** Makes room for what is stored of a day in the past, as `2026-01-31`, where the storage needs it. */
  readonly prepareDay?: (day: string) => Effect.Effect<void, unknown, R>
}

/**
 * Registers the suite with vitest.
 *
 * **Example**
 *
 * ```ts
 * StorageSuite.suite("StorageMemory", {
 *   layer: StorageMemory.layer,
 *   transact: Effect.map(MemoryTransactions, ({ withTransaction }) => withTransaction),
 *   virtualTime: true,
 *   advance: TestClock.adjust
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <R, E>(name: string, harness: Harness<R, E>): void =>
  layer(harness.layer, { excludeTestServices: !harness.virtualTime, timeout: "60 seconds" })(name, (test) => {
    for (const [sentence, proof] of Object.entries(cases)) {
      test.effect(sentence, () =>
        Effect.gen(function*() {
          const transact = yield* harness.transact
          const { advance, virtualTime } = harness
          const context = yield* Effect.context<R>()
          const prepareDay = (day: string) =>
            Effect.provideContext(Effect.suspend(() => harness.prepareDay?.(day) ?? Effect.void), context)
          yield* Effect.provideService(proof, Backend, { virtualTime, advance, transact, prepareDay })
        }))
    }
  })

// --- internal ---

const cases: Cases = {
  ...emitting,
  ...batches,
  ...routing,
  ...completing,
  ...claiming,
  ...ownership,
  ...keeping,
  ...measuring,
  ...membership,
  ...broadcasting,
  ...recording,
  ...counting,
  ...ordering,
  ...healths,
  ...times,
  ...tracing,
  ...subscribing,
  ...connecting,
  ...reading,
  ...walking,
  ...replays,
  ...upkeep,
  ...retaining
}
