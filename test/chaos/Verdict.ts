/**
 * The verdict, pure: what the emitters were told, what the rows say, what the receivers saw and what the processes heard must
 * tell the same story. Whatever they disagree on is a finding.
 *
 * What is judged where: `Rows` that nothing is missing or there twice; `Duplicates` that each request is explained; `Order`;
 * `Epochs` that a group, a dispatcher partition's too, has one owner at a time; `Limits`; `Circuits`; `Broadcasts`.
 */
import { isAccepted } from "./Receivers.ts"
import { ofBroadcasts } from "./verdict/Broadcasts.ts"
import { ofCircuits } from "./verdict/Circuits.ts"
import { judge } from "./verdict/Duplicates.ts"
import { ofEpochs } from "./verdict/Epochs.ts"
import { type Evidence, type Finding, wants } from "./verdict/Evidence.ts"
import { ofLimits, usedOf } from "./verdict/Limits.ts"
import { ofOrder } from "./verdict/Order.ts"
import { ofEmissions, ofRequests, ofRows } from "./verdict/Rows.ts"
import { resolved, storiesOf, type Story } from "./verdict/Story.ts"

export interface Verdict {
  readonly emitted: number
  readonly delivered: number
  readonly lost: number
  readonly duplicates: number
  readonly duplicatesUnexplained: number
  readonly findings: ReadonlyArray<Finding>
  /** Final outcomes by status and reason, for whoever reads the run. */
  readonly outcomes: Readonly<Record<string, number>>
  /** How far limits were used, for whoever reads the run. */
  readonly limits: ReadonlyArray<string>
}

/** What is told of a run. */
export const make = (given: Evidence): Verdict => {
  const evidence = { ...given, requests: resolved(given) }
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
    ...ofEpochs(evidence, stories),
    ...ofLimits(evidence, stories),
    ...ofCircuits(evidence, stories),
    ...ofBroadcasts(evidence)
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
    outcomes,
    limits: usedOf(evidence, stories)
  }
}

// --- internal ---

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
