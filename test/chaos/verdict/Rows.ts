/**
 * The rows: among themselves, against what the emitters were told, and against what the receivers saw.
 */
import { type Evidence, type Finding, wants } from "./Evidence.ts"
import type { Story } from "./Story.ts"

/** The emitters against the messages. */
export const ofEmissions = ({ emissions, messages }: Evidence): ReadonlyArray<Finding> => {
  const byKey = new Map(emissions.map((emission) => [emission.key, emission]))
  const byId = new Map(messages.map((message) => [message.id, message]))
  return [
    { what: "refused, but nothing is wrong with it", of: emissions.flatMap(({ refusals }) => refusals) },
    {
      what: "no receipt, though it was repeated until it had one",
      of: emissions.flatMap(({ key, once, receipts }) => !once && receipts.length === 0 ? key : [])
    },
    {
      what: "two messages for one key",
      of: emissions.flatMap(({ key, receipts }) => new Set(receipts).size > 1 ? key : [])
    },
    { what: "emitted once, stored again", of: repeated(messages.map(({ key }) => key)) },
    { what: "stored, but never emitted", of: messages.flatMap(({ id, key }) => byKey.has(key) ? [] : id) },
    {
      what: "stored, but not as what was emitted",
      of: emissions.flatMap(({ eventId, key, receipts }) =>
        receipts.flatMap((id) => {
          const message = byId.get(id)
          return message === undefined || (message.key === key && message.eventId === eventId) ? [] : id
        })
      )
    },
    {
      what: "stored, but not routed",
      of: messages.flatMap(({ id, state }) => state === "routed" ? [] : `${id}, ${state}`)
    }
  ]
}

/** The rows among themselves. */
export const ofRows = (
  { attempts, deliveries, subscriptions }: Evidence,
  stories: ReadonlyArray<Story>
): ReadonlyArray<Finding> => {
  const known = new Set(deliveries.map(({ id }) => id))
  const byId = new Map(subscriptions.map((subscription) => [subscription.id, subscription]))
  return [
    { what: "two outcomes of one delivery", of: repeated(deliveries.map(({ id }) => id)) },
    {
      what: "two deliveries of one message to one subscription",
      of: repeated(deliveries.map(({ messageId, subscriptionId }) => `${messageId} ${subscriptionId}`))
    },
    {
      what: "a delivery that nobody subscribed to",
      of: stories.flatMap(({ delivery, eventId }) => {
        const subscription = byId.get(delivery.subscriptionId)
        return subscription && wants(subscription, eventId) ? [] : delivery.id
      })
    },
    {
      what: "not finished",
      of: deliveries.flatMap(({ id, reason, status }) => status === "unfinished" ? `${id} (${reason})` : [])
    },
    {
      what: "attempts are not numbered as they should be",
      of: stories.flatMap(({ attempts, delivery }) =>
        attempts.length === delivery.attempts && attempts.every(({ number }, n) => number === n + 1) ? [] : delivery.id
      )
    },
    {
      what: "an attempt without a delivery",
      of: attempts.flatMap(({ deliveryId }) => known.has(deliveryId) ? [] : deliveryId)
    },
    {
      what: "the outcome is not that of the attempts",
      of: stories.flatMap(({ attempts, delivery: { id, status } }) =>
        attempts.slice(0, -1).some(({ outcome }) => outcome === "success") ||
          (status !== "unfinished" && (attempts.at(-1)?.outcome === "success") !== (status === "success"))
          ? id
          : []
      )
    }
  ]
}

/** The receivers against the rows. */
export const ofRequests = ({ deliveries, messages, requests, subscriptions }: Evidence): ReadonlyArray<Finding> => {
  const byId = new Map(deliveries.map((delivery) => [delivery.id, delivery]))
  const names = new Map(subscriptions.map(({ id, receiver }) => [id, receiver]))
  const keys = new Map(messages.map(({ id, key }) => [id, key]))
  return [
    {
      what: "a request without a delivery",
      of: requests.flatMap(({ deliveryId }) => byId.has(deliveryId) ? [] : deliveryId)
    },
    {
      what: "a request that is not of its delivery",
      of: requests.flatMap(({ deliveryId, key, messageId, receiver }) => {
        const delivery = byId.get(deliveryId)
        return delivery === undefined ||
            (delivery.messageId === messageId && names.get(delivery.subscriptionId) === receiver &&
              (key === undefined || keys.get(messageId) === key))
          ? []
          : deliveryId
      })
    }
  ]
}

// --- internal ---

const repeated = (items: ReadonlyArray<string>): ReadonlyArray<string> => {
  const known = new Set<string>()
  return items.filter((item) => known.has(item) || !known.add(item))
}
