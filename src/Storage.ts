/**
 * The one persistence seam: what the rest of Hookline asks of a database, verbs in the order of a message's life. Two
 * backends keep to it, `StorageMemory` and `storage/` for PostgreSQL, and one conformance suite in `testing/` runs against
 * both. An internal seam: not covered by semantic versioning.
 *
 * Every verb of an owner names the owner's epoch and does nothing for an epoch that has been superseded.
 */
import { Context } from "effect"
import type { Administration } from "./seam/Administration.ts"
import type { Appending } from "./seam/Appending.ts"
import type { Auditing } from "./seam/Auditing.ts"
import type { Broadcasting } from "./seam/Broadcasting.ts"
import type { Connecting } from "./seam/Connecting.ts"
import type { Counting } from "./seam/Counting.ts"
import type { Dispatching } from "./seam/Dispatching.ts"
import type { Keeping } from "./seam/Keeping.ts"
import type { Measuring } from "./seam/Measuring.ts"
import type { Membership } from "./seam/Membership.ts"
import type { Replaying } from "./seam/Replaying.ts"
import type { Retaining } from "./seam/Retaining.ts"
import type { Walking } from "./seam/Walking.ts"

export type * from "./seam/Administration.ts"
export type * from "./seam/Appending.ts"
export type * from "./seam/Auditing.ts"
export type * from "./seam/Broadcasting.ts"
export type * from "./seam/Connecting.ts"
export type * from "./seam/Counting.ts"
export type * from "./seam/Dispatching.ts"
export type * from "./seam/Keeping.ts"
export type * from "./seam/Measuring.ts"
export type * from "./seam/Membership.ts"
export type * from "./seam/Replaying.ts"
export type * from "./seam/Retaining.ts"
export type * from "./seam/Walking.ts"
export { OutcomeUnknown, RowRefused, StorageUnavailable } from "./StorageError.ts"

/**
 * The seam.
 *
 * @category services
 * @since 0.1.0
 */
export class Storage extends Context.Service<
  Storage,
  & Appending
  & Dispatching
  & Administration
  & Keeping
  & Connecting
  & Auditing
  & Counting
  & Walking
  & Measuring
  & Membership
  & Broadcasting
  & Replaying
  & Retaining
>()(
  "hookline/Storage"
) {}
