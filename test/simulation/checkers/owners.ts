/**
 * Guarantee 3: only the owner of record claims, routes and records; what another runner claimed is claimed again only when
 * that one's lease has run out or was given back, and no attempt begins under a claim that a later owner has taken over.
 */
import type { Entry } from "../History.ts"
import type { Account, Ledger } from "../Ledger.ts"
import type { Checker } from "./index.ts"

export const owners: Checker = function*({ entries }, ledger) {
  for (const [at, entry] of entries.entries()) {
    const act = actOf(entry)
    if (!act) continue
    const epoch = ledger.epochAt(act.group, at)
    if (act.epoch !== epoch) {
      yield `${act.what} under the epoch ${act.epoch} of ${act.group}, where ${epoch} is in force`
    }
  }
  for (const account of ledger.accounts.values()) {
    yield* inherited(account, ledger)
    for (const { at, attempt, claim, runner } of account.attempts) {
      if (!claim) {
        yield `attempt ${attempt} of ${account.id} was begun by ${runner} without a claim`
        continue
      }
      const later = account.claims.find((one) => one.epoch !== claim.epoch && one.at > claim.at && one.at < at)
      if (later) {
        yield `attempt ${attempt} of ${account.id} was begun under epoch ${claim.epoch} after ${later.epoch} had claimed it`
      }
    }
  }
}

// --- internal ---

/** What only the owner of record may have done. */
const actOf = (entry: Entry) => {
  switch (entry._tag) {
    case "Routed":
      return { group: entry.group, epoch: entry.epoch, what: `${entry.messageId} was routed` }
    case "Claimed":
      return { ...entry.claim, what: `${entry.claim.claimed.deliveryId} was claimed` }
    case "Recorded": {
      const { deliveryId, owner } = entry.outcome
      return { group: owner.workerGroup, epoch: owner.epoch, what: `an outcome of ${deliveryId} was recorded` }
    }
    default:
      return undefined
  }
}

function* inherited(account: Account, ledger: Ledger): Generator<string> {
  for (const [n, claim] of account.claims.entries()) {
    const before = account.claims[n - 1]
    if (!before || before.runner === claim.runner || before.epoch === claim.epoch) continue
    const between = (place: { readonly at: number }) => place.at > before.at && place.at < claim.at
    const isOver = account.records.some(between) ||
      account.releases.some((release) => between(release) && release.epoch === before.epoch)
    if (isOver) continue
    const taken = ledger.takeOvers.find((one) => one.group === before.group && one.epoch > before.epoch)
    // It knows of its own earlier epochs: it begins nothing under them either, and what it brings home may be another's.
    if (taken?.runner === before.runner && taken.at < claim.at) continue
    const earlier = ledger.entries.slice(0, taken?.at ?? 0)
    // It begins nothing under an epoch that it gave back, though a statement under way may yet claim; nor under an older one.
    const gaveBack = (entry: Entry) =>
      entry._tag === "GaveBack" && entry.runner === before.runner && entry.group === before.group &&
      entry.epoch >= before.epoch
    if (ledger.entries.slice(0, claim.at).some(gaveBack)) continue
    const lease = earlier.findLast((entry) =>
      (entry._tag === "Renewed" || entry._tag === "LeaseReturned") && entry.runner === before.runner
    )
    const leaseEndMs = lease?._tag === "Renewed" ? lease.leaseEndMs : 0
    if (claim.atMs < leaseEndMs) {
      yield `${account.id} was claimed by ${claim.runner} ${leaseEndMs - claim.atMs} ms before the lease of ` +
        `${before.runner} had run out`
    }
  }
}
