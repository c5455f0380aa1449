/**
 * The verdict, pure: three witnesses that know nothing of each other, the emitters, the delivery log and the receivers, must
 * tell the same story. Whatever they disagree on is a finding.
 */
import type { LoggedDelivery, LoggedMessage } from "./DeliveryLog.ts"
import { type Plan, titlesOf, type Told } from "./Emitters.ts"
import type { Seen } from "./Receiver.ts"

/** What is known of a receiver, by itself and by the log. */
export interface Witness {
  readonly name: string
  /** How each of its deliveries has to end. */
  readonly expected: "success" | "failed"
  readonly seen: ReadonlyArray<Seen>
  readonly deliveries: ReadonlyArray<LoggedDelivery>
}

export interface Evidence {
  readonly plan: Plan
  readonly told: Told
  readonly messages: ReadonlyArray<LoggedMessage>
  readonly witnesses: ReadonlyArray<Witness>
}

/** Something that must not be, and the messages or incidents of which it is true. */
export interface Finding {
  readonly what: string
  readonly of: ReadonlyArray<string>
}

/** What is wrong; nothing, if all is well. */
export const findings = (evidence: Evidence): ReadonlyArray<Finding> =>
  [...ofMessages(evidence), ...evidence.witnesses.flatMap((witness) => ofWitness(evidence, witness))]
    .filter(({ of }) => of.length > 0)

// --- internal ---

/** The emitters against the plan and the log. */
const ofMessages = ({ messages, plan, told }: Evidence): ReadonlyArray<Finding> => {
  const titles = messages.map(({ title }) => title)
  const stored = new Set(titles)
  const rolledBack = titlesOf(told, "rolled back")
  const asPlanned = told.size === plan.incidents && rolledBack.length === plan.rolledBack
  const came = `${told.size} incidents, ${rolledBack.length} rolled back`
  return [
    { what: "not what was planned", of: asPlanned ? [] : [came] },
    { what: "lost: committed, but not stored", of: titlesOf(told, "committed").filter((title) => !stored.has(title)) },
    { what: "doubled: emitted once, stored again", of: repeated(titles) },
    { what: "rolled back, but stored", of: rolledBack.filter((title) => stored.has(title)) },
    { what: "stored, but never emitted", of: titles.filter((title) => !told.has(title)) }
  ]
}

/** The log against a receiver, and the receiver against the emitters. */
const ofWitness = ({ messages, told }: Evidence, witness: Witness): ReadonlyArray<Finding> => {
  const { deliveries, expected, name, seen } = witness
  const titles = new Map(messages.map(({ id, title }) => [id, title]))
  const logged = new Map(deliveries.map((delivery) => [delivery.messageId, delivery]))
  const accepted = new Set(seen.filter((request) => request.accepted).map(({ messageId }) => messageId))
  const requests = Map.groupBy(seen, ({ messageId }) => messageId)
  const ids = [...new Set([...logged.keys(), ...requests.keys()])]
  const attempts = (id: string) => logged.get(id)?.outcomes.length ?? 0
  const findings = [
    { what: "lost: stored, but no delivery", of: messages.map(({ id }) => id).filter((id) => !logged.has(id)) },
    { what: "a delivery of what was not stored", of: [...logged.keys()].filter((id) => !titles.has(id)) },
    { what: "doubled: two deliveries of a message", of: repeated(deliveries.map(({ messageId }) => messageId)) },
    {
      what: `lost: the delivery did not end as ${expected}`,
      of: deliveries.filter(({ status }) => status !== expected).map(({ messageId }) => messageId)
    },
    {
      what: "lost: the log says accepted, the receiver does not",
      of: ids.filter((id) => logged.get(id)?.status === "success" && !accepted.has(id))
    },
    {
      what: "the receiver accepted it, the log does not say so",
      of: ids.filter((id) => accepted.has(id) && logged.get(id)?.status !== "success")
    },
    { what: "doubled: seen again after it was accepted", of: seenAgain(seen) },
    {
      what: "seen more often than the log has attempts",
      of: ids.filter((id) => (requests.get(id)?.length ?? 0) > attempts(id))
    },
    {
      what: "unsigned, or with a signature that does not verify",
      of: seen.filter(({ verified }) => !verified).map(({ messageId }) => messageId)
    },
    {
      what: "rolled back, but received",
      of: seen.flatMap(({ title = "" }) => told.get(title) === "rolled back" ? title : [])
    },
    {
      what: "received, but not what was stored",
      of: seen.filter(({ messageId, title }) => title === undefined || title !== titles.get(messageId))
        .map(({ messageId }) => messageId)
    },
    {
      what: "succeeded, but not by its last attempt alone",
      of: deliveries.filter(({ outcomes, status }) =>
        status === "success" && (outcomes.length === 0 || outcomes.indexOf("success") !== outcomes.length - 1)
      ).map(({ messageId }) => messageId)
    },
    {
      what: "failed, but not by timeouts alone",
      of: deliveries.filter(({ outcomes, status }) =>
        status === "failed" && (outcomes.length === 0 || outcomes.some((outcome) => outcome !== "timeout"))
      ).map(({ messageId }) => messageId)
    }
  ]
  return findings.map(({ of, what }) => ({ what: `${name}: ${what}`, of: [...new Set(of)] }))
}

const repeated = (items: ReadonlyArray<string>): ReadonlyArray<string> =>
  items.filter((item, i) => items.indexOf(item) !== i)

/** In the order in which they came. */
const seenAgain = (seen: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const accepted = new Set<string>()
  return seen.flatMap((request) => {
    const again = accepted.has(request.messageId)
    if (request.accepted) accepted.add(request.messageId)
    return again ? request.messageId : []
  })
}
