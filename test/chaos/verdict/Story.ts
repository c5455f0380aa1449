/**
 * A delivery's story: its attempts, the requests that its receiver saw, and the worker group that it belongs to.
 */
import { groupOf, groupsOf } from "../Events.ts"
import { isAccepted, type Request } from "../Receivers.ts"
import type { Attempt, Delivery, Evidence, Subscription } from "./Evidence.ts"

/** A delivery, its attempts in their order, and the requests that its receiver saw. */
export interface Story {
  readonly delivery: Delivery
  readonly eventId: string
  /** The worker groups that may own it: its subscription's own; or the event's, and the partitions of it that its message is in. */
  readonly groups: ReadonlyArray<string>
  /** The worker group that owns it, where that is known. */
  readonly group: string | undefined
  readonly attempts: ReadonlyArray<Attempt>
  readonly requests: ReadonlyArray<Request>
}

export const storiesOf = (
  { attempts, deliveries, messages, owned, requests, subscriptions }: Evidence
): ReadonlyArray<Story> => {
  const own = new Set(subscriptions.filter(hasOwnGroup).map(({ id }) => id))
  const byId = new Map(messages.map((message) => [message.id, message]))
  const made = Map.groupBy(attempts, ({ deliveryId }) => deliveryId)
  const seen = Map.groupBy(requests, ({ deliveryId }) => deliveryId)
  const names = new Map(owned.map(({ epoch, workerGroup }) => [epoch, workerGroup]))
  const shared = new Set(owned.flatMap(({ workerGroup }) => workerGroup.includes("#") ? workerGroup.split("#", 1) : []))
  return deliveries.map((delivery) => {
    const message = byId.get(delivery.messageId)
    const mine = (made.get(delivery.id) ?? []).toSorted((a, b) => a.number - b.number)
    const groups = own.has(delivery.subscriptionId)
      ? [`subscription.${delivery.subscriptionId}`]
      : message === undefined
      ? [groupOf("")]
      : groupsOf(message)
    const [base = ""] = groups
    return {
      delivery,
      eventId: message?.eventId ?? "",
      groups,
      // An epoch is of one group, and a delivery stays in its group. An epoch that nobody saw may be that of any of them.
      group: groups.length === 1 || !shared.has(base)
        ? base
        : mine.map(({ epoch }) => names.get(epoch)).find((name) => name !== undefined),
      attempts: mine,
      requests: seen.get(delivery.id) ?? []
    }
  })
}

/** The requests of handlers, which are not told their delivery, with the delivery that their message and queue tell. */
export const resolved = ({ deliveries, requests, subscriptions }: Evidence): ReadonlyArray<Request> => {
  const names = new Map(subscriptions.map(({ id, receiver }) => [id, receiver]))
  const pairs = new Map(
    deliveries.map(({ id, messageId, subscriptionId }) => [`${messageId} ${names.get(subscriptionId)}`, id])
  )
  return requests.map((request) =>
    request.attempt === undefined
      ? request
      : { ...request, deliveryId: pairs.get(`${request.messageId} ${request.receiver}`) ?? "" }
  )
}

/** Whether a request may be an attempt's own: a handler says which attempt it is, a webhook when it was begun. */
export const isOf = (request: Request, { number, outcome, startedAtMs, statusCode }: Attempt): boolean =>
  request.attempt === undefined
    ? request.sentAtSeconds === Math.floor(startedAtMs / 1000) &&
      (statusCode === null || statusCode === request.status)
    : request.attempt === number && (outcome !== "success" || isAccepted(request))

// --- internal ---

const hasOwnGroup = ({ maxConcurrency, ordered, rateLimit }: Subscription): boolean =>
  ordered === true || maxConcurrency !== undefined || rateLimit !== undefined
