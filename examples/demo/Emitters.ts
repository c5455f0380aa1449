/**
 * The emitters: they open incidents through the backend's own service, several at once, and note what they were told.
 */
import { Effect } from "effect"
import { Incidents } from "../status-page/Incidents.ts"

/** How many incidents are opened, and how many of them in transactions that roll back. */
export interface Plan {
  readonly incidents: number
  readonly rolledBack: number
}

/** What became of each incident, by its title. */
export type Told = ReadonlyMap<string, "committed" | "rolled back">

export const titlesOf = (told: Told, outcome: "committed" | "rolled back"): ReadonlyArray<string> =>
  [...told].flatMap(([title, found]) => found === outcome ? title : [])

/** Opens the incidents; `tell` hears how many have ended. */
export const run = Effect.fnUntraced(function*({ incidents, rolledBack }: Plan, tell: (count: number) => void) {
  const { open } = yield* Incidents
  const told = new Map<string, "committed" | "rolled back">()
  const systems = incidents - rolledBack
  const emit = Effect.fnUntraced(function*(n: number) {
    const title = `Incident ${n + 1}`
    // There are fewer systems than incidents, and a system has one at a time: here and there two transactions race for the
    // same one. Both emit; whichever comes second, the database rolls back.
    const systemIds = [`system-${Math.floor(n * systems / incidents)}`]
    const outcome = yield* open({ title, severity: "major", systemIds }).pipe(
      Effect.as("committed" as const),
      Effect.catchTag("SystemHasIncident", () => Effect.succeed("rolled back" as const))
    )
    tell(told.set(title, outcome).size)
  })
  yield* Effect.forEach(Array.from({ length: incidents }, (_, n) => n), emit, { concurrency: 8, discard: true })
  return told
})
