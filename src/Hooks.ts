/**
 * Emission: a payload is encoded once, appended, and after the commit offered to local listeners and told to the dispatcher.
 * Emits inside the caller's transaction join it; concurrent ones outside share commits (group commit).
 */
import { DateTime, Effect, Layer, Metric, PubSub, Schema, Stream, type Types } from "effect"
import { createHash } from "node:crypto"
import * as Core from "./Core.ts"
import { Dispatchers } from "./Dispatchers.ts"
import * as GroupCommit from "./GroupCommit.ts"
import {
  type AnyHook,
  BatchRefused,
  type EmitBatchError,
  type EmitError,
  type EmitOptions,
  EmitOutcomeUnknown,
  type Hook,
  HookNotRegistered,
  Hooks,
  IdempotencyConflict,
  PayloadRefused
} from "./Hook.ts"
import * as Id from "./Id.ts"
import { letGo } from "./LetGo.ts"
import { Limits } from "./Limits.ts"
import { allTenants, defaultTenant, type Message, oneTenantExpected, workerGroup } from "./Message.ts"
import * as Metrics from "./Metrics.ts"
import { Registry } from "./Registry.ts"
import * as Retention from "./Retention.ts"
import * as SchemaErrors from "./SchemaErrors.ts"
import { type AppendError, type BatchItem, Storage } from "./Storage.ts"
import * as TraceContext from "./TraceContext.ts"

/**
 * Layer of the Hooks service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Hooks, never, Registry | Storage | Dispatchers> = Layer.effect(
  Hooks,
  Effect.gen(function*() {
    const registry = yield* Registry
    const storage = yield* Storage
    const dispatchers = yield* Dispatchers
    const limits = yield* Limits
    const ahead = { expireAheadMs: limits.expireAheadMs, deliverAheadMs: Retention.within(limits).deliverAheadMs }
    const channels = yield* makeChannels
    const commit = yield* GroupCommit.make(dispatchers)

    const registered = Effect.fnUntraced(function*(hook: AnyHook) {
      const found = yield* registry.hookOf(hook)
      if (found) return found
      return yield* new HookNotRegistered({
        hookId: hook.id,
        message:
          `No plugin of this program brings the hook "${hook.id}": add it to the hooks of a plugin and the plugin ` +
          "to the program's layer."
      })
    })

    const known = Effect.fnUntraced(function*(eventId: string) {
      const found = yield* registry.hook(eventId)
      if (found) return found
      return yield* new HookNotRegistered({ hookId: eventId, message: `No plugin brings the hook "${eventId}".` })
    })

    /** A message that may be stored, and what is done when it is. */
    const prepared = Effect.fnUntraced(function*<A>(eventId: string, hook: Hook<A>, payload: A, options: EmitOptions) {
      if (Core.isOwn(eventId)) return yield* own(eventId)
      const payloadJson = yield* letGo(encode(eventId, hook, payload, limits.payloadBytes))
      const orderingKey = options.orderingKey ??
        (hook.orderingKey === undefined ? undefined : yield* letGo(keyOf(eventId, hook, payload)))
      const tenantId = options.tenantId ?? defaultTenant
      if (tenantId === allTenants) {
        return yield* new PayloadRefused({
          eventId,
          path: "tenantId",
          message: oneTenantExpected
        })
      }
      const { deliverAt, expiresAt, idempotencyKey } = options
      for (const [path, key] of Object.entries({ idempotencyKey, tenantId, orderingKey })) {
        const complaint = key === undefined ? undefined : refuseKey(key, limits.keyLength)
        if (complaint) return yield* new PayloadRefused({ eventId, path, message: complaint })
      }
      const now = yield* storage.now
      if (deliverAt !== undefined || expiresAt !== undefined) {
        for (const [path, complaint] of refuseTimes(options, now, ahead)) {
          return yield* new PayloadRefused({ eventId, path, message: complaint })
        }
      }
      const traceparent = options.traceparent === undefined
        ? yield* TraceContext.current
        : TraceContext.sampled(options.traceparent)
      // A copy, for V8: see "What memory holds" in `docs/architecture.md`.
      const message: Types.Mutable<Message> = { ...blank }
      message.id = yield* Id.messageId(now)
      message.eventId = eventId
      message.tenantId = tenantId
      message.orderingKey = orderingKey
      message.payloadJson = payloadJson
      if (deliverAt !== undefined) message.deliverAtMs = DateTime.toEpochMillis(deliverAt)
      if (expiresAt !== undefined) message.expiresAtMs = DateTime.toEpochMillis(expiresAt)
      if (traceparent !== undefined) {
        message.traceparent = traceparent
        yield* Effect.annotateCurrentSpan({ "hookline.message.id": message.id, "hookline.event.id": eventId })
      }
      const offer = channels.publish(eventId, hook, payload)
      const once = idempotencyKey === undefined
        ? undefined
        : { key: idempotencyKey, contentHash: contentHash(message), ttlMs: limits.idempotencyTtlMs }
      return new Prepared(message, offer, once, overAt(message, now))
    })

    /**
     * Of messages with a key whose time is over, the first that repeats none: it would be answered, and never delivered. Asked
     * only where there is one, so that what comes in time costs nothing.
     */
    const tooLate = Effect.fnUntraced(function*(batch: ReadonlyArray<Prepared>) {
      const over = batch.flatMap(({ message: { eventId, tenantId }, once, over }, index) =>
        once === undefined || over === undefined ? [] : [{ index, eventId, tenantId, key: once.key, path: over }]
      )
      if (over.length === 0) return undefined
      const used = yield* storage.usedKeys(over)
      const found = over.find((_, n) => used[n] !== true)
      if (found === undefined) return undefined
      const { eventId, index, path } = found
      return { index, reason: new PayloadRefused({ eventId, path, message: timeToCome }) }
    })

    const emitAs = Effect.fnUntraced(function*<A>(eventId: string, hook: Hook<A>, payload: A, options: EmitOptions) {
      const one = yield* letGo(prepared(eventId, hook, payload, options))
      const { message, offer, once } = one
      if (one.over !== undefined) {
        const late = yield* Effect.mapError(tooLate([one]), emitError(eventId))
        if (late) return yield* late.reason
      }
      if (once !== undefined) {
        const answer = yield* letGo(storage.appendOnce(message, once).pipe(Effect.mapError(emitError(eventId))))
        if (answer._tag === "Conflict") return yield* conflict(once.key, answer.messageId)
        if (answer._tag === "Repeated") return answer.messageId
        yield* storage.afterCommit(Effect.andThen(offer, dispatchers.wake(answer.workerGroup)))
      } else if (yield* storage.inTransaction) {
        const [placed] = yield* letGo(Effect.mapError(storage.append([message]), emitError(eventId)))
        yield* storage.afterCommit(Effect.andThen(offer, dispatchers.wake(placed?.workerGroup ?? workerGroup(eventId))))
      } else {
        yield* letGo(Effect.mapError(commit(message, offer), emitError(eventId)))
      }
      return message.id
    })

    return Hooks.of({
      emit: Effect.fnUntraced(function*(hook, payload, options) {
        const { eventId } = yield* registered(hook)
        return yield* letGo(emitAs(eventId, hook, payload, options ?? {}))
      }, TraceContext.withSpan("Hook.emit", producing)),
      emitJson: Effect.fnUntraced(function*(eventId, payload, options) {
        if (Core.isOwn(eventId)) return yield* own(eventId)
        const found = yield* known(eventId)
        return yield* letGo(
          found.hook.use((hook) =>
            Effect.flatMap(decode(eventId, hook, payload), (decoded) => emitAs(eventId, hook, decoded, options ?? {}))
          )
        )
      }, TraceContext.withSpan("Hook.emitJson", producing)),
      emitBatch: Effect.fnUntraced(function*(emissions) {
        const batch = yield* letGo(Effect.forEach(
          emissions,
          ({ eventId, options = {}, payload }, index) =>
            Effect.gen(function*() {
              if (Core.isOwn(eventId)) return yield* own(eventId)
              const found = yield* known(eventId)
              return yield* letGo(found.hook.use((hook) =>
                Effect.flatMap(decode(eventId, hook, payload), (decoded) => prepared(eventId, hook, decoded, options))
              ))
            }).pipe(Effect.mapError((reason) =>
              new BatchRefused({ index, reason })
            ))
        ))
        if (batch.length === 0) return []
        const failed = batchError(batch.map(({ message }) => message))
        const late = yield* Effect.mapError(tooLate(batch), failed)
        if (late) return yield* new BatchRefused(late)
        const answer = yield* letGo(
          storage.appendBatch(batch.map(({ message, once }): BatchItem => ({
            message,
            ...(once === undefined ? {} : { once })
          }))).pipe(Effect.mapError(failed))
        )
        if (answer._tag === "Conflict") {
          const { index, messageId } = answer
          const reason = conflict(batch[index]?.once?.key ?? "", messageId)
          return yield* new BatchRefused({ index, reason })
        }
        for (const [n, { workerGroup }] of answer.items.entries()) {
          const offer = batch[n]?.offer
          if (workerGroup === undefined || offer === undefined) continue
          yield* storage.afterCommit(Effect.andThen(offer, dispatchers.wake(workerGroup)))
        }
        return answer.items.map(({ messageId }) => messageId)
      }, TraceContext.withSpan("Hook.emitBatch", producing)),
      emitLocal: Effect.fnUntraced(function*(hook, payload) {
        const { eventId } = yield* registered(hook)
        yield* encode(eventId, hook, payload, limits.payloadBytes)
        yield* channels.publish(eventId, hook, payload)
      }),
      stream: (hook) =>
        Stream.unwrap(Effect.map(
          Effect.andThen(registered(hook), channels.of(hook)),
          Stream.fromPubSub
        ))
    })
  })
)

// --- internal ---

const producing = { kind: "producer" } as const

const own = (eventId: string) =>
  Effect.fail(
    new HookNotRegistered({
      hookId: eventId.slice(Core.pluginId.length + 1),
      message: `Hookline tells of "${eventId}" itself.`
    })
  )

const encode = <A>(eventId: string, hook: Hook<A>, payload: A, limit: number): Effect.Effect<string, PayloadRefused> =>
  Schema.encodeEffect(hook.payload)(payload).pipe(
    Effect.mapError((error) => new PayloadRefused({ eventId, ...SchemaErrors.first(error, ["payload"]) })),
    Effect.flatMap((json) => {
      const text: string | undefined = JSON.stringify(json)
      if (text === undefined) {
        return Effect.fail(
          new PayloadRefused({ eventId, path: "payload", message: "Expected a value that JSON can hold" })
        )
      }
      // A character takes at most three bytes: most payloads need no second look.
      if (text.length * 3 > limit && new TextEncoder().encode(text).length > limit) {
        return Effect.fail(
          new PayloadRefused({ eventId, path: "payload", message: `Expected at most ${limit} bytes of JSON` })
        )
      }
      return Effect.succeed(text)
    })
  )

const decode = <A>(eventId: string, hook: Hook<A>, payload: unknown): Effect.Effect<A, PayloadRefused> =>
  Schema.decodeUnknownEffect(hook.payload)(payload).pipe(
    Effect.mapError((error) => new PayloadRefused({ eventId, ...SchemaErrors.first(error, ["payload"]) }))
  )

const keyOf = <A>(eventId: string, hook: Hook<A>, payload: A): Effect.Effect<string | undefined, PayloadRefused> =>
  Effect.try({
    try: () => hook.orderingKey?.(payload),
    catch: (error) =>
      new PayloadRefused({ eventId, path: "orderingKey", message: `The hook's orderingKey threw: ${error}` })
  })

const refuseKey = (key: string, limit: number): string | undefined =>
  key.length === 0
    ? "Expected a text that is not empty"
    : key.length > limit
    ? `Expected at most ${limit} characters`
    : key.includes("\0") || !key.isWellFormed()
    ? "Expected a text without NUL characters and lone surrogates"
    : undefined

/** An emit that is ready to be stored. A class, for V8, as `blank` is there to be copied. */
class Prepared {
  readonly message: Message
  readonly offer: Effect.Effect<void>
  readonly once: BatchItem["once"]
  /** Which of its times is over. */
  readonly over: "deliverAt" | "expiresAt" | undefined

  constructor(message: Message, offer: Prepared["offer"], once: Prepared["once"], over: Prepared["over"]) {
    this.message = message
    this.offer = offer
    this.once = once
    this.over = over
  }
}

const blank: Message = {
  id: Id.trusted.message(""),
  eventId: "",
  tenantId: "",
  orderingKey: undefined,
  payloadJson: ""
}

const timeToCome = "Expected a time to come"

const overAt = ({ deliverAtMs, expiresAtMs }: Message, nowMs: number): Prepared["over"] =>
  deliverAtMs !== undefined && deliverAtMs <= nowMs
    ? "deliverAt"
    : expiresAtMs !== undefined && expiresAtMs <= nowMs
    ? "expiresAt"
    : undefined

/** What is wrong with the times of an emit; one that is repeated with its key may come after them (`tooLate`). */
const refuseTimes = (
  { deliverAt, expiresAt, idempotencyKey }: EmitOptions,
  nowMs: number,
  limits: Pick<Limits, "deliverAheadMs" | "expireAheadMs">
): ReadonlyArray<readonly [path: string, complaint: string]> => {
  const times = [["deliverAt", deliverAt, limits.deliverAheadMs], [
    "expiresAt",
    expiresAt,
    limits.expireAheadMs
  ]] as const
  const from = deliverAt && DateTime.toEpochMillis(deliverAt)
  return times.flatMap(([path, time, aheadMs]) => {
    if (time === undefined) return []
    const ms = DateTime.toEpochMillis(time)
    if (ms <= nowMs && idempotencyKey === undefined) return [[path, timeToCome]]
    if (path === "expiresAt" && from !== undefined && ms <= from) return [[path, "Expected a time after deliverAt"]]
    return ms - nowMs > aheadMs ? [[path, `Expected a time at most ${aheadMs / 86_400_000} days ahead`]] : []
  })
}

const contentHash = (message: Message): string =>
  createHash("sha256")
    .update(JSON.stringify([
      message.eventId,
      message.orderingKey ?? null,
      message.payloadJson,
      ...(message.deliverAtMs === undefined && message.expiresAtMs === undefined
        ? []
        : [message.deliverAtMs ?? null, message.expiresAtMs ?? null])
    ]))
    .digest("base64url")

const emitError = (eventId: string) => (error: AppendError): EmitError => {
  switch (error._tag) {
    case "StorageUnavailable":
      return error
    case "OutcomeUnknown":
      return new EmitOutcomeUnknown({ message: error.message })
    case "RowRefused":
      return new PayloadRefused({ eventId, path: "payload", message: error.message })
  }
}

/** What the database refuses in a batch it does not say of which message: nothing of it is stored. */
const batchError = ([first]: ReadonlyArray<Message>) => (error: AppendError): EmitBatchError => {
  const reason = emitError(first?.eventId ?? "")(error)
  return reason._tag === "StorageUnavailable" || reason._tag === "EmitOutcomeUnknown"
    ? reason
    : new BatchRefused({ reason })
}

const conflict = (key: string, messageId: Id.MessageId) =>
  new IdempotencyConflict({
    key,
    messageId,
    message:
      `The idempotency key "${key}" belongs to the message ${messageId}, which has other content: use a new key ` +
      "for a new message."
  })

/** The local channels, made when a first listener or payload comes; the hook's type ties its channel's. */
const makeChannels = Effect.gen(function*() {
  const limits = yield* Limits
  const channels = new Map<AnyHook, unknown>()

  const of = Effect.fnUntraced(function*<A>(hook: Hook<A>) {
    const existing = channels.get(hook)
    // Only this function writes the map, under the hook whose type it is.
    if (existing !== undefined) return existing as PubSub.PubSub<A>
    const capacity = hook.capacity ?? limits.channelCapacity
    const channel = yield* (hook.overflow === "sliding" ? PubSub.sliding<A>(capacity) : PubSub.dropping<A>(capacity))
    const raced = channels.get(hook)
    if (raced !== undefined) return raced as PubSub.PubSub<A>
    channels.set(hook, channel)
    return channel
  })

  const publishNow = Effect.fnUntraced(function*<A>(eventId: string, hook: Hook<A>, payload: A) {
    const channel = yield* of(hook)
    const full = yield* PubSub.isFull(channel)
    yield* PubSub.publish(channel, payload)
    if (full) yield* Metric.update(Metric.withAttributes(Metrics.channelDropped, { event: eventId }), 1)
  })

  /** Hears who listens when it is run, at the emit's commit. */
  const publish = <A>(eventId: string, hook: Hook<A>, payload: A): Effect.Effect<void> =>
    Effect.suspend(() => channels.has(hook) ? publishNow(eventId, hook, payload) : Effect.void)

  return { of, publish }
})
