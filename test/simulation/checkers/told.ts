/**
 * What Hookline tells of itself is stored with what it tells of: once for each delivery that is exhausted, once for each
 * subscription that it disables; and nothing for its own events.
 */
import { Schema } from "effect"
import type { Checker } from "./index.ts"

const Payload = Schema.fromJsonString(Schema.Struct({
  deliveryId: Schema.optionalKey(Schema.String),
  subscriptionId: Schema.String,
  eventId: Schema.optionalKey(Schema.String)
}))

export const told: Checker = function*({ messages }, ledger) {
  const news = (eventId: string) =>
    messages.filter((message) => message.eventId === eventId).map(({ payloadJson }) =>
      Schema.decodeUnknownSync(Payload)(payloadJson)
    )
  const events = new Map(messages.map((message) => [message.id, message.eventId]))
  const exhausted = news("hookline.delivery.exhausted")
  for (const { eventId = "" } of exhausted) {
    if (eventId.startsWith("hookline.")) yield `a delivery of ${eventId} was told as exhausted`
  }
  for (const account of ledger.accounts.values()) {
    const [attempt] = account.attempts
    if (!attempt || events.get(attempt.messageId)?.startsWith("hookline.") !== false) continue
    const ends = account.records.filter(({ outcome: { transition } }) =>
      transition._tag === "Final" && transition.reason === "exhausted"
    ).length
    const count = exhausted.filter(({ deliveryId }) =>
      deliveryId === account.id
    ).length
    if (count !== ends) yield `${account.id} was exhausted ${ends} times and told so ${count} times`
  }
  const disabled = news("hookline.subscription.disabled")
  for (const [id, versions] of Map.groupBy(ledger.saved, ({ subscription }) => subscription.id)) {
    const times = versions.filter(({ subscription }, n) =>
      subscription.disabledReason !== undefined && versions[n - 1]?.subscription.disabledReason === undefined
    ).length
    const count = disabled.filter(({ subscriptionId }) =>
      subscriptionId === id
    ).length
    // One that fails with Hookline's own events is disabled without a word.
    const isOwn = versions[0]?.subscription.events.includes("hookline.*") === true
    if (count > times || (count < times && !isOwn)) yield `${id} was disabled ${times} times and told so ${count} times`
  }
}
