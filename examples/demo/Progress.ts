/**
 * Progress, for whoever watches: on a terminal a line that is drawn again and again, with a bar; elsewhere a line now and then.
 */
import { Clock, Console, Effect } from "effect"

/** Tells how a step goes while it runs, and how long it took. */
export const during = (step: string, state: () => string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const startMs = yield* Clock.currentTimeMillis
    const line = Effect.map(
      Clock.currentTimeMillis,
      (nowMs) => `${step.padEnd(12)}${state().padEnd(52)}${((nowMs - startMs) / 1000).toFixed(1).padStart(5)} s`
    )
    return yield* Effect.raceFirst(effect, terminal ? redrawing(line) : saying(line)).pipe(
      Effect.ensuring(Effect.flatMap(line, terminal ? (text) => redraw(`${text}\n`) : Console.log))
    )
  })

/** So many of so many, with a bar on a terminal. */
export const count = (done: number, total: number): string => {
  const filled = Math.floor(Math.min(1, done / total) * width)
  const bar = "█".repeat(filled) + "░".repeat(width - filled)
  return `${terminal ? `${bar}  ` : ""}${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")}`
}

// --- internal ---

const terminal = process.stdout.isTTY
const width = 32

const redraw = (text: string) => Effect.sync(() => process.stdout.write(`\r\u001b[K${text}`))

const redrawing = (line: Effect.Effect<string>) =>
  line.pipe(Effect.flatMap(redraw), Effect.andThen(Effect.sleep("100 millis")), Effect.forever)

const saying = (line: Effect.Effect<string>) =>
  Effect.sleep("10 seconds").pipe(Effect.andThen(line), Effect.flatMap(Console.log), Effect.forever)
