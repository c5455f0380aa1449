/**
 * No loop of the engine fails for another reason than a database that is away: those are warnings, this would be an error.
 * The failures of a broadcast's handler are errors too, the backend's own.
 */
import { deafness } from "../Receivers.ts"
import type { Checker } from "./index.ts"

export const sound: Checker = function*({ entries }) {
  for (const entry of entries) {
    if (
      entry._tag === "Log" && !entry.message.includes(deafness) && (entry.level === "Error" || entry.level === "Fatal")
    ) {
      yield `${entry.runner} logged "${entry.message}"`
    }
  }
}
