/**
 * The endpoints of retention.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import * as Audit from "../Audit.ts"
import { Limits } from "../Limits.ts"
import { allTenants } from "../Message.ts"
import { termsOf } from "../Retention.ts"
import * as Storable from "../Storable.ts"
import { Storage } from "../Storage.ts"
import { notFound, stored } from "./Answers.ts"
import { Api } from "./Api.ts"
import { Conflict } from "./Problem.ts"

/**
 * Layer of the handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpApiBuilder.group(
  Api,
  "retention",
  Effect.fnUntraced(function*(handlers) {
    const storage = yield* Storage
    const limits = yield* Limits
    const audit = Audit.writer(storage)
    const terms = termsOf(limits)
    const { retentionApplyMs } = limits

    /** Changes a tenant's term, with an entry in the audit log; tells what it was. */
    const change = (tenantId: string, keptDays: number | undefined) =>
      storage.atomically(Effect.gen(function*() {
        const before = yield* storage.setTenantTerm(tenantId, keptDays)
        if (before !== keptDays) {
          yield* audit({
            action: keptDays === undefined ? "retention.unset-tenant" : "retention.set-tenant",
            resourceId: tenantId,
            tenantId,
            before: before === undefined ? undefined : { keptDays: before },
            after: keptDays === undefined ? undefined : { keptDays }
          })
        }
        return before
      })).pipe(stored)

    /** Empties bodies until none is left, or the time is over; as housekeeping does, which goes on with them. */
    const emptied = Effect.gen(function*() {
      const endMs = (yield* Clock.currentTimeMillis) + retentionApplyMs
      let bodiesEmptied = 0
      while (true) {
        const found = yield* storage.emptyBodies({ rows: limits.retentionBodies, settledMs: limits.broadcastKeptMs })
        bodiesEmptied += found.emptied
        if (!found.more || (yield* Clock.currentTimeMillis) >= endMs) return { bodiesEmptied, more: found.more }
      }
    })

    return handlers
      .handle("get", () =>
        Effect.gen(function*() {
          const { expired, tables } = yield* stored(storage.retention(terms))
          const tenants = yield* stored(storage.tenantTerms)
          return {
            ...terms,
            tables: tables.map(({ oldestDay, ...size }) => ({
              ...size,
              rows: Math.round(size.rows),
              ...(oldestDay === undefined ? {} : { oldestDay })
            })),
            expired,
            tenants
          }
        }))
      .handle("apply", () =>
        Effect.gen(function*() {
          const { days, isBusy, waiting } = yield* stored(storage.dropExpired(terms))
          if (isBusy) {
            return yield* new Conflict({
              detail: "Another runner is dropping history, or the database is being migrated: try again later."
            })
          }
          const applied = {
            dropped: days,
            ...(waiting === undefined ? {} : { waitingDay: waiting }),
            ...(yield* stored(emptied))
          }
          // It can't be one transaction with what it tells of: a partition is dropped in several.
          yield* stored(audit({
            action: "retention.apply",
            resourceId: "retention",
            tenantId: allTenants,
            before: undefined,
            after: { dropped: days.map(({ day, of }) => ({ day, of })), bodiesEmptied: applied.bodiesEmptied }
          }))
          return applied
        }))
      .handle("tenants", () => Effect.map(stored(storage.tenantTerms), (items) => ({ items, nextCursor: null })))
      .handle("setTenant", ({ params: { tenantId }, payload: { keptDays } }) =>
        Effect.gen(function*() {
          // Of another form it is nobody's name.
          if (tenantId === allTenants || Storable.refusal(tenantId, { length: limits.keyLength }) !== undefined) {
            return yield* notFound("tenant", tenantId)
          }
          yield* change(tenantId, keptDays)
          return { tenantId, keptDays }
        }))
      .handle("unsetTenant", ({ params: { tenantId } }) =>
        Effect.gen(function*() {
          const before = Storable.isStorable(tenantId) ? yield* change(tenantId, undefined) : undefined
          if (before === undefined) return yield* notFound("term of a tenant", tenantId)
        }))
  })
)
