/**
 * Times as text: in answers, and in what is asked for, an instant that exists.
 */
import { DateTime, Option, Schema } from "effect"

/**
 * A time as answers tell it, in ISO 8601 and UTC.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Time = Schema.String.annotate({ format: "date-time" })

/**
 * A day, which is its midnight in UTC, or a day and a time with a zone, as `2026-01-31` or `2026-01-31T12:00:00Z`.
 *
 * **Gotchas**
 *
 * A time without a zone is refused: whose clock is meant would be a guess.
 *
 * @category schemas
 * @since 0.1.0
 */
export const IsoTime = Schema.String.annotate({ format: "date-time" }).check(
  Schema.isPattern(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/u, {
    message: "a time in ISO 8601 with its zone, such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31"
  }),
  Schema.makeFilter((text: string) =>
    exists(text) ? undefined : "a time that exists, such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31"
  )
)

// --- internal ---

/** Dates go on counting after a month's last day: the 31st of February is the 3rd of March. */
const exists = (text: string): boolean => {
  const day = text.slice(0, 10)
  return Option.isSome(DateTime.make(text)) &&
    Option.exists(DateTime.make(day), (midnight) => DateTime.formatIsoDateUtc(midnight) === day)
}
