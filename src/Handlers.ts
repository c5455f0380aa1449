/**
 * The handlers of this process: local ones listen, and each work queue has a subscription of Hookline's own, by which the
 * engine delivers to it as to anything else.
 */
import { Effect, Equal, Layer } from "effect"
import { patient } from "./dispatcher/Patience.ts"
import type { Hooks } from "./Hook.ts"
import * as Id from "./Id.ts"
import { allTenants } from "./Message.ts"
import { type RegisteredProvider, Registry, type WorkQueue } from "./Registry.ts"
import { Storage } from "./Storage.ts"

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
          signingSecrets: [],
          retry: undefined,
          filter: undefined,
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

    for (const provider of yield* registry.providers) {
      const { providerId, queue } = provider
      if (queue) yield* patient(`Subscribing ${providerId}`, Effect.suspend(() => subscribe(provider, queue)))
    }
    for (const { handlers } of yield* registry.plugins) {
      for (const handler of handlers) {
        if (handler.mode !== "local") continue
        // Its hook is registered: the registry was sealed.
        yield* Effect.forkScoped(Effect.orDie(handler.listen), { startImmediately: true })
      }
    }
  })
)
