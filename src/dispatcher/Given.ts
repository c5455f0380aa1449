/**
 * What a provider gets for an attempt: its message as it is sent, the subscription that it is for, and the secrets that sign now.
 */
import type { Types } from "effect"
import type { Binding } from "../Bindings.ts"
import { timeOf } from "../Id.ts"
import type { Attempt } from "../Provider.ts"
import * as Replay from "../Replay.ts"
import type { Subscription } from "../Subscription.ts"
import type { Ready } from "./Lane.ts"

/** Makes it, for an attempt that begins at that time of the engine, in milliseconds. */
export const given = (
  { claimed, message }: Ready,
  { id, name }: Subscription,
  { signingSecrets }: Binding,
  nowMs: number,
  traceparent: string | undefined
): Attempt => {
  const told: Types.Mutable<Attempt["message"]> = {
    id: message.id,
    eventId: message.eventId,
    tenantId: message.tenantId,
    timestampMs: timeOf(message.id),
    payloadJson: message.payloadJson
  }
  if (message.emittedJson !== undefined) told.emittedJson = message.emittedJson
  const secrets: Array<Attempt["signingSecrets"][number]> = []
  for (const { expiresAtMs, secret } of signingSecrets) {
    if (expiresAtMs === undefined || expiresAtMs > nowMs) secrets.push(secret)
  }
  const attempt: Types.Mutable<Attempt> = {
    deliveryId: claimed.deliveryId,
    number: claimed.attemptCount + 1,
    nowMs,
    message: told,
    subscription: { id, name },
    signingSecrets: secrets
  }
  if (claimed.webhookOf !== undefined) attempt.webhookId = Replay.webhookId(message.id, claimed.webhookOf)
  if (traceparent !== undefined) attempt.traceparent = traceparent
  return attempt
}
