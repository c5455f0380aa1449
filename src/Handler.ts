/**
 * Handlers: a backend's own code that hears of a hook. What one is, and where a plugin collects its own; `Hook.on` makes
 * them, `Handlers.ts` runs them.
 */
import { Context, type Effect, Schedule } from "effect"
import type { AnyHook, HookNotRegistered, Hooks } from "./Hook.ts"
import type { MessageId } from "./Id.ts"
import * as RetrySchedule from "./RetrySchedule.ts"

/**
 * What a handler is told beside the payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Received {
  readonly eventId: string
  readonly messageId: MessageId
  readonly tenantId: string
  /** When the message was emitted, in milliseconds since 1970. */
  readonly timestampMs: number
  /** 1 for the first. */
  readonly attempt: number
}

/**
 * How a handler is called.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler =
  | {
    readonly mode: "broadcast"
    readonly hook: AnyHook
    /** Hears one message, whose payload is given as JSON text; what goes wrong is logged. */
    readonly hear: (payloadJson: string, received: Received) => Effect.Effect<void, never, Hooks>
  }
  | {
    readonly mode: "local"
    readonly hook: AnyHook
    /** Hears what is emitted in this process, for as long as it runs. */
    readonly listen: Effect.Effect<void, HookNotRegistered, Hooks>
    /** Hears one payload, given as JSON text; what goes wrong is logged. */
    readonly hear: (payloadJson: string) => Effect.Effect<void, never, Hooks>
  }
  | {
    readonly mode: "work-queue"
    readonly hook: AnyHook
    readonly workerGroup: string
    readonly retry: RetrySchedule.RetrySchedule
    /** Handles one message, whose payload is given as JSON text. */
    readonly handle: (payloadJson: string, received: Received) => Effect.Effect<void, unknown, Hooks>
  }

/**
 * The plugin that a handler belongs to, while its layer is built.
 *
 * @category services
 * @since 0.1.0
 */
export class PluginScope extends Context.Service<PluginScope, {
  readonly add: (handler: Handler) => Effect.Effect<void>
}>()("hookline/Handler/PluginScope") {}

/**
 * The schedule of a work queue that names none: three attempts, the second after a second, the third after two more.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultRetry: RetrySchedule.RetrySchedule = RetrySchedule.fromSchedule(Schedule.exponential("1 second"), {
  maxAttempts: 3
})

/**
 * The id, within its plugin, of the provider that a work queue is to the engine.
 *
 * @category conversions
 * @since 0.1.0
 */
export const providerId = (workerGroup: string): string => `queue.${workerGroup}`
