/**
 * Guarantee 1: an emit that succeeded is stored, once; one that was refused or rolled back is not; one whose outcome is
 * unknown is stored at most once, however often it was repeated with its key.
 */
import { numberOf } from "../Receivers.ts"
import type { Checker } from "./index.ts"

export const durable: Checker = function*({ entries, messages }) {
  const stored = Map.groupBy(messages, (message) => numberOf(message.payloadJson))
  const emits = Map.groupBy(entries.filter((entry) => entry._tag === "Emitting"), (entry) => entry.n)
  const told = Map.groupBy(entries.filter((entry) => entry._tag === "Emitted"), (entry) => entry.n)
  for (const [n, tries] of emits) {
    const rows = stored.get(n) ?? []
    const answers = told.get(n) ?? []
    const succeeded = answers.filter((answer) => answer.told === "stored")
    const rollsBack = tries.some((one) => one.rollsBack)
    const isRefused = answers.length === tries.length &&
      answers.every((answer) => answer.told === "refused" || answer.told === "rolled back")
    if (rows.length > 1) yield `message ${n} is stored ${rows.length} times`
    if (rollsBack && rows.length > 0) yield `message ${n} is stored although its transaction rolled back`
    if (isRefused && rows.length > 0) yield `message ${n} is stored although its emit failed`
    for (const { messageId } of succeeded) {
      if (!rows.some((row) => row.id === messageId)) yield `message ${n} is not stored although its emit succeeded`
    }
  }
}
