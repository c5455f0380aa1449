/**
 * The handlers of this process: local ones listen, broadcast ones follow what is routed anywhere, and each work queue has a
 * subscription of Hookline's own, by which the engine delivers to it as to anything else.
 */
import { Effect, Equal, Latch, Layer, Schema } from "effect"
import * as Core from "./Core.ts"
import { patient } from "./dispatcher/Patience.ts"
import type { Handler } from "./Handler.ts"
import { type Hook, Hooks } from "./Hook.ts"
import * as Id from "./Id.ts"
import { Limits } from "./Limits.ts"
import { allTenants, timestampMs, workerGroup } from "./Message.ts"
import { type RegisteredProvider, Registry, type WorkQueue } from "./Registry.ts"
import { type Broadcast, Storage } from "./Storage.ts"

/**
 * Layer that lets the handlers hear: once it is up, every message that is emitted anywhere is queued, and every payload that
 * is emitted in this process is heard.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, Hooks | Registry | Storage> = Layer.effectDiscard(
  Effect.gen(function*() {
    const registry = yield* Registry
    const storage = yield* Storage
    const limits = yield* Limits

    const subscribe = Effect.fnUntraced(function*({ pluginId, providerId }: RegisteredProvider, queue: WorkQueue) {
      const hook = yield* registry.hookOf(queue.hook)
      if (!hook) return
      const events = [hook.eventId]
      const now = yield* storage.now
      yield* storage.ensureSubscription(
        {
          id: yield* Id.subscriptionId(now),
          tenantId: allTenants,
          name: `${pluginId}.${queue.workerGroup}`,
          description: undefined,
          events,
          providerId,
          config: {},
          connectionId: undefined,
          signingSecrets: [],
          retry: undefined,
          filter: undefined,
          ordered: false,
          maxConcurrency: undefined,
          rateLimit: undefined,
          enabled: true,
          disabledReason: undefined,
          disabledAtMs: undefined,
          createdAtMs: now,
          updatedAtMs: now
        },
        // One that an operator has disabled stays so.
        (stored) => Equal.equals(stored.events, events) ? stored : { ...stored, events, updatedAtMs: now }
      )
    })

    const hooks = yield* Hooks
    yield* registry.connect(hooks)
    for (const provider of yield* registry.providers) {
      const { providerId, queue } = provider
      if (queue) yield* patient(`Subscribing ${providerId}`, Effect.suspend(() => subscribe(provider, queue)))
    }
    yield* follow
    const plugins = yield* registry.plugins
    const locals = plugins.flatMap(({ handlers }) => handlers.filter((handler) => handler.mode === "local"))
    for (const { hook, listen } of locals) {
      // Those of Hookline's own hooks are called, in order. The others' are registered: the registry was sealed.
      if (!Core.hooks.includes(hook)) yield* Effect.forkScoped(Effect.orDie(listen), { startImmediately: true })
    }

    const tell = <A>(hook: Hook<A>, payload: A) =>
      Effect.gen(function*() {
        yield* Effect.orDie(hooks.emitLocal(hook, payload))
        const json = yield* Effect.orDie(Schema.encodeEffect(Schema.fromJsonString(hook.payload))(payload))
        for (const handler of locals) {
          if (handler.hook === hook) yield* Effect.provideService(handler.hear(json), Hooks, hooks)
        }
      })
    const stopping = Effect.gen(function*() {
      yield* tell(Core.RunnerStopping, {})
      for (const { pluginId } of plugins.toReversed()) yield* tell(Core.PluginStopping, { pluginId })
    })
    yield* Effect.addFinalizer(() =>
      Effect.timeoutOption(Effect.interruptible(stopping), limits.drainTimeoutMs).pipe(
        Effect.tap((ended) =>
          ended._tag === "None"
            ? Effect.logWarning("Handlers of the stop took too long, and were interrupted")
            : Effect.void
        )
      )
    )
    yield* Effect.forkScoped(
      Effect.forEach(plugins, ({ pluginId }) => tell(Core.PluginLoaded, { pluginId }), { discard: true })
    )
  })
)

// --- internal ---

interface Follower {
  readonly handler: Extract<Handler, { readonly mode: "broadcast" }>
  readonly workerGroup: string
  position: number
  busy: boolean
}

/** Has broadcast handlers hear what is routed from now on, each at its own pace. */
const follow = Effect.gen(function*() {
  const registry = yield* Registry
  const storage = yield* Storage
  const limits = yield* Limits
  const followers: Array<Follower> = []
  for (const handler of (yield* registry.plugins).flatMap(({ handlers }) => handlers)) {
    const hook = yield* registry.hookOf(handler.hook)
    if (handler.mode !== "broadcast" || !hook) continue
    followers.push({ handler, workerGroup: workerGroup(hook.eventId), position: 0, busy: false })
  }
  if (followers.length === 0) return
  const groups = followers.map((follower) => follower.workerGroup)
  const listen = patient("Listening", storage.listen(groups))
  const started = new Map((yield* listen).map((cursor) => [cursor.workerGroup, cursor.position]))
  for (const follower of followers) follower.position = started.get(follower.workerGroup) ?? 0

  const nudge = yield* Latch.make()

  const handle = (follower: Follower, heard: ReadonlyArray<Broadcast>) =>
    Effect.forEach(heard, ({ message, position }) =>
      Effect.suspend(() => {
        const missed = position - follower.position - 1
        follower.position = position
        const hear = follower.handler.hear(message.payloadJson, {
          eventId: message.eventId,
          messageId: message.id,
          tenantId: message.tenantId,
          timestampMs: timestampMs(message),
          attempt: 1
        }).pipe(Effect.annotateLogs("messageId", message.id))
        return missed === 0
          ? hear
          : Effect.andThen(Effect.logWarning(`A handler of ${message.eventId} missed ${missed} messages`), hear)
      }), { discard: true }).pipe(
        Effect.ensuring(Effect.sync(() => {
          follower.busy = false
          // What filled a batch may have more behind it.
          if (heard.length === limits.broadcastMessages) nudge.openUnsafe()
        }))
      )

  const look = Effect.gen(function*() {
    const idle = followers.filter((follower) => !follower.busy)
    if (idle.length === 0) return
    const heard = Map.groupBy(
      yield* patient("Hearing of broadcasts", storage.hear(idle, limits.broadcastMessages)),
      ({ cursor }) => cursor
    )
    for (const [n, follower] of idle.entries()) {
      const messages = heard.get(n)
      if (!messages) continue
      follower.busy = true
      yield* Effect.forkScoped(handle(follower, messages))
    }
  })

  const looking = look.pipe(
    Effect.andThen(Effect.timeoutOption(nudge.await, limits.broadcastPollMs)),
    Effect.andThen(nudge.close),
    Effect.forever
  )
  yield* Effect.forkScoped(looking)
  // So that housekeeping knows that somebody does.
  yield* Effect.forkScoped(Effect.forever(Effect.delay(listen, limits.broadcastKeptMs / 4)))
})
