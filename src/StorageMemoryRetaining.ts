/**
 * Retention in memory: the same days, and the same that holds them back, as in a database; each step is synchronous, so
 * nothing comes in between.
 */
import { Clock, Effect } from "effect"
import { outline } from "./Delivery.ts"
import { timeOf } from "./Id.ts"
import { defaults } from "./Limits.ts"
import { emptied } from "./Message.ts"
import { dayMs, dayOf, firstMs, type Terms } from "./Retention.ts"
import type { ExpiredDay, HistoryTable, Holder, Retaining, TableSize } from "./Storage.ts"
import type { Tables } from "./StorageMemoryTables.ts"

/**
 * Makes the verbs of retention.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (tables: Tables): Retaining => {
  const atNow = <A>(verb: (nowMs: number) => A) => Effect.map(Clock.currentTimeMillis, verb)
  return {
    retention: (terms) => atNow((nowMs) => ({ tables: sizes(tables), expired: expired(tables, terms, nowMs) })),
    dropExpired: (terms) =>
      atNow((nowMs) => {
        const days = expired(tables, terms, nowMs).filter(({ heldBy }) => heldBy.length === 0)
        for (const day of days) drop(tables, day)
        return { days: days.map(({ day, of }) => ({ day, of })), waiting: undefined, isBusy: false }
      }),
    emptyBodies: (options) => atNow((nowMs) => emptyBodies(tables, options, nowMs)),
    tenantTerms: Effect.sync(() =>
      [...tables.tenantTerms].map(([tenantId, keptDays]) => ({ tenantId, keptDays }))
        .sort((a, b) => a.tenantId < b.tenantId ? -1 : 1)
    ),
    setTenantTerm: (tenantId, keptDays) =>
      Effect.sync(() => {
        const before = tables.tenantTerms.get(tenantId)
        if (keptDays === undefined) tables.tenantTerms.delete(tenantId)
        else tables.tenantTerms.set(tenantId, keptDays)
        return before
      })
  }
}

// --- internal ---

const day = (id: string) => dayOf(timeOf(id))

/** The ids that a table of history has rows of. */
const idsOf = (tables: Tables): Readonly<Record<HistoryTable, ReadonlyArray<string>>> => ({
  messages: [...tables.messages.keys()],
  routings: [...tables.messages.values()].flatMap(({ message: { id }, state }) => state._tag === "Routed" ? [id] : []),
  deliveries: [...tables.finished.keys()],
  attempts: [...tables.attempts].flatMap(([id, attempts]) => attempts.map(() => id))
})

const order: ReadonlyArray<HistoryTable> = ["messages", "routings", "deliveries", "attempts"]

const sizes = (tables: Tables): ReadonlyArray<TableSize> => {
  const ids = idsOf(tables)
  const bytes = [...tables.messages.values()].reduce((sum, { size }) => sum + size, 0)
  return order.map((table) => {
    const days = [...new Set(ids[table].map(day))].sort()
    return {
      table,
      partitions: days.length,
      oldestDay: days[0],
      bytes: table === "messages" ? bytes : 0,
      rows: ids[table].length
    }
  })
}

const expired = (
  tables: Tables,
  { attemptsKeptMs, historyKeptMs }: Terms,
  nowMs: number
): ReadonlyArray<ExpiredDay> => {
  const [ofHistory, ofAttempts] = [firstMs(nowMs, historyKeptMs), firstMs(nowMs, attemptsKeptMs)]
  if (ofAttempts <= 0) return []
  const daysOf = (ids: Iterable<string>, fromMs: number, beforeMs: number) =>
    [...ids].flatMap((id) => timeOf(id) >= fromMs && timeOf(id) < beforeMs ? [day(id)] : [])
  const whole = new Set(
    [tables.messages, tables.finished, tables.attempts].flatMap((table) => daysOf(table.keys(), 0, ofHistory))
  )
  const bare = new Set(
    daysOf(tables.attempts.keys(), ofHistory, ofAttempts).filter((one) => !tables.emptied.has(one))
  )
  return [
    ...[...whole].map((one) => ({ day: one, of: "history" as const })),
    ...[...bare].map((one) => ({ day: one, of: "attempts" as const }))
  ].map((one) => ({ ...one, heldBy: holders(tables, one), isDropping: false })).sort((a, b) => a.day < b.day ? -1 : 1)
}

const holders = (tables: Tables, one: Pick<ExpiredDay, "day" | "of">): ExpiredDay["heldBy"] => {
  const isWhole = one.of === "history"
  const unfinished = [...tables.work.values()].filter(({ id, message: { message } }) =>
    day(id) === one.day || (isWhole && day(message.id) === one.day)
  )
  // Their deliveries are made on it.
  const messages = [...tables.messages.values()].filter(({ message }) => day(message.id) === one.day)
  const broadcast = isWhole
    ? [...tables.listened.values()].flatMap((group) => group.messages)
      .filter(({ stored }) => day(stored.message.id) === one.day)
    : []
  const counts: ReadonlyArray<readonly [Holder, number]> = [
    ["unfinished", unfinished.length],
    ["unrouted", messages.filter(({ state }) => state._tag === "Unrouted").length],
    ["set-aside", messages.filter(({ state }) => state._tag === "SetAside").length],
    ["broadcast", broadcast.length]
  ]
  return counts.flatMap(([holder, count]) =>
    count === 0 ? [] : [{ holder, count: Math.min(count, defaults.retentionCounted) }]
  )
}

const drop = (tables: Tables, one: Pick<ExpiredDay, "day" | "of">): void => {
  for (const id of tables.attempts.keys()) if (day(id) === one.day) tables.attempts.delete(id)
  if (one.of === "attempts") {
    tables.emptied.add(one.day)
    return
  }
  tables.emptied.delete(one.day)
  for (const id of tables.messages.keys()) if (day(id) === one.day) tables.messages.delete(id)
  for (const id of tables.finished.keys()) if (day(id) === one.day) tables.finished.delete(id)
}

const emptyBodies = (
  tables: Tables,
  { rows, settledMs }: Parameters<Retaining["emptyBodies"]>[0],
  nowMs: number
) => {
  if (tables.tenantTerms.size === 0) return { emptied: 0, more: false }
  const needed = new Set([...tables.work.values()].map(({ message: { message } }) => message.id))
  const left = new Map([...tables.tenantTerms.keys()].map((tenantId) => [tenantId, rows]))
  let count = 0
  for (const stored of tables.messages.values()) {
    const { message, state } = stored
    const keptDays = tables.tenantTerms.get(message.tenantId)
    const free = left.get(message.tenantId) ?? 0
    if (keptDays === undefined || message.payloadJson === emptied || free === 0 || needed.has(message.id)) continue
    if (timeOf(message.id) >= firstMs(nowMs, keptDays * dayMs)) continue
    if (state._tag !== "Routed" || state.atMs > nowMs - settledMs) continue
    stored.message = { ...message, payloadJson: emptied }
    stored.transformedJson = undefined
    left.set(message.tenantId, free - 1)
    count++
    for (const { work } of tables.finished.values()) {
      if (work.message !== stored) continue
      const bare = tables.attempts.get(work.id)?.map(outline)
      if (bare) tables.attempts.set(work.id, bare)
    }
  }
  return { emptied: count, more: [...left.values()].includes(0) }
}
