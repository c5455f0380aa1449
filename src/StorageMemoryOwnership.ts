/**
 * Ownership in memory: leases of runners, owners of worker groups, and the claims that a predecessor left.
 */
import { Clock, Effect } from "effect"
import type { Dispatching, Owner } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

type Verbs = "renewLease" | "returnLease" | "takeOver" | "giveBack" | "recover"

/**
 * Makes the verbs of ownership.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Pick<Dispatching, Verbs> => ({
  renewLease: (runnerId, leaseMs) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      tables.leases.set(runnerId, nowMs + leaseMs)
      const owners = [...tables.ownedBy(runnerId)].map(({ epoch, partition, workerGroup }): Owner => ({
        workerGroup,
        partition,
        epoch
      }))
      return { owners, version: tables.version }
    }),
  returnLease: (runnerId) =>
    Effect.sync(() => {
      tables.leases.delete(runnerId)
      tables.announced.delete(runnerId)
    }),
  takeOver: (runnerId, group) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      const owned = tables.owned(group)
      const before = owned.runnerId
      const leaseMs = before === undefined || before === runnerId ? 0 : tables.leases.get(before) ?? 0
      owned.epoch = ++tables.epoch
      owned.claimableAtMs = Math.max(nowMs, owned.claimableAtMs, leaseMs)
      tables.own(owned, runnerId)
      if (before !== undefined) owned.doubtfulSeq = tables.lastSeq
      const { claimableAtMs, doubtfulSeq, epoch, partition, workerGroup } = owned
      return { owner: { workerGroup, partition, epoch }, claimableAtMs, doubtfulSeq }
    }),
  // A lease of an earlier owner that has yet to run out goes on guarding that one's claims.
  giveBack: (owners) =>
    Effect.sync(() => {
      for (const owner of tables.fenced(owners)) tables.own(tables.owned(owner), undefined)
    }),
  recover: (owners, crashedClaims) =>
    Effect.map(Clock.currentTimeMillis, (nowMs) => {
      let waitMs = 0
      for (const owner of tables.fenced(owners)) {
        const leftMs = tables.owned(owner).claimableAtMs - nowMs
        waitMs = Math.max(waitMs, leftMs)
        if (leftMs > 0) continue
        for (const lane of tables.lanesIn(owner.workerGroup)) {
          const left = [...lane.claimed].filter((work) => work.epoch !== undefined && work.epoch < owner.epoch)
          const [again, crashed] = [
            left.filter((work) => work.claims < crashedClaims),
            left.filter((work) => work.claims >= crashedClaims)
          ]
          tables.spend(lane.subscriptionId, left.length, nowMs)
          for (const work of again) tables.settle(lane, work)
          tables.finish(lane, crashed, (work) => ({
            status: "failed",
            reason: "crashed-owner",
            externalId: undefined,
            lastError: `Its runner stopped ${work.claims} times while it was delivering.`,
            completedAtMs: nowMs
          }))
        }
      }
      return waitMs
    })
})
