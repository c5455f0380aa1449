/**
 * Running what a provider does with a connection besides delivering, as tryouts: a test of credentials, a resolver of options.
 * Whatever that code does, it tells none of the secrets.
 */
import { Cause, Effect, Exit, Option, Schema } from "effect"
import { Limits } from "./Limits.ts"
import { ConfigRefused, ConnectionOption, ConnectionTested, ProviderError } from "./Provider.ts"
import * as Redaction from "./Redaction.ts"
import { Tryouts } from "./Tryouts.ts"

// -- errors

/**
 * The provider's system refused, gave no answer, or its code failed: nobody's fault here, told without secrets.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProbeFailed extends Schema.TaggedError<ProbeFailed>()("ProbeFailed", { message: Schema.String }) {}

// -- constructors

/**
 * Makes the probes of one runner.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const limits = yield* Limits
  const tryouts = yield* Tryouts

  const answer = Effect.fnUntraced(function*<A>(
    probe: Effect.Effect<A, ProviderError | ConfigRefused>,
    told: (text: string) => string
  ) {
    const exit = yield* tryouts.run(probe, limits.connectionTestMs)
    if (Option.isNone(exit)) {
      return yield* new ProbeFailed({ message: `There was no answer within ${limits.connectionTestMs} ms` })
    }
    if (Exit.isSuccess(exit.value)) return exit.value.value
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.value.cause))
    if (isProviderError(error)) return yield* new ProbeFailed({ message: told(error.message) })
    if (isRefused(error)) return yield* new ProbeFailed({ message: told(`${error.path}: ${error.message}`) })
    const message = told(thrown(exit.value.cause))
    yield* Effect.logWarning(`A provider's code failed with a connection: ${message}`)
    return yield* new ProbeFailed({ message: `The provider's code failed: ${message}` })
  })

  const told = (secrets: ReadonlyArray<string>) => {
    const covered = Redaction.coverEncoded(secrets)
    return (text: string) => covered(text).toWellFormed().slice(0, limits.errorLength)
  }

  return {
    /** Runs a test; what it tells where it went well. */
    test: Effect.fnUntraced(function*(
      probe: Effect.Effect<unknown, ProviderError | ConfigRefused>,
      secrets: ReadonlyArray<string>
    ) {
      const tell = told(secrets)
      const found = yield* answer(probe, tell)
      if (!isTested(found)) return yield* senseless
      return found?.message === undefined ? undefined : tell(found.message)
    }),
    /** Runs a resolver. */
    options: Effect.fnUntraced(function*(
      probe: Effect.Effect<unknown, ProviderError | ConfigRefused>,
      secrets: ReadonlyArray<string>
    ) {
      const tell = told(secrets)
      const found = yield* answer(probe, tell)
      if (!isOptions(found)) return yield* senseless
      if (found.length > limits.connectionOptions) {
        return yield* new ProbeFailed({
          message: `There are more than ${limits.connectionOptions} options: ask for fewer by the context`
        })
      }
      // A value that may not be told whole would name something else.
      return found.filter(({ value }) => tell(value) === value).map((
        { description, label, value }
      ): ConnectionOption => ({
        value,
        label: tell(label),
        ...(description === undefined ? {} : { description: tell(description) })
      }))
    })
  }
})

// --- internal ---

const isProviderError = Schema.is(ProviderError)

const isRefused = Schema.is(ConfigRefused)

const isTested = Schema.is(ConnectionTested)

const isOptions = Schema.is(Schema.Array(ConnectionOption))

/** Plugins may be JavaScript: what they answer is looked at. */
const senseless = Effect.fail(
  new ProbeFailed({ message: "The provider's code failed: its answer is not what was asked of it" })
)

const thrown = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "it interrupted itself"
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}
