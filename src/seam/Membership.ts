/**
 * What runners tell each other through the storage. A part of `Storage`.
 */
import type { Effect } from "effect"
import type { RunnerId } from "../Id.ts"
import type { Announcement, Member, Ownership } from "../Member.ts"
import type { StorageUnavailable } from "../StorageError.ts"
import type { Page } from "./Administration.ts"

/**
 * Who is there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Membership {
  /** Stores what a runner says of itself; nothing where its lease was returned. */
  readonly announce: (runnerId: RunnerId, announcement: Announcement) => Effect.Effect<void, StorageUnavailable>
  /** The runners of the last day that did not return their lease, in the order of their ids. */
  readonly members: Effect.Effect<ReadonlyArray<Member>, StorageUnavailable>
  /** The worker groups and their owners, in the order of their names; `cursor` is the last group of the page before. */
  readonly owners: (
    filter: { readonly runnerId?: RunnerId },
    page: Page
  ) => Effect.Effect<ReadonlyArray<Ownership>, StorageUnavailable>
  /** When the oldest message was emitted that waits to be routed; none where none waits. */
  readonly oldestUnroutedMs: Effect.Effect<number | undefined, StorageUnavailable>
  /** The providers that enabled subscriptions need, and how many do, in the order of their ids. */
  readonly neededProviders: Effect.Effect<
    ReadonlyArray<{ readonly providerId: string; readonly subscriptions: number }>,
    StorageUnavailable
  >
}
