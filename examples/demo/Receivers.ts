/**
 * The three receivers and their subscriptions: one that is well, one that fails twice before it accepts, one that hangs.
 */
import { Effect } from "effect"
import { type RetrySchedule, Subscriptions } from "hookline"
import * as Receiver from "./Receiver.ts"

interface Role {
  readonly name: string
  readonly answer: Receiver.Answer
  /** How each of its deliveries has to end. */
  readonly expected: "success" | "failed"
  readonly timeoutMs?: number
  readonly retry?: RetrySchedule.RetryJson
}

const roles: ReadonlyArray<Role> = [
  { name: "healthy", answer: () => 204, expected: "success" },
  {
    name: "fails twice",
    answer: (nth) => [500, 503][nth] ?? 204,
    expected: "success",
    retry: { type: "delays", delaysMs: [500, 1000] }
  },
  {
    name: "hangs",
    answer: () => undefined,
    expected: "failed",
    // Twice a second for each message, 64 at once: half a minute for 900.
    timeoutMs: 1000,
    retry: { type: "delays", delaysMs: [1000] }
  }
]

export const listen = Effect.forEach(
  roles,
  Effect.fnUntraced(function*(role) {
    return { ...role, ...(yield* Receiver.make(role.answer)) }
  })
)

/** Subscribes a receiver to all incidents. */
export const subscribe = Effect.fnUntraced(function*(receiver: Role & Receiver.Receiver) {
  const { name, retry, secret, timeoutMs, url } = receiver
  const subscriptions = yield* Subscriptions.Subscriptions
  const { subscription } = yield* subscriptions.create({
    name,
    events: ["incident.*"],
    providerId: "webhook.webhook",
    config: { url, ...(timeoutMs === undefined ? {} : { timeoutMs }) },
    signingSecret: secret,
    ...(retry === undefined ? {} : { retry })
  })
  return { ...receiver, subscriptionId: subscription.id }
})
