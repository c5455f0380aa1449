/**
 * A worker group that a runner owns, as tests of the engine's parts have it.
 */
import type * as State from "../../src/dispatcher/State.ts"
import type { SubscriptionId } from "../../src/Id.ts"

export const groupOf = (
  workerGroup: string,
  { fed = [], readSeq = 0 }: { readonly fed?: ReadonlyArray<SubscriptionId>; readonly readSeq?: number } = {}
): State.Group => ({
  workerGroup,
  owner: { workerGroup, partition: 0, epoch: 1 },
  subscriptionId: undefined,
  isOurs: true,
  filledAtMs: undefined,
  phase: "open",
  fed: new Set(fed),
  doubtfulSeq: 0,
  readSeq,
  claimableAtMs: 0,
  heldBackAtMs: undefined,
  held: 0,
  ahead: 0,
  takenAtMs: 0,
  activeAtMs: 0
})
