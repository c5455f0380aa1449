/**
 * Writing the audit log: each entry in the transaction of the change that it tells of.
 */
import { Effect } from "effect"
import { CurrentActor } from "./Access.ts"
import type { Change } from "./AuditEntry.ts"
import * as Id from "./Id.ts"
import type { Storage } from "./Storage.ts"
import type { StorageUnavailable } from "./StorageError.ts"

/**
 * Makes what adds an entry: who changed something, now. To be used inside `storage.atomically`, beside the change.
 *
 * @category constructors
 * @since 0.1.0
 */
export const writer = (storage: Storage["Service"]) => (change: Change): Effect.Effect<void, StorageUnavailable> =>
  Effect.gen(function*() {
    const actor = yield* CurrentActor
    const id = yield* Id.auditId(yield* storage.now)
    yield* storage.audit({ ...change, id, actor })
  })
