/**
 * The verdict, pure: what the emitters were told, what the rows say and what the receivers saw must tell the same story.
 * Whatever they disagree on is a finding.
 *
 * A claim leaves its mark in the rows: an attempt's `claims` counts those since the attempt before it, its own included, so
 * all but one of them ended without an outcome, each with at most one request. What a delivery's receiver saw must be covered
 * by the attempts that were recorded and by such claims: a request, or an acceptance, beyond that has no explanation.
 */
import { groupOf, orderOf } from "./Events.ts"
import { isAccepted, type Request } from "./Receivers.ts"

export interface Emission {
  readonly key: string
  readonly eventId: string
  readonly once: boolean
  readonly receipts: ReadonlyArray<string>
  readonly refusals: ReadonlyArray<string>
}

export interface Subscription {
  readonly id: string
  readonly receiver: string
  readonly events: ReadonlyArray<string>
  readonly ordered?: boolean
}

export interface Message {
  readonly id: string
  readonly eventId: string
  readonly key: string
  readonly state: "routed" | "set-aside" | "unrouted" | "nowhere"
}

export interface Delivery {
  readonly id: string
  readonly messageId: string
  readonly subscriptionId: string
  readonly status: "unfinished" | "success" | "failed" | "cancelled"
  readonly reason: string | null
  readonly attempts: number
  /** Claims since the last attempt that have no outcome. */
  readonly claims: number
}

export interface Attempt {
  readonly deliveryId: string
  readonly number: number
  readonly startedAtMs: number
  readonly durationMs: number
  readonly outcome: "success" | "retryable" | "permanent" | "gone" | "timeout" | "interrupted"
  readonly statusCode: number | null
  readonly epoch: number
  readonly claims: number
}

/** An epoch that a group was seen to have. */
export interface Owned {
  readonly workerGroup: string
  readonly epoch: number
  readonly seenAtMs: number
}

export interface Evidence {
  readonly emissions: ReadonlyArray<Emission>
  readonly subscriptions: ReadonlyArray<Subscription>
  readonly messages: ReadonlyArray<Message>
  readonly deliveries: ReadonlyArray<Delivery>
  readonly attempts: ReadonlyArray<Attempt>
  readonly requests: ReadonlyArray<Request>
  readonly owned: ReadonlyArray<Owned>
}

/** Something that must not be, and what it is true of. */
export interface Finding {
  readonly what: string
  readonly of: ReadonlyArray<string>
}

export interface Verdict {
  readonly emitted: number
  readonly delivered: number
  readonly lost: number
  readonly duplicates: number
  readonly duplicatesUnexplained: number
  readonly findings: ReadonlyArray<Finding>
  /** Final outcomes by status and reason, for whoever reads the run. */
  readonly outcomes: Readonly<Record<string, number>>
}

/** What is told of a run. */
export const make = (evidence: Evidence): Verdict => {
  const stories = storiesOf(evidence)
  const pairs = pairsOf(evidence, stories)
  const lost = [
    ...unstored(evidence),
    ...pairs.filter((pair) => pair.isLost).map(({ name }) => name)
  ]
  const judged = stories.map((story) => ({ story, ...judge(story) }))
  const unexplained = judged.flatMap(({ story, unexplained }) =>
    Array.from({ length: unexplained }, () => story.delivery.id)
  )
  const findings = [
    { what: "lost: neither accepted nor with an outcome and its reason", of: lost },
    { what: "accepted again, and nothing in the rows explains it", of: unexplained },
    ...ofEmissions(evidence),
    ...ofRows(evidence, stories),
    ...ofRequests(evidence),
    ...ofOrder(evidence),
    ...["more requests than attempts and claims", "an answer is recorded that its receiver did not give"].map((
      what
    ) => ({
      what,
      of: judged.flatMap(({ story, wrongs }) => wrongs.includes(what) ? story.delivery.id : [])
    })),
    ...ofEpochs(evidence, stories)
  ]
  const outcomes: Record<string, number> = {}
  for (const { reason, status } of evidence.deliveries) {
    const name = reason === null ? status : `${status}, ${reason}`
    outcomes[name] = (outcomes[name] ?? 0) + 1
  }
  return {
    emitted: evidence.emissions.filter(({ receipts }) => receipts.length > 0).length,
    delivered: pairs.filter(({ isAccepted }) => isAccepted).length,
    lost: lost.length,
    duplicates: judged.reduce((sum, { accepted }) => sum + Math.max(0, accepted - 1), 0),
    duplicatesUnexplained: unexplained.length,
    findings: findings.filter(({ of }) => of.length > 0),
    outcomes
  }
}

export const wants = ({ events }: Subscription, eventId: string): boolean =>
  events.some((event) => event.endsWith(".*") ? eventId.startsWith(event.slice(0, -1)) : event === eventId)

// --- internal ---

/** A delivery, its attempts in their order, and the requests that its receiver saw. */
interface Story {
  readonly delivery: Delivery
  readonly eventId: string
  /** The worker group that owns it. */
  readonly group: string
  readonly attempts: ReadonlyArray<Attempt>
  readonly requests: ReadonlyArray<Request>
}

const storiesOf = ({ attempts, deliveries, messages, requests, subscriptions }: Evidence): ReadonlyArray<Story> => {
  const own = new Set(subscriptions.filter(({ ordered }) => ordered === true).map(({ id }) => id))
  const events = new Map(messages.map(({ eventId, id }) => [id, eventId]))
  const made = Map.groupBy(attempts, ({ deliveryId }) => deliveryId)
  const seen = Map.groupBy(requests, ({ deliveryId }) => deliveryId)
  return deliveries.map((delivery) => ({
    delivery,
    eventId: events.get(delivery.messageId) ?? "",
    group: own.has(delivery.subscriptionId)
      ? `subscription.${delivery.subscriptionId}`
      : groupOf(events.get(delivery.messageId) ?? ""),
    attempts: (made.get(delivery.id) ?? []).toSorted((a, b) => a.number - b.number),
    requests: seen.get(delivery.id) ?? []
  }))
}

/** Receipts for messages that the database does not know. */
const unstored = ({ emissions, messages }: Evidence): ReadonlyArray<string> => {
  const stored = new Set(messages.map(({ id }) => id))
  return emissions.flatMap(({ key, receipts }) => receipts.some((id) => !stored.has(id)) ? `${key}, not stored` : [])
}

/** Each stored message, with or without a receipt, and each subscription that wants it. */
const pairsOf = ({ messages, subscriptions }: Evidence, stories: ReadonlyArray<Story>) => {
  const found = Map.groupBy(stories, ({ delivery }) => `${delivery.messageId} ${delivery.subscriptionId}`)
  return messages.flatMap((message) =>
    subscriptions.filter((subscription) => wants(subscription, message.eventId)).map((subscription) => {
      const all = found.get(`${message.id} ${subscription.id}`) ?? []
      const accepted = all.some(({ requests }) => requests.some(isAccepted))
      const ended = all.some(({ delivery: { reason, status } }) =>
        (status === "failed" || status === "cancelled") && reason !== null
      )
      return {
        name: `${message.id} for ${subscription.receiver}`,
        isAccepted: accepted,
        isLost: !accepted && !ended
      }
    })
  )
}

/** The emitters against the messages. */
const ofEmissions = ({ emissions, messages }: Evidence): ReadonlyArray<Finding> => {
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
const ofRows = (
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
const ofRequests = ({ deliveries, messages, requests, subscriptions }: Evidence): ReadonlyArray<Finding> => {
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

/** Keys of emitters that emit each message when they have the receipt of the one before. */
const oneByOne = /^[a-z]-\d+$/u

/** An ordered subscription gets what one emitter emitted one after the other, each when the one before was accepted. */
const ofOrder = ({ emissions, requests, subscriptions }: Evidence): ReadonlyArray<Finding> => {
  const early: Array<string> = []
  for (const { events, receiver } of subscriptions.filter(({ ordered }) => ordered === true)) {
    const first = new Map<string, number>()
    const accepted = new Map<string, number>()
    for (const [at, request] of requests.filter((request) => request.receiver === receiver).entries()) {
      const { messageId } = request
      if (!first.has(messageId)) first.set(messageId, at)
      if (isAccepted(request) && !accepted.has(messageId)) accepted.set(messageId, at)
    }
    // Of others nobody knows when they were stored.
    const wanted = emissions.filter(({ eventId, key, once }) => !once && oneByOne.test(key) && events.includes(eventId))
    for (const all of Map.groupBy(wanted, ({ key }) => orderOf(key)).values()) {
      let before = { key: "", at: -1 }
      for (const { key, receipts: [id = ""] } of all) {
        const at = first.get(id)
        if (at !== undefined && at < before.at) early.push(`${key} before ${before.key}`)
        const done = accepted.get(id)
        if (done !== undefined && done > before.at) before = { key, at: done }
      }
    }
  }
  return [{ what: "sent before what was emitted earlier", of: early }]
}

/** What of a delivery's requests its rows explain. */
const judge = ({ attempts, delivery, requests }: Story) => {
  const wrongs: Array<string> = []
  const left = new Set(requests)
  let acceptable = 0
  // First those whose answers were recorded: of these it is known which requests they were.
  for (const attempt of attempts.toSorted((a, b) => Number(a.statusCode === null) - Number(b.statusCode === null))) {
    const own = [...left].find((request) =>
      request.sentAtSeconds === Math.floor(attempt.startedAtMs / 1000) &&
      (attempt.statusCode === null || attempt.statusCode === request.status)
    )
    if (own) {
      left.delete(own)
      if (isAccepted(own)) acceptable++
    } else if (attempt.statusCode !== null) wrongs.push("an answer is recorded that its receiver did not give")
  }
  // The rest must be of claims without an outcome, and of those before the attempts that they precede.
  const rest = [...left]
  const unanswered = attempts.reduce((sum, { claims }) => sum + claims - 1, 0) + delivery.claims
  let claims = 0
  let over = Math.max(0, rest.length - unanswered)
  for (const attempt of attempts) {
    claims += attempt.claims - 1
    const before = rest.filter(({ sentAtSeconds }) => sentAtSeconds < Math.floor(attempt.startedAtMs / 1000))
    over = Math.max(over, before.length - claims)
  }
  if (over > 0) wrongs.push("more requests than attempts and claims")
  const accepted = requests.filter(isAccepted).length
  // An attempt's own acceptance is explained by its outcome, which is a success or leaves it open; a claim's by its mark.
  const unexplained = accepted < 2 ? 0 : Math.max(0, accepted - acceptable - Math.max(0, rest.length - over))
  return { accepted, unexplained, wrongs }
}

/** In milliseconds: the runners know the database's clock only so well. */
const clockTolerance = 150

/** A group's epochs follow each other: what was done under one was over when the next one began. */
const ofEpochs = ({ owned }: Evidence, stories: ReadonlyArray<Story>): ReadonlyArray<Finding> => {
  const overlapping: Array<string> = []
  const late: Array<string> = []
  const shared: Array<string> = []
  const seen = Map.groupBy(owned, ({ workerGroup }) => workerGroup)
  for (const [group, ofEvent] of Map.groupBy(stories, (story) => story.group)) {
    const attempts = ofEvent.flatMap(({ attempts }) => attempts)
    const epochs = [...Map.groupBy(attempts, ({ epoch }) => epoch)].toSorted(([a], [b]) => a - b)
    let endMs = Number.NEGATIVE_INFINITY
    for (const [epoch, made] of epochs) {
      const begins = Math.min(...made.map(({ startedAtMs }) => startedAtMs))
      if (begins + clockTolerance < endMs) overlapping.push(`${group} ${epoch}`)
      endMs = Math.max(endMs, ...made.map(({ durationMs, startedAtMs }) => startedAtMs + durationMs))
    }
    const later = (seen.get(group) ?? []).toSorted((a, b) => a.epoch - b.epoch)
    for (const { deliveryId, epoch, number, startedAtMs } of attempts) {
      const superseded = later.find((owned) => owned.epoch > epoch)
      if (superseded && superseded.seenAtMs + clockTolerance < startedAtMs) late.push(`${deliveryId} ${number}`)
    }
    shared.push(...processesOf(group, ofEvent))
  }
  return [
    { what: "an epoch begins before the one before it has ended", of: overlapping },
    { what: "recorded under an epoch that was superseded before it began", of: late },
    { what: "two processes under one epoch", of: shared }
  ]
}

/** The epochs of a group under which more than one process sent what was recorded. */
const processesOf = (group: string, stories: ReadonlyArray<Story>): ReadonlyArray<string> => {
  const processes = new Map<number, Set<string>>()
  for (const { attempts, requests } of stories) {
    for (const { epoch, startedAtMs, statusCode } of attempts) {
      const own = requests.filter(({ sentAtSeconds, status }) =>
        status === statusCode && sentAtSeconds === Math.floor(startedAtMs / 1000)
      )
      const [only] = own
      // Only where there is no doubt which request it was.
      if (only && own.length === 1) processes.set(epoch, (processes.get(epoch) ?? new Set()).add(only.process))
    }
  }
  return [...processes].flatMap(([epoch, names]) => names.size > 1 ? `${group} ${epoch}: ${[...names].join(", ")}` : [])
}

const repeated = (items: ReadonlyArray<string>): ReadonlyArray<string> => {
  const known = new Set<string>()
  return items.filter((item) => known.has(item) || !known.add(item))
}
