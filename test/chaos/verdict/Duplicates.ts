/**
 * Duplicates: which of a delivery's requests its rows explain.
 *
 * A claim leaves its mark in the rows: an attempt's `claims` counts those since the attempt before it, its own included, so
 * all but one of them ended without an outcome, each with at most one request. What a delivery's receiver saw must be covered
 * by the attempts that were recorded and by such claims: a request, or an acceptance, beyond that has no explanation.
 */
import { isAccepted, type Request } from "../Receivers.ts"
import type { Attempt } from "./Evidence.ts"
import { isOf, type Story } from "./Story.ts"

/** What of a delivery's requests its rows explain. */
export const judge = ({ attempts, delivery, requests }: Story) => {
  const wrongs: Array<string> = []
  const left = new Set(requests)
  let acceptable = 0
  // First those whose answers were recorded: of these it is known which requests they were.
  for (const attempt of attempts.toSorted((a, b) => Number(b.statusCode !== null) - Number(a.statusCode !== null))) {
    const own = [...left].find((request) => isOf(request, attempt))
    if (own) {
      left.delete(own)
      if (isAccepted(own)) acceptable++
    } else if (isAnswered(attempt)) wrongs.push("an answer is recorded that its receiver did not give")
  }
  // The rest must be of claims without an outcome, and of those before the attempts that they precede.
  const rest = [...left]
  const unanswered = attempts.reduce((sum, { claims }) => sum + claims - 1, 0) + delivery.claims
  let claims = 0
  let over = Math.max(0, rest.length - unanswered)
  for (const attempt of attempts) {
    claims += attempt.claims - 1
    const before = rest.filter((request) => isBefore(request, attempt))
    over = Math.max(over, before.length - claims)
  }
  if (over > 0) wrongs.push("more requests than attempts and claims")
  const accepted = requests.filter(isAccepted).length
  // An attempt's own acceptance is explained by its outcome, which is a success or leaves it open; a claim's by its mark.
  const unexplained = accepted < 2 ? 0 : Math.max(0, accepted - acceptable - Math.max(0, rest.length - over))
  return { accepted, unexplained, wrongs }
}

// --- internal ---

/** Whether its receiver's answer is recorded: that of a webhook, or the success of a handler, which its receiver decides. */
const isAnswered = ({ outcome, statusCode }: Attempt): boolean => statusCode !== null || outcome === "success"

const isBefore = ({ attempt, sentAtSeconds }: Request, { number, startedAtMs }: Attempt): boolean =>
  attempt === undefined ? sentAtSeconds < Math.floor(startedAtMs / 1000) : attempt <= number
