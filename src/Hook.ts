/**
 * Hooks: typed channels that plugins own. A hook is a pure value; its channel lives in the `Hooks` service, one per runtime.
 * `emit` makes a durable message of a payload, `emitLocal` and `stream` stay in this process.
 */
import { Context, type DateTime, Effect, Layer, Schema, Stream } from "effect"
import { defaultRetry, PluginScope, type Received } from "./Handler.ts"
import type { MessageId } from "./Id.ts"
import { PermanentError } from "./Provider.ts"
import type { RetrySchedule } from "./RetrySchedule.ts"
import type { StorageUnavailable } from "./StorageError.ts"

// -- models

/**
 * What a channel does with a payload when its slowest listener has fallen behind by the channel's capacity: `sliding` drops
 * the oldest payload it holds, `dropping` drops the new one. Emitters never wait. Each drop counts in the metric
 * `hookline_channel_dropped_total`.
 *
 * @category models
 * @since 0.1.0
 */
export type Overflow = "sliding" | "dropping"

/**
 * A hook of whatever payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyHook {
  /** Local to the plugin, as in `incident.created`; the event id is `pluginId.hookId`. */
  readonly id: string
  /** Opens the hook for one use. */
  readonly use: <B>(f: <A>(hook: Hook<A>) => B) => B
}

/**
 * A typed channel. Made with `make`; its identity is the value itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hook<in out A> extends AnyHook {
  /** The one source of the payload's type, as a codec between it and JSON. */
  readonly payload: Schema.Codec<A, Schema.Json>
  /** The payload's schema as it was given. */
  readonly schema: Schema.Constraint
  readonly orderingKey: ((payload: A) => string) | undefined
  /** Payloads the local channel holds; `Limits.channelCapacity` when undefined. */
  readonly capacity: number | undefined
  readonly overflow: Overflow
}

/** @category models @since 0.1.0 */
export interface EmitOptions {
  /** The same key within `Limits.idempotencyTtlMs` returns the first message's id and stores nothing. */
  readonly idempotencyKey?: string
  /** Overrides the key that the hook's `orderingKey` gives. */
  readonly orderingKey?: string
  /** `default` when left out. */
  readonly tenantId?: string
  /**
   * When it is delivered: at once when left out, at most `Limits.deliverAheadMs` ahead, and no further than
   * history is kept. It is matched when it is emitted, and
   * `local` and `broadcast` handlers hear of it then.
   */
  readonly deliverAt?: DateTime.DateTime
  /** From when on no attempt begins: what is not delivered by then fails with reason `expired`. */
  readonly expiresAt?: DateTime.DateTime
  /**
   * The trace that the message belongs to, as in the header `traceparent` of W3C Trace Context; that of the current span when
   * left out. One that is malformed or not sampled is as good as none.
   */
  readonly traceparent?: string
}

// -- errors

/**
 * The payload is not what the hook's schema says, or is too large. The emitter's fault.
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadRefused extends Schema.TaggedError<PayloadRefused>()("PayloadRefused", {
  eventId: Schema.String,
  /** The path of the field, as in `payload.systemIds[0]`. */
  path: Schema.String,
  message: Schema.String
}) {}

/**
 * No plugin of this runtime brings the hook.
 *
 * @category errors
 * @since 0.1.0
 */
export class HookNotRegistered extends Schema.TaggedError<HookNotRegistered>()("HookNotRegistered", {
  hookId: Schema.String,
  message: Schema.String
}) {}

/**
 * The connection was lost while the commit was under way: the message may or may not be stored. Emitting again with the
 * same idempotency key is safe.
 *
 * @category errors
 * @since 0.1.0
 */
export class EmitOutcomeUnknown extends Schema.TaggedError<EmitOutcomeUnknown>()("EmitOutcomeUnknown", {
  message: Schema.String
}) {}

/**
 * The idempotency key was used for another payload or hook.
 *
 * @category errors
 * @since 0.1.0
 */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  key: Schema.String,
  /** The message that the key belongs to. */
  messageId: Schema.String,
  message: Schema.String
}) {}

/** @category errors @since 0.1.0 */
export type EmitError =
  | PayloadRefused
  | HookNotRegistered
  | StorageUnavailable
  | EmitOutcomeUnknown
  | IdempotencyConflict

/**
 * One message of a batch is refused, and so none of it was stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class BatchRefused extends Schema.TaggedError<BatchRefused>()("BatchRefused", {
  /** Which, from 0 on; left out where the database does not say. */
  index: Schema.optionalKey(Schema.Int),
  reason: Schema.Union([PayloadRefused, HookNotRegistered, IdempotencyConflict])
}) {
  override get message(): string {
    return `${this.path}: ${this.reason.message}`
  }
  /** The path of the message in its batch. */
  get path(): string {
    return this.index === undefined ? "messages" : `messages[${this.index}]`
  }
}

/** @category errors @since 0.1.0 */
export type EmitBatchError = BatchRefused | StorageUnavailable | EmitOutcomeUnknown

/**
 * A message of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Emission {
  readonly eventId: string
  /** In its JSON form. */
  readonly payload: unknown
  readonly options?: EmitOptions
}

// -- service

/**
 * Where hooks live: emission and channels. The layer is in `Hooks.ts`.
 *
 * @category services
 * @since 0.1.0
 */
export class Hooks extends Context.Service<Hooks, {
  readonly emit: <A>(hook: Hook<A>, payload: A, options?: EmitOptions) => Effect.Effect<MessageId, EmitError>
  /** Emits by event id a payload in its JSON form, as it comes over HTTP; properties that the schema does not know are dropped. */
  readonly emitJson: (
    eventId: string,
    payload: unknown,
    options?: EmitOptions
  ) => Effect.Effect<MessageId, EmitError>
  /**
   * Emits messages by event id, as `emitJson` does, in one transaction: all of them or none, delivered in their order where a
   * subscription is ordered. Tells their ids in order; a key that was used, in the batch or before, is its message's again.
   */
  readonly emitBatch: (
    emissions: ReadonlyArray<Emission>
  ) => Effect.Effect<ReadonlyArray<MessageId>, EmitBatchError>
  readonly emitLocal: <A>(hook: Hook<A>, payload: A) => Effect.Effect<void, PayloadRefused | HookNotRegistered>
  readonly stream: <A>(hook: Hook<A>) => Stream.Stream<A, HookNotRegistered>
}>()("hookline/Hooks") {}

// -- constructors

/**
 * Makes a hook.
 *
 * **Details**
 *
 * The payload's schema is turned into its JSON codec: dates, sets and the like become JSON by Effect's canonical rules.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E>(id: string, options: {
  readonly payload: Schema.Codec<A, E>
  readonly orderingKey?: (payload: A) => string
  readonly capacity?: number
  readonly overflow?: Overflow
}): Hook<A> => {
  const self: Hook<A> = {
    id,
    use: (f) => f(self),
    payload: Schema.toCodecJson(options.payload),
    schema: options.payload,
    orderingKey: options.orderingKey,
    capacity: options.capacity,
    overflow: options.overflow ?? "sliding"
  }
  return self
}

// -- combinators

/**
 * Emits a payload: a durable message for every subscription, and after the commit an item for local listeners.
 *
 * **Details**
 *
 * Inside the caller's transaction the message commits or rolls back with it. Outside, concurrent emits share commits; one
 * with an idempotency key commits alone.
 *
 * **Gotchas**
 *
 * `EmitOutcomeUnknown` means the message may be stored: repeat the emit only with an idempotency key. Local listeners may
 * miss items when they are slow (see `Overflow`) and when the process ends between the commit and the callback.
 *
 * @category combinators
 * @since 0.1.0
 */
export const emit = <A>(
  hook: Hook<A>,
  payload: NoInfer<A>,
  options?: EmitOptions
): Effect.Effect<MessageId, EmitError, Hooks> => Effect.flatMap(Hooks, (hooks) => hooks.emit(hook, payload, options))

/**
 * Offers a payload to the local listeners of this process alone; nothing is stored.
 *
 * @category combinators
 * @since 0.1.0
 */
export const emitLocal = <A>(
  hook: Hook<A>,
  payload: NoInfer<A>
): Effect.Effect<void, PayloadRefused | HookNotRegistered, Hooks> =>
  Effect.flatMap(Hooks, (hooks) => hooks.emitLocal(hook, payload))

/**
 * Streams what is emitted in this process, from when the stream is run: `emit` after its commit, and `emitLocal`.
 *
 * **Gotchas**
 *
 * A stream forked in a fiber subscribes when that fiber starts: fork with `startImmediately` to miss nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stream = <A>(hook: Hook<A>): Stream.Stream<A, HookNotRegistered, Hooks> =>
  Stream.unwrap(Effect.map(Hooks, (hooks) => hooks.stream(hook)))

/**
 * How a handler hears of a hook: `broadcast` in every process that has it, at most once in each; `work-queue` in one of them,
 * durably, retried by a schedule; `local` in the process that emitted, at most once.
 *
 * @category models
 * @since 0.1.0
 */
export type On =
  | { readonly mode: "broadcast" }
  | { readonly mode: "local" }
  | {
    readonly mode: "work-queue"
    /** The queue's name within the plugin; two queues on one hook each get every message. */
    readonly workerGroup: string
    /** Three attempts when left out. */
    readonly retry?: RetrySchedule
  }

/**
 * Layer of a handler, for the `handlers` of a plugin. It is up when `Hookline.layer` is.
 *
 * **Details**
 *
 * `broadcast`, the default, hears what is emitted anywhere, from when the layer is up until it stops, in the order in which
 * the hook's messages were routed, one after the other. A failure is logged, and the next message comes. While the database
 * is away nothing is missed: it comes afterwards, for up to `Limits.broadcastKeptMs`.
 *
 * `local` hears `emit` after its commit, and `emitLocal`, one payload after the other. A failure is logged, and the next
 * payload comes; other listeners don't notice.
 *
 * `work-queue` is a delivery like those to webhooks: it is in the delivery log, is retried, and waits as `failed` for a retry
 * by hand when its schedule is exhausted. The payload is the one that was emitted, before an event's transform; the hook
 * need not be an event. A failure with `Provider.PermanentError` is not retried. What takes longer than
 * `Limits.attemptTimeoutMs` is interrupted.
 *
 * What a handler needs is what the plugin's layer needs, but for `Hooks`: a handler may emit.
 *
 * **Gotchas**
 *
 * A broadcast handler that lags behind by `Limits.broadcastKeptMs` misses messages, which is logged; so does one whose
 * process ends while it runs, and one that starts begins with what is routed from then on.
 *
 * A work queue calls its handler at least once: again where the process ended, or lost the database, before the outcome was
 * recorded. `Received.messageId` stays the same. Messages of one queue are handled concurrently and in no order. A queue
 * whose handler was taken out of the code goes on collecting messages, which wait for `code-missing`: disable or delete its
 * subscription.
 *
 * A `local` handler that falls behind by the hook's capacity misses payloads, as its `overflow` says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const on = onHook

// --- internal ---

/** The message is older than the schema. */
const undecodable = (error: Schema.SchemaError) =>
  new PermanentError({
    code: "PayloadRefused",
    message: `The payload is not what the hook's schema says: ${error.message}`
  })

function onHook<A, E, R>(
  hook: Hook<A>,
  handler: (payload: A) => Effect.Effect<unknown, E, R>,
  options: Extract<On, { readonly mode: "local" }>
): Layer.Layer<never, never, PluginScope | Exclude<R, Hooks>>
function onHook<A, E, R>(
  hook: Hook<A>,
  handler: (payload: A, received: Received) => Effect.Effect<unknown, E, R>,
  options?: Extract<On, { readonly mode: "work-queue" | "broadcast" }>
): Layer.Layer<never, never, PluginScope | Exclude<R, Hooks>>
function onHook<A, E, R>(
  hook: Hook<A>,
  handler: (payload: A, ...received: ReadonlyArray<Received>) => Effect.Effect<unknown, E, R>,
  options: On = { mode: "broadcast" }
): Layer.Layer<never, never, PluginScope | Exclude<R, Hooks>> {
  return Layer.effectDiscard(Effect.gen(function*() {
    const plugin = yield* PluginScope
    const context = yield* Effect.context<Exclude<R, Hooks>>()
    const provided = <X, E2>(handling: Effect.Effect<X, E2, R>) =>
      Effect.flatMap(
        Hooks,
        (hooks) => handling.pipe(Effect.provideService(Hooks, hooks), Effect.provideContext(context), Effect.asVoid)
      )
    const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(hook.payload))
    // Plugins may be JavaScript: what is no effect would end its fiber past all that watches it.
    const called = (payload: A, ...received: ReadonlyArray<Received>) =>
      Effect.suspend(() => {
        const handling = handler(payload, ...received)
        return Effect.isEffect(handling)
          ? handling
          : Effect.die(new Error(`A handler of the hook "${hook.id}" returned no Effect`))
      })
    const logged = (handling: Effect.Effect<unknown, unknown, R>) =>
      Effect.catchCause(
        provided(handling),
        (cause) => Effect.logError(`A handler of the hook "${hook.id}" failed`, cause)
      )
    if (options.mode === "local") {
      const handle = (payload: A) => logged(called(payload))
      yield* plugin.add({
        mode: options.mode,
        hook,
        listen: Stream.runForEach(stream(hook), handle),
        hear: (payloadJson) => logged(Effect.flatMap(decode(payloadJson), (payload) => called(payload)))
      })
    } else if (options.mode === "broadcast") {
      yield* plugin.add({
        mode: options.mode,
        hook,
        hear: (payloadJson, received) =>
          logged(Effect.flatMap(decode(payloadJson), (payload) => called(payload, received)))
      })
    } else {
      yield* plugin.add({
        mode: options.mode,
        hook,
        workerGroup: options.workerGroup,
        retry: options.retry ?? defaultRetry,
        handle: (payloadJson, received) =>
          provided(
            Effect.flatMap(Effect.mapError(decode(payloadJson), undecodable), (payload) => called(payload, received))
          )
      })
    }
  }))
}
