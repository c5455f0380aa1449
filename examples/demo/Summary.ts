/**
 * The summary: what was counted, as a table with a column for each receiver, and the verdict in words.
 */
import { Id } from "hookline"
import { styleText } from "node:util"
import { titlesOf } from "./Emitters.ts"
import type { Evidence, Finding, Witness } from "./Verdict.ts"

const statuses = ["success", "failed", "cancelled", "retrying", "pending"] as const

/** The table. */
export const table = ({ messages, told, witnesses }: Evidence): string => {
  const counted = (name: string, count: (witness: Witness) => number) =>
    row(name, witnesses.map((witness) => number(count(witness))))
  const met = statuses.filter((status) => witnesses.some((witness) => withStatus(witness, status) > 0))
  const rolledBack = titlesOf(told, "rolled back")
  const among = (items: ReadonlyArray<{ readonly title: string | undefined }>) =>
    number(rolledBack.filter((title) => items.some((item) => item.title === title)).length)
  return [
    styleText("bold", row("", witnesses.map(({ name }) => name))),
    counted("messages", () => messages.length),
    ...met.map((status) => counted(`deliveries, ${status}`, (witness) => withStatus(witness, status))),
    counted("attempts", ({ deliveries }) => sum(deliveries.map(({ outcomes }) => outcomes.length))),
    counted("  retries", ({ deliveries }) => sum(deliveries.map(({ outcomes }) => Math.max(0, outcomes.length - 1)))),
    counted("  timed out", ({ deliveries }) => deliveries.flatMap(({ outcomes }) => outcomes).filter(isTimeout).length),
    counted("verified by standardwebhooks", ({ seen }) => seen.filter(({ verified }) => verified).length),
    row("emit to accepted, p50", witnesses.map((witness) => latency(witness, 0.5))),
    row("emit to accepted, p99", witnesses.map((witness) => latency(witness, 0.99))),
    "",
    `Of the ${rolledBack.length} incidents whose transactions rolled back, ${among(messages)} were stored and ` +
    `${among(witnesses.flatMap(({ seen }) => seen))} received.`
  ].join("\n")
}

/** The verdict. */
export const verdict = (findings: ReadonlyArray<Finding>): string =>
  findings.length === 0
    ? styleText("green", "✓ Nothing was lost, doubled or unsigned: emitters, delivery log and receivers agree.")
    : [
      styleText("red", "✗ Emitters, delivery log and receivers do not agree:"),
      ...findings.map(({ of, what }) => `  ${what}: ${of.length}, as ${of[0]}`)
    ].join("\n")

// --- internal ---

const row = (name: string, cells: ReadonlyArray<string>): string =>
  name.padEnd(30) + cells.map((cell) => cell.padStart(13)).join("")

const number = (n: number): string => n.toLocaleString("en-US")

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, n) => total + n, 0)

const withStatus = ({ deliveries }: Witness, status: string) => deliveries.filter((it) => it.status === status).length

const isTimeout = (outcome: string) => outcome === "timeout"

/** From the emit, which a message's id tells, to the arrival of the request that was accepted. */
const latency = ({ seen }: Witness, share: number): string => {
  const sorted = seen.flatMap(({ accepted, atMs, messageId }) => accepted ? atMs - Id.timeOf(messageId) : [])
    .sort((a, b) => a - b)
  const found = sorted[Math.ceil(sorted.length * share) - 1]
  return found === undefined ? "–" : `${number(found)} ms`
}
