/**
 * PostgreSQL's errors in the words of the persistence seam. Messages never hold parameters: those are payloads and secrets.
 */
import { Effect } from "effect"
import { SqlError } from "effect/sql"
import { type AppendError, OutcomeUnknown, RowRefused, StorageUnavailable } from "../Storage.ts"

/**
 * For the engine every failure is the database's being away: what was under way is found again.
 *
 * @category conversions
 * @since 0.1.0
 */
export const unavailable = (error: SqlError.SqlError): StorageUnavailable =>
  new StorageUnavailable({
    message: `The database can't be used (${describe(error)}): check DATABASE_URL and the server.`
  })

/**
 * Runs a query of the engine, or a transaction, whose rollback is a defect where its session is gone.
 *
 * @category combinators
 * @since 0.1.0
 */
export const engine = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>): Effect.Effect<A, StorageUnavailable, R> =>
  effect.pipe(
    Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
    Effect.mapError(unavailable)
  )

/**
 * An append's failure: refused for what is in the row, away, or, where the statement commits by itself, unknown.
 *
 * @category conversions
 * @since 0.1.0
 */
export const append = (error: SqlError.SqlError, inTransaction: boolean): AppendError => {
  const state = sqlState(error)
  // Data exceptions, integrity violations, program limits; 23514 on a partitioned table is a clock far off.
  if (/^(22|23|54)/u.test(state)) {
    return new RowRefused({ message: `The database refused the message (${describe(error)})` })
  }
  const answered = state !== ""
  const neverSent = /connect|acquire|timeout|authenticat/iu.test(error.reason.operation ?? "")
  return inTransaction || answered || neverSent || error.reason._tag !== "ConnectionError"
    ? unavailable(error)
    : new OutcomeUnknown({
      message: "The connection was lost before the database answered: the message may or may not be stored. " +
        "Repeat it with the same idempotency key."
    })
}

// --- internal ---

const sqlState = (error: SqlError.SqlError): string => {
  for (let cause: unknown = error.reason.cause; typeof cause === "object" && cause !== null;) {
    if ("code" in cause && typeof cause.code === "string" && /^[0-9A-Z]{5}$/u.test(cause.code)) return cause.code
    cause = "cause" in cause ? cause.cause : undefined
  }
  return ""
}

const describe = (error: SqlError.SqlError): string => {
  const state = sqlState(error)
  return state === "" ? error.reason._tag : `${error.reason._tag}, SQLSTATE ${state}`
}
