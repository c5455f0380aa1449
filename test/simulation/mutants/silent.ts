/**
 * What is told with an outcome is not stored with it.
 */
import { type Mutant, none } from "../Mutant.ts"

export const silent: Mutant = {
  ...none,
  name: "tells of nothing that it records",
  breaks: "told",
  storage: (storage) => ({
    ...storage,
    record: (outcomes) => storage.record(outcomes.map((outcome) => ({ ...outcome, telling: [] })))
  })
}
