/**
 * Faults by seed: calls of the storage that fail or whose answer is lost, and endpoints that fail. One seed strikes the same
 * calls again, so that a failing test can be run again as it was.
 */
import { Cause, Clock, Context, Effect, Layer, Random } from "effect"
import { OutcomeUnknown, Storage, StorageUnavailable } from "../Storage.ts"
import * as EngineVerbs from "./EngineVerbs.ts"

// -- models

/**
 * A verb of the storage that faults may strike: those of emitting and of the engine.
 *
 * @category models
 * @since 0.1.0
 */
export type Verb = EngineVerbs.Verb

/**
 * How an endpoint fails: with a status that is retried, by not taking the connection, by breaking it after it took the
 * request as its script says, or by never answering.
 *
 * @category models
 * @since 0.1.0
 */
export type EndpointFault = "status" | "refused" | "reset" | "hangs"

/** @category models @since 0.1.0 */
export interface Options {
  /** What all faults are drawn from. */
  readonly seed: number | string
  /** The share of calls that are struck, 0 to 1; 0.2. */
  readonly rate?: number
  /** A verb, or one message at one endpoint, is struck no more often than this in a row, so that all goes on; 3. */
  readonly inARow?: number
  /** Verbs that may fail before they have done anything; all when left out. */
  readonly unavailable?: ReadonlyArray<Verb>
  /** Verbs that may do their work and lose the answer; all when left out. */
  readonly lost?: ReadonlyArray<Verb>
  /** How endpoints may fail; in every way when left out. */
  readonly endpoints?: ReadonlyArray<EndpointFault>
}

/**
 * A fault that struck.
 *
 * @category models
 * @since 0.1.0
 */
export interface Strike {
  readonly atMs: number
  /** What was struck and how, as in `record: answer lost`. */
  readonly what: string
}

// -- service

/**
 * What decides about faults; nothing is struck where no layer of it is provided.
 *
 * @category services
 * @since 0.1.0
 */
export const Faults = Context.Reference<Faults>("hookline/testing/Faults", {
  defaultValue: (): Faults => ({
    seed: undefined,
    strikes: [],
    storage: () => Effect.undefined,
    endpoint: () => Effect.undefined
  })
})
/** @category services @since 0.1.0 */
export interface Faults {
  readonly seed: number | string | undefined
  /** The faults so far. */
  readonly strikes: ReadonlyArray<Strike>
  /** What strikes the next call of a verb, if anything does; `mayLose` says whether its answer can be lost. */
  readonly storage: (verb: Verb, mayLose: boolean) => Effect.Effect<
    { readonly lost: boolean; readonly message: string } | undefined
  >
  /** How an endpoint fails the next request for a message, if it does. */
  readonly endpoint: (url: string, message: string) => Effect.Effect<EndpointFault | undefined>
}

/**
 * The storage itself, which faults do not strike: a test reads from it.
 *
 * @category services
 * @since 0.1.0
 */
export class Unstruck extends Context.Service<Unstruck, Storage["Service"]>()("hookline/testing/Faults/Unstruck") {}

// -- layers

/**
 * Layer of faults, for the storage of `storage` and the endpoints of `EgressFake`; `HooklineTest` takes them as an option.
 *
 * **Example**
 *
 * ```ts
 * // Every other append or so is stored although its emit fails with EmitOutcomeUnknown; nothing else fails.
 * const faults = { seed: 42, rate: 0.5, unavailable: [], lost: ["append", "appendOnce"], endpoints: [] } as const
 * const TestLayer = HooklineTest.layer({ plugins: IncidentPlugin, faults })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> => Layer.effect(Faults, Effect.sync(() => make(options)))

/**
 * Layer of a storage whose calls are struck, made of one whose are not.
 *
 * **Details**
 *
 * A lost answer of `append` and `appendOnce` is an `OutcomeUnknown`; the others fail with `StorageUnavailable`. Inside a
 * transaction nothing is committed yet, so that no answer of an append is lost there.
 *
 * @category layers
 * @since 0.1.0
 */
export const storage: Layer.Layer<Storage | Unstruck, never, Storage> = Layer.effectContext(
  Effect.gen(function*() {
    const faults = yield* Faults
    const real = yield* Storage
    return Context.make(Unstruck, real).pipe(
      Context.add(Storage, faults.seed === undefined ? real : struck(real, faults))
    )
  })
)

// -- reading

/**
 * The faults that struck so far.
 *
 * @category combinators
 * @since 0.1.0
 */
export const strikes: Effect.Effect<ReadonlyArray<Strike>> = Effect.map(Faults, (faults) => [...faults.strikes])

/**
 * What a report says of the faults: their seed and what they struck; nothing where there are none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const report = (faults: Faults): string => {
  if (faults.seed === undefined) return ""
  const counts = Map.groupBy(faults.strikes, (strike) => strike.what)
  const list = [...counts].map(([what, { length }]) => length === 1 ? what : `${what} (${length} times)`)
  return `Faults of the seed ${JSON.stringify(faults.seed)} struck: ${list.join(", ") || "nothing"}.`
}

/**
 * Lets a failure's report tell the seed of the faults and what they struck; the failure itself is its cause.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reported = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Faults, (faults) =>
    faults.seed === undefined
      ? effect
      : Effect.catchCause(effect, (cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        const error = Cause.squash(cause)
        const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
        if (text.endsWith(report(faults))) return Effect.failCause(cause)
        return Effect.die(new Error(`${text}\n${report(faults)}`, { cause: error }))
      }))

// --- internal ---

const make = (options: Options): Faults => {
  const { inARow = 3, rate = 0.2, seed } = options
  const strikes: Array<Strike> = []
  const lines = new Map<string, { readonly random: Random.Random; row: number }>()
  const messages = new Map<string, Map<string, number>>()

  /** Draws for the next call of a line of calls: each line has numbers of its own, whatever happens beside it. */
  const draw = Effect.fnUntraced(function*<Kind extends string>(name: string, kinds: ReadonlyArray<Kind>) {
    const line = lines.get(name) ?? { random: yield* seeded(`${seed}/${name}`), row: 0 }
    lines.set(name, line)
    const hit = line.random.nextDoubleUnsafe() < rate
    const kind = kinds[Math.floor(line.random.nextDoubleUnsafe() * kinds.length)]
    if (!hit || kind === undefined || line.row >= inARow) {
      line.row = 0
      return undefined
    }
    line.row++
    return kind
  })

  const note = (what: string) =>
    Effect.map(Clock.currentTimeMillis, (atMs) => {
      strikes.push({ atMs, what })
      return `Fault ${strikes.length} of the seed ${JSON.stringify(seed)}: ${what}`
    })

  return {
    seed,
    strikes,
    storage: Effect.fnUntraced(function*(verb, mayLose) {
      const kind = yield* draw(verb, [
        ...(options.unavailable?.includes(verb) ?? true ? ["unavailable"] : []),
        ...(mayLose && (options.lost?.includes(verb) ?? true) ? ["answer lost"] : [])
      ])
      if (kind === undefined) return undefined
      return { lost: kind === "answer lost", message: yield* note(`${verb}: ${kind}`) }
    }),
    endpoint: Effect.fnUntraced(function*(url, message) {
      const known = messages.get(url) ?? new Map<string, number>()
      messages.set(url, known)
      // By the order of their coming: ids are not the same in another run.
      const number = known.get(message) ?? known.size
      known.set(message, number)
      const kind = yield* draw(`${url}/${number}`, options.endpoints ?? ["status", "refused", "reset", "hangs"])
      if (kind !== undefined) yield* note(`${url}: ${kind}`)
      return kind
    })
  }
}

const seeded = (seed: string): Effect.Effect<Random.Random> =>
  Random.withSeed(Effect.map(Random.Random, (random) => random), seed)

const struck = (real: Storage["Service"], faults: Faults): Storage["Service"] => {
  const strike = <A, E, Lost>(
    verb: Verb,
    effect: Effect.Effect<A, E>,
    mayLose: boolean,
    lost: (message: string) => Lost
  ): Effect.Effect<A, E | StorageUnavailable | Lost> =>
    Effect.flatMap(faults.storage(verb, mayLose), (fault): Effect.Effect<A, E | StorageUnavailable | Lost> => {
      if (fault === undefined) return effect
      return fault.lost
        ? Effect.andThen(effect, Effect.fail(lost(fault.message)))
        : Effect.fail(unavailable(fault.message))
    })
  return {
    ...real,
    ...EngineVerbs.through(real, {
      append: (verb, effect) =>
        Effect.flatMap(real.inTransaction, (inside) => strike(verb, effect, !inside, outcomeUnknown)),
      engine: (verb, effect) => strike(verb, effect, true, unavailable)
    })
  }
}

const unavailable = (message: string) => new StorageUnavailable({ message })

const outcomeUnknown = (message: string) => new OutcomeUnknown({ message })
