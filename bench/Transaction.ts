/**
 * What an emit inside a caller's transaction asks of the database, counted.
 */
import type { Bench, Entry } from "./Bench.ts"
import { type Counts, start } from "./Turns.ts"

/** Transactions with an emit, and as many without. */
const count = 100

/** Before they are counted: each connection prepares its statements once. */
const warm = 100

/** Statements and round trips that an emit adds to a transaction that has a statement of its own. */
export const transaction = async (bench: Bench, entry: Entry): Promise<Counts> => {
  await using turns = await start(bench.address, "bench-emits")
  return await bench.using(
    entry,
    { routes: [[bench.url("/never")]], options: [`through:${turns.port}`] },
    async (opened) => {
      const counted = async (emits: boolean) => {
        await opened.call.transactions(warm, emits)
        const before = turns.counts()
        await opened.call.transactions(count, emits)
        const after = turns.counts()
        return {
          statements: (after.statements - before.statements) / count,
          roundTrips: (after.roundTrips - before.roundTrips) / count
        }
      }
      const without = await counted(false)
      const emitting = await counted(true)
      return {
        statements: emitting.statements - without.statements,
        roundTrips: emitting.roundTrips - without.roundTrips
      }
    }
  )
}
