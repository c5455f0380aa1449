/**
 * A lease is extended too late: a runner counts its own for longer than the database does.
 */
import { type Mutant, none } from "../Mutant.ts"

export const overstayed: Mutant = {
  ...none,
  name: "extends a lease too late",
  breaks: "leases",
  limits: (limits) => ({ ...limits, leaseMs: 2 * limits.leaseMs }),
  wire: (storage, { leaseMs }) => ({ ...storage, renewLease: (runnerId) => storage.renewLease(runnerId, leaseMs) })
}
