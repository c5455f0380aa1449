/**
 * PostgreSQL's errors in the words of the persistence seam. Messages never hold parameters: those are payloads and secrets.
 */
import { Effect, Result } from "effect"
import { SqlError } from "effect/sql"
import type { Deadlines } from "../Deadlines.ts"
import { type AppendError, OutcomeUnknown, RowRefused, StorageUnavailable } from "../Storage.ts"
import * as TraceContext from "../TraceContext.ts"

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
 * How the engine runs its statements.
 *
 * @category models
 * @since 0.1.0
 */
export type Engine = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) => Effect.Effect<A, StorageUnavailable, R>

/**
 * Runs a query of the engine, or a transaction, whose rollback is a defect where its session is gone.
 *
 * @category combinators
 * @since 0.1.0
 */
export const engine: Engine = (effect) =>
  effect.pipe(
    Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
    Effect.mapError(unavailable),
    TraceContext.within
  )

/**
 * As `engine`, but gives up on an answer after a time: a connection may fall silent without being cut.
 *
 * **Gotchas**
 *
 * What was given up may still be done: its answer counts as lost.
 *
 * @category combinators
 * @since 0.1.0
 */
export const answering = (deadlines: Deadlines, timeoutMs: number): Engine => (effect) =>
  giveUp(
    deadlines,
    engine(effect),
    timeoutMs,
    () => new StorageUnavailable({ message: `The database gave no answer in ${timeoutMs} ms.` })
  )

/**
 * Fails when there is no answer in time, and waits for nothing else: a silent session takes seconds to be given up.
 *
 * @category combinators
 * @since 0.1.0
 */
export const giveUp = <A, E, R, E2>(
  deadlines: Deadlines,
  effect: Effect.Effect<A, E, R>,
  timeoutMs: number,
  error: () => E2
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(
    Effect.forkDetach(effect, { startImmediately: true }),
    (fiber) =>
      Effect.callback<A, E | E2>((resume) => {
        const leave = () => {
          inTime()
          forget()
          fiber.interruptUnsafe()
        }
        const inTime = deadlines.add(timeoutMs, () => {
          leave()
          resume(Effect.fail(error()))
        })
        const forget = fiber.addObserver((exit) => {
          inTime()
          resume(exit)
        })
        return Effect.sync(leave)
      })
  )

/**
 * Runs a statement that writes what came from outside, and may be refused for it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const refusable = <A, R>(
  engine: Engine,
  effect: Effect.Effect<A, SqlError.SqlError, R>
): Effect.Effect<A, StorageUnavailable | RowRefused, R> =>
  Effect.result(effect).pipe(
    Effect.flatMap((result) =>
      Result.isFailure(result) && !isRefusal(result.failure)
        ? Effect.fail(result.failure)
        : Effect.succeed(Result.mapError(result, refused))
    ),
    engine,
    Effect.flatMap(Effect.fromResult)
  )

/**
 * An append's failure: refused for what is in the row, away, or, where the statement commits by itself, unknown.
 *
 * @category conversions
 * @since 0.1.0
 */
export const append = (error: SqlError.SqlError, inTransaction: boolean): AppendError => {
  if (isRefusal(error)) return refused(error)
  const answered = sqlState(error) !== ""
  const neverSent = /connect|acquire|timeout|authenticat/iu.test(error.reason.operation ?? "")
  return inTransaction || answered || neverSent || error.reason._tag !== "ConnectionError"
    ? unavailable(error)
    : new OutcomeUnknown({
      message: "The connection was lost before the database answered: the message may or may not be stored. " +
        "Repeat it with the same idempotency key."
    })
}

/**
 * The SQLSTATE that the server answered with; empty where it did not answer.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sqlState = (error: SqlError.SqlError): string => {
  for (let cause: unknown = error.reason.cause; typeof cause === "object" && cause !== null;) {
    if ("code" in cause && typeof cause.code === "string" && /^[0-9A-Z]{5}$/u.test(cause.code)) return cause.code
    cause = "cause" in cause ? cause.cause : undefined
  }
  return ""
}

// --- internal ---

/** A row without a partition: housekeeping is behind, or a clock far off. */
const noPartition = "23514"

/** A statement that writes, on a server or a database that takes none. */
const readOnly = "25006"

/** Data exceptions, integrity violations, program limits. */
const isRefusal = (error: SqlError.SqlError): boolean => {
  const state = sqlState(error)
  return /^(22|23|54)/u.test(state) && state !== noPartition
}

const refused = (error: SqlError.SqlError) =>
  new RowRefused({ message: `The database refused a row (${describe(error)})` })

const describe = (error: SqlError.SqlError): string => {
  const state = sqlState(error)
  if (state === readOnly) return "it is a read-only stand-by"
  if (state === noPartition) return "there is no partition for this time; is a clock wrong, or housekeeping behind?"
  return state === "" ? error.reason._tag : `${error.reason._tag}, SQLSTATE ${state}`
}
