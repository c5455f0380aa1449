/**
 * What commands print: tables and lists for people, coloured on a terminal only, and JSON for scripts. Texts from outside
 * can't steer the terminal.
 */
import { Console, Effect } from "effect"
import { CliOutput, TerminalCapabilities } from "effect/cli"

/** @category models @since 0.1.0 */
export type Tone = "good" | "bad" | "warn" | "dim" | "strong"

/**
 * A text with a tone, or a bare one.
 *
 * @category models
 * @since 0.1.0
 */
export type Cell = string | { readonly text: string; readonly tone: Tone | undefined }

/**
 * One JSON document.
 *
 * @category printing
 * @since 0.1.0
 */
export const json = (value: unknown): Effect.Effect<void> => Console.log(encode(value, 2))

/**
 * One line of JSON.
 *
 * @category printing
 * @since 0.1.0
 */
export const jsonLine = (value: unknown): Effect.Effect<void> => Console.log(encode(value))

/**
 * A text with its own line breaks.
 *
 * @category printing
 * @since 0.1.0
 */
export const text = (value: string): Effect.Effect<void> => Console.log(value.split("\n").map(plain).join("\n"))

/**
 * A table with a heading; `empty` is said on stderr where there are no rows.
 *
 * @category printing
 * @since 0.1.0
 */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>,
  empty: string
): Effect.Effect<void> =>
  rows.length === 0
    ? Console.error(empty)
    : columns([head.map((text) => ({ text, tone: "dim" as const })), ...rows])

/**
 * Names and values, one a line; what has no value is left out.
 *
 * @category printing
 * @since 0.1.0
 */
export const fields = (pairs: ReadonlyArray<readonly [name: string, value: Cell | undefined]>): Effect.Effect<void> =>
  columns(
    pairs.flatMap(([text, value]) =>
      value === undefined || value === "" ? [] : [[{ text, tone: "dim" as const }, value]]
    )
  )

/**
 * One line of cells.
 *
 * @category printing
 * @since 0.1.0
 */
export const line = (cells: ReadonlyArray<Cell>): Effect.Effect<void> => columns([cells])

/**
 * Rows of cells, aligned.
 *
 * @category printing
 * @since 0.1.0
 */
export const columns = Effect.fnUntraced(function*(rows: ReadonlyArray<ReadonlyArray<Cell>>) {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const cells = rows.map((row) =>
    row.map((cell) =>
      typeof cell === "string" ? { text: plain(cell), tone: undefined } : { ...cell, text: plain(cell.text) }
    )
  )
  const widths: Array<number> = []
  for (const row of cells) {
    for (const [i, { text }] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, CliOutput.displayWidth(text))
  }
  for (const row of cells) {
    yield* Console.log(
      row.map(({ text, tone }, i) => {
        const space = i === row.length - 1 ? "" : " ".repeat((widths[i] ?? 0) - CliOutput.displayWidth(text) + 2)
        return (canColor && tone !== undefined ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text) + space
      }).join("").trimEnd()
    )
  }
})

/**
 * The tone of a delivery's status or an attempt's outcome.
 *
 * @category conversions
 * @since 0.1.0
 */
export const status = (text: string): Cell => ({
  text,
  tone: text === "success"
    ? "good"
    : text === "retrying" || text === "retryable" || text === "interrupted"
    ? "warn"
    : text === "pending" || text === "cancelled"
    ? undefined
    : "bad"
})

/**
 * A text without what a terminal would obey: its control characters are shown as escapes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const plain = (text: string): string => text.replace(steering, escaped)

// --- internal ---

const codes: Readonly<Record<Tone, number>> = { good: 32, bad: 31, warn: 33, dim: 2, strong: 1 }

/** Control characters, line separators and what turns the direction of writing. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu

const escaped = (character: string): string => {
  const short = JSON.stringify(character).slice(1, -1)
  return short === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : short
}

/** JSON escapes some of them itself; the line breaks that are left are its own. */
const encode = (value: unknown, space?: number): string =>
  JSON.stringify(value, null, space).replace(
    steering,
    (character) => character === "\n" ? character : escaped(character)
  )
