/**
 * Delays as people write them: a number with its unit.
 */
import { Effect } from "effect"
import { parts } from "./Parts.ts"
import { CommandFailed } from "./Remote.ts"

/**
 * The milliseconds of a text such as `500ms`, `30s`, `5m`, `2h` or `1d`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const milliseconds = (text: string): Effect.Effect<number, CommandFailed> => {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/u.exec(text.trim()) ?? []
  const unitMs = units.get(unit)
  return unitMs === undefined
    ? Effect.fail(
      new CommandFailed({
        message: `"${text}" is no delay: expected a number with its unit, as in 500ms, 30s, 5m, 2h or 1d.`
      })
    )
    : Effect.succeed(Math.round(Number(number) * unitMs))
}

/**
 * The milliseconds of delays with commas between, as in `1s,30s,5m`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const list = (text: string): Effect.Effect<ReadonlyArray<number>, CommandFailed> =>
  Effect.forEach(parts(text), milliseconds)

/**
 * Milliseconds as a text, in the largest unit that leaves no rest but a tenth.
 *
 * @category conversions
 * @since 0.1.0
 */
export const text = (delayMs: number): string => {
  const [unit, unitMs] = [...units].findLast(([, unitMs]) => delayMs >= unitMs) ?? ["ms", 1]
  return `${Math.round((delayMs / unitMs) * 10) / 10}${unit}`
}

// --- internal ---

const units = new Map([["ms", 1], ["s", 1000], ["m", 60_000], ["h", 3_600_000], ["d", 86_400_000]])
