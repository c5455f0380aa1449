/**
 * An integration event: a hook exposed to the outside, with what people and other systems need to know of it.
 */
import { Arbitrary, Effect, Schema } from "effect"
import type { AnyHook, Hook } from "./Hook.ts"
import * as PayloadExample from "./PayloadExample.ts"
import type { RetrySchedule } from "./RetrySchedule.ts"

/**
 * A hook's exposure; the payload's type is closed inside.
 *
 * @category models
 * @since 0.1.0
 */
export interface IntegrationEvent {
  readonly hook: AnyHook
  readonly schema: Schema.Constraint
  readonly displayName: string
  readonly description: string | undefined
  readonly category: string
  readonly hasOrderingKey: boolean
  /** The retry schedule where the subscription names none. */
  readonly retry: RetrySchedule | undefined
  /** What is delivered of the example: the payload that the event was given as one, else one made of its schema. */
  readonly example: Effect.Effect<string, TransformFailed>
  /** From a payload's JSON text to that of what is delivered; a transform that throws fails with its error. */
  readonly transform: ((payloadJson: string) => Effect.Effect<string, TransformFailed>) | undefined
}

/**
 * The event's transform threw, or gave something that is not JSON.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransformFailed extends Schema.TaggedError<TransformFailed>()("TransformFailed", {
  message: Schema.String
}) {}

/**
 * The category of an event that names none.
 *
 * @category constants
 * @since 0.1.0
 */
export const uncategorized = "Uncategorized"

/**
 * Exposes a hook as an integration event.
 *
 * **Details**
 *
 * `transformPayload` runs once for a message, when it is routed; its result is stored and delivered to every subscription.
 * One that throws sets its message aside with the error, visible and retryable, and stops nothing else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(hook: Hook<A>, options: {
  readonly displayName: string
  readonly description?: string
  readonly category?: string
  readonly retry?: RetrySchedule
  readonly transformPayload?: (payload: A) => Schema.Json
  /** A payload for previews and tests of subscriptions, and for documentation. */
  readonly example?: A
}): IntegrationEvent => ({
  hook,
  schema: hook.schema,
  displayName: options.displayName,
  description: options.description,
  category: options.category ?? uncategorized,
  hasOrderingKey: hook.orderingKey !== undefined,
  retry: options.retry,
  example: exampleOf(hook, options),
  transform: options.transformPayload && compile(hook, options.transformPayload)
})

// --- internal ---

const exampleOf = <A>(hook: Hook<A>, options: {
  readonly example?: A
  readonly transformPayload?: (payload: A) => Schema.Json
}): Effect.Effect<string, TransformFailed> =>
  Effect.gen(function*() {
    const payload = options.example ?? (yield* sample(hook))
    const json = yield* Schema.encodeEffect(Schema.fromJsonString(hook.payload))(payload)
    return options.transformPayload ? yield* compile(hook, options.transformPayload)(json) : json
  }).pipe(
    Effect.mapError((error) => new TransformFailed({ message: `There is no example; give the event one: ${error}` })),
    Effect.catchDefect((defect) => Effect.fail(failed(defect)))
  )

/** One for people to look at where the schema takes it, else whatever it takes; the same each time. */
const sample = <A>(hook: Hook<A>) => {
  const document = Schema.toJsonSchemaDocument(Schema.make(hook.schema.ast))
  const readable = PayloadExample.fromJsonSchema({ ...document.schema, $defs: document.definitions })
  return Schema.decodeUnknownEffect(hook.payload)(readable).pipe(
    Effect.catch(() =>
      Effect.flatMap(
        Arbitrary.sampleEffect(Arbitrary.schema(hook.payload), { count: 1, seed: 1 }),
        ([payload]) => Effect.fromNullishOr(payload)
      )
    )
  )
}

const failed = (thrown: unknown) =>
  new TransformFailed({ message: thrown instanceof Error ? thrown.message : String(thrown) })

const compile = <A>(hook: Hook<A>, transformPayload: (payload: A) => Schema.Json) => {
  const decode = Schema.decodeEffect(Schema.fromJsonString(hook.payload))
  return (payloadJson: string): Effect.Effect<string, TransformFailed> =>
    decode(payloadJson).pipe(
      Effect.mapError((error) => new TransformFailed({ message: `the stored payload: ${error.message}` })),
      // A schema's own transformation may throw.
      Effect.catchDefect((defect) => Effect.fail(failed(defect))),
      Effect.flatMap((payload) =>
        Effect.try({
          try: () => {
            const json: string | undefined = JSON.stringify(transformPayload(payload))
            if (json === undefined) throw new TypeError("transformPayload returned nothing that JSON can hold")
            return json
          },
          catch: failed
        })
      )
    )
}
