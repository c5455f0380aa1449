/**
 * The supervisor of the embedded PostgreSQL against crashes: real processes that are killed, and folders left in disorder.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { Reactivity } from "effect/reactivity"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { connect } from "node:net"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as Limits from "../../src/Limits.ts"
import * as EmbeddedPostgres from "../../src/storage/EmbeddedPostgres.ts"
import { exited, folder, kill, madeDataDir, until } from "../support/process.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const isRoot = process.getuid?.() === 0

const dataDir = Effect.map(folder, (made) => Path.join(made, "data"))
const dataOf = (dir: string) => Path.join(dir, "postgres")
const lockOf = (dir: string) => Path.join(dataOf(dir), "postmaster.pid")
const postmaster = (dir: string) => Number(Fs.readFileSync(lockOf(dir), "utf8").split("\n")[0])

const use = <A, E>(url: Redacted.Redacted<string>, f: (sql: PgClient.PgClient) => Effect.Effect<A, E>) =>
  Effect.flatMap(PgClient.PgClient, f).pipe(Effect.provide(PgClient.layer({ url, maxConnections: 1 })))

const insert = (url: Redacted.Redacted<string>, n: number) =>
  use(
    url,
    (sql) => Effect.andThen(sql`create table if not exists kept (n int not null)`, sql`insert into kept values (${n})`)
  )

const kept = (url: Redacted.Redacted<string>) =>
  use(url, (sql) => Effect.map(sql<{ n: number }>`select n from kept order by n`, (rows) => rows.map(({ n }) => n)))

/** Whether a process runs; one that only waits to be collected by its parent has ended. */
const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return process.platform !== "linux" || !/^\d+ \(.*\) Z /u.test(Fs.readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

const ended = (pid: number) => until(`process ${pid} has ended`, Effect.sync(() => !runs(pid)))

const accepts = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.on("error", () => resume(Effect.succeed(false)))
  })

/** What stands beside the data: nothing may be left of a start that was broken off. */
const beside = (dir: string) =>
  Fs.existsSync(dir) ? Fs.readdirSync(dir).filter((name) => name.startsWith("postgres-")).sort() : []

/** What a start is refused with, at once: one that waited would not end within the test's time. */
const refusal = (dir: string, embeddedStartMs = 3_600_000): Effect.Effect<string, EmbeddedPostgres.EmbeddedPostgres> =>
  Effect.map(Effect.scoped(Effect.flip(EmbeddedPostgres.make({ dataDir: dir }))), ({ message }) => message).pipe(
    Effect.provide(Limits.layer({ embeddedStartMs }))
  )

/** A cluster with a row in it, stopped. */
const cluster = Effect.tap(
  madeDataDir,
  (dir) => Effect.scoped(Effect.flatMap(EmbeddedPostgres.make({ dataDir: dir }), ({ url }) => insert(url, 1)))
)

const includesAll = (message: string, texts: ReadonlyArray<string>) => {
  for (const text of texts) assert.include(message, text)
}

/** A process that has nothing to do with PostgreSQL, of the user that PostgreSQL runs as; ended with its scope. */
const stranger = Effect.acquireRelease(
  Effect.sync(() =>
    spawn("sleep", ["600"], { cwd: "/", stdio: "ignore", ...(isRoot ? { uid: 65534, gid: 65534 } : {}) })
  ),
  (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Effect.ignore(exited(child)))
).pipe(Effect.map((child) => ({ child, pid: child.pid ?? 0 })))

/**
 * The lock file that a killed server leaves behind, with another process's id and another port; gone with the scope. Without
 * a status it is one that is being written.
 */
const leaveLock = (dir: string, pid: number, port: number, status = "ready") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const lines = [pid, dataOf(dir), 1, port, "", "127.0.0.1", "  1234567         1"]
      const text = [...lines, ...(status === "" ? [] : [`${status}   `]), ""].join("\n")
      Fs.writeFileSync(lockOf(dir), text)
      if (isRoot) Fs.chownSync(lockOf(dir), 65534, 65534)
      return text
    }),
    (text) =>
      Effect.sync(() => {
        if (Fs.existsSync(lockOf(dir)) && Fs.readFileSync(lockOf(dir), "utf8") === text) Fs.rmSync(lockOf(dir))
      })
  )

/** Starts a server when it is told to go, prints its URL and keeps it until it is killed. */
const program = `
  import { Effect, Redacted } from "effect"
  import { make } from "${pathToFileURL(Path.join(root, "src/storage/EmbeddedPostgres.ts")).href}"
  process.stdin.once("data", () =>
    Effect.runPromise(Effect.scoped(Effect.flatMap(make({ dataDir: process.argv[1] }), ({ url }) => {
      console.log(Redacted.value(url))
      return Effect.never
    }))).catch((error) => {
      console.error(error.message)
      process.exit(1)
    }))
  console.log("waiting")
`

/** A process of its own group that supervises a folder's server; killed with its scope. */
const supervisor = (dir: string) =>
  Effect.gen(function*() {
    const output = { text: "" }
    const child = yield* Effect.acquireRelease(
      Effect.sync((): ChildProcess =>
        spawn(
          process.execPath,
          ["--conditions=hookline-source", "--input-type=module-typescript", "--eval", program, dir],
          { cwd: root, detached: true, stdio: "pipe" }
        )
      ),
      (child) => Effect.andThen(kill(child, "SIGKILL"), Effect.ignore(exited(child)))
    )
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => void (output.text += chunk.toString()))
    }
    yield* until("the process waits to be told", Effect.sync(() => output.text.includes("waiting")))
    const found = () => /^postgres:.*$/mu.exec(output.text)?.[0]
    return {
      child,
      go: Effect.sync(() => child.stdin?.write("go\n")),
      /** The server's URL, once it runs. */
      url: until("it runs or has given up", Effect.sync(() => found() !== undefined || child.exitCode !== null)).pipe(
        Effect.map(() => {
          const url = found()
          assert.isDefined(url, output.text)
          return Redacted.make(url)
        })
      )
    }
  })

describe("the embedded PostgreSQL", () => {
  it.live("is stopped when its scope closes, and what was committed is there at the next start", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const first = yield* Effect.scoped(Effect.gen(function*() {
        const { port, url } = yield* EmbeddedPostgres.make({ dataDir: dir })
        yield* insert(url, 1)
        return { port, url, pid: postmaster(dir) }
      }))
      assert.isFalse(Fs.existsSync(lockOf(dir)))
      assert.isFalse(yield* accepts(first.port))
      yield* ended(first.pid)
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("recovers what was committed when it was killed with its lock file left behind", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const pid = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
        yield* insert(url, 1)
        process.kill(postmaster(dir), "SIGKILL")
        yield* ended(postmaster(dir))
        return postmaster(dir)
      }))
      assert.strictEqual(postmaster(dir), pid)
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.notStrictEqual(postmaster(dir), pid)
      assert.deepStrictEqual(yield* kept(url), [1])
      yield* insert(url, 2)
    }))

  it.live("of a killed process is adopted by the next one with its data, and stopped by it", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const killed = yield* supervisor(dir)
      yield* killed.go
      const url = yield* killed.url
      yield* insert(url, 1)
      const pid = postmaster(dir)
      yield* kill(killed.child, "SIGKILL")
      yield* exited(killed.child)
      yield* Effect.scoped(Effect.gen(function*() {
        const adopted = yield* EmbeddedPostgres.make({ dataDir: dir })
        assert.strictEqual(Redacted.value(adopted.url), Redacted.value(url))
        assert.strictEqual(postmaster(dir), pid)
        assert.deepStrictEqual(yield* kept(adopted.url), [1])
      }))
      assert.isFalse(Fs.existsSync(lockOf(dir)))
      yield* ended(pid)
    }))

  it.live("goes on for a runner that still uses it, whose end stops it", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const pid = yield* Effect.scoped(Effect.gen(function*() {
        const first = yield* EmbeddedPostgres.make({ dataDir: dir })
        const sql = yield* PgClient.make({ url: first.url, maxConnections: 1, applicationName: "hookline" })
        yield* sql`select 1`
        const pid = postmaster(dir)
        yield* Effect.scoped(EmbeddedPostgres.make({ dataDir: dir }))
        yield* sql`select 1`
        assert.strictEqual(postmaster(dir), pid)
        return pid
      }))
      yield* ended(pid)
    }).pipe(Effect.provide(Reactivity.layer)), 60_000)

  it.live(
    "goes on where it does not say whether another runner uses it, and the next start adopts it",
    () =>
      Effect.gen(function*() {
        const dir = yield* madeDataDir
        const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
        const pid = postmaster(dir)
        // Sessions that are there go on, new ones get no answer.
        const sql = yield* PgClient.make({ url, maxConnections: 1, applicationName: "hookline" })
        yield* sql`select 1`
        yield* Effect.scoped(Effect.andThen(
          EmbeddedPostgres.make({ dataDir: dir }),
          Effect.sync(() => process.kill(pid, "SIGSTOP"))
        )).pipe(
          Effect.ensuring(Effect.sync(() => process.kill(pid, "SIGCONT"))),
          Effect.provide(Limits.layer({ embeddedAnswerMs: 500 }))
        )
        yield* sql`select 1`
        const adopted = yield* EmbeddedPostgres.make({ dataDir: dir })
        assert.strictEqual(Redacted.value(adopted.url), Redacted.value(url))
        assert.strictEqual(postmaster(dir), pid)
      }).pipe(Effect.provide(Reactivity.layer)),
    60_000
  )

  it.live("is one server for all processes that start on a fresh folder at once", () =>
    Effect.gen(function*() {
      const dir = yield* dataDir
      const all = yield* Effect.all([supervisor(dir), supervisor(dir), supervisor(dir)], { concurrency: "unbounded" })
      yield* Effect.forEach(all, ({ go }) => go)
      const urls = yield* Effect.forEach(all, ({ url }) => url)
      yield* Effect.forEach(urls, (url, n) => insert(url, n), { discard: true })
      for (const url of urls) assert.deepStrictEqual(yield* kept(url), [0, 1, 2])
      assert.deepStrictEqual(beside(dir), ["postgres-password"])
    }))

  it.live("starts on a folder where another process was killed while it made the cluster", () =>
    Effect.gen(function*() {
      const dir = yield* dataDir
      const killed = yield* supervisor(dir)
      yield* killed.go
      const made = () => beside(dir).some((name) => Fs.existsSync(Path.join(dir, name, "base")))
      yield* until("the cluster is half made", Effect.sync(made))
      yield* kill(killed.child, "SIGKILL")
      yield* exited(killed.child)
      assert.isFalse(Fs.existsSync(dataOf(dir)))
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      yield* insert(url, 1)
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("takes the folder with its password for a new one when only the database was removed", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const first = yield* Effect.scoped(EmbeddedPostgres.make({ dataDir: dir }))
      Fs.rmSync(dataOf(dir), { recursive: true })
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      const passwordOf = (url: Redacted.Redacted<string>) => new URL(Redacted.value(url)).password
      assert.strictEqual(passwordOf(url), passwordOf(first.url))
      yield* insert(url, 1)
    }))

  it.live("leaves nothing behind when its start is interrupted", () =>
    Effect.gen(function*() {
      const dir = yield* dataDir
      const fiber = yield* Effect.forkChild(Effect.scoped(EmbeddedPostgres.make({ dataDir: dir })))
      yield* until("the cluster is being made", Effect.sync(() => beside(dir).length > 1))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(beside(dir), ["postgres-password"])
      assert.isFalse(Fs.existsSync(lockOf(dir)))
    }))

  it.live("gives up durability for speed only when it is told to", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const settings = (unsafeFast: boolean) =>
        Effect.scoped(Effect.flatMap(EmbeddedPostgres.make({ dataDir: dir, unsafeFast }), ({ url }) =>
          use(url, (sql) =>
            sql`select name, setting from pg_settings
              where name in ('fsync', 'full_page_writes', 'synchronous_commit') order by name`.values)))
      const all = (setting: string) =>
        ["fsync", "full_page_writes", "synchronous_commit"].map((name) => [name, setting])
      assert.deepStrictEqual(yield* settings(true), all("off"))
      assert.deepStrictEqual(yield* settings(false), all("on"))
    }))
})

describe("the embedded PostgreSQL says what to do, and changes nothing, where", () => {
  it.live.skipIf(!isRoot)(
    "root's PostgreSQL can't enter a folder",
    () =>
      Effect.gen(function*() {
        const made = yield* folder
        const closed = Path.join(made, "closed")
        Fs.mkdirSync(closed, { mode: 0o700 })
        const dir = Path.join(closed, "data")
        const message = yield* refusal(dir)
        includesAll(message, [`chmod o+x ${closed}`, "--data-dir"])
        assert.isFalse(Fs.existsSync(dataOf(dir)))
      })
  )

  it.live("its place is taken by something else", () =>
    Effect.gen(function*() {
      const dir = yield* dataDir
      Fs.mkdirSync(dataOf(dir), { recursive: true })
      Fs.writeFileSync(Path.join(dataOf(dir), "notes.txt"), "mine")
      includesAll(yield* refusal(dir), [dataOf(dir), "no PG_VERSION", "Move it away", "--data-dir"])
      assert.deepStrictEqual(Fs.readdirSync(dir, { recursive: true }).sort(), ["postgres", "postgres/notes.txt"])
      Fs.rmSync(dataOf(dir), { recursive: true })
      Fs.writeFileSync(dataOf(dir), "mine")
      includesAll(yield* refusal(dir), [dataOf(dir), "Move it away"])
      assert.strictEqual(Fs.readFileSync(dataOf(dir), "utf8"), "mine")
    }))

  it.live("the database was made by another version of PostgreSQL", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const versionFile = Path.join(dataOf(dir), "PG_VERSION")
      const version = Fs.readFileSync(versionFile, "utf8")
      Fs.writeFileSync(versionFile, "15\n")
      includesAll(yield* refusal(dir), [dataOf(dir), "made by PostgreSQL 15", "move the folder away"])
      Fs.writeFileSync(versionFile, version)
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("the database's password is missing, empty or another one", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const file = Path.join(dir, "postgres-password")
      const password = Fs.readFileSync(file, "utf8")
      Fs.rmSync(file)
      includesAll(yield* refusal(dir), [file, "is missing", "Put that file back", `move ${dataOf(dir)} away`])
      assert.isFalse(Fs.existsSync(file))
      Fs.writeFileSync(file, "")
      includesAll(yield* refusal(dir), [file, "is empty"])
      Fs.writeFileSync(file, "another")
      const message = yield* refusal(dir)
      includesAll(message, ["refuses the password", file, "put back the password"])
      assert.notInclude(message, "another ")
      assert.isFalse(Fs.existsSync(lockOf(dir)))
      Fs.writeFileSync(file, password)
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("the database is broken: with the end of the server's log", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const control = Path.join(dataOf(dir), "global", "pg_control")
      Fs.renameSync(control, `${control}.away`)
      includesAll(yield* refusal(dir), [dataOf(dir), "global/pg_control", "from a backup", "move it away"])
      Fs.renameSync(`${control}.away`, control)
      const wal = Path.join(dataOf(dir), "pg_wal")
      for (const name of Fs.readdirSync(wal).filter((name) => /^[0-9A-F]{24}$/u.test(name))) {
        Fs.rmSync(Path.join(wal, name))
      }
      includesAll(yield* refusal(dir), ["could not locate a valid checkpoint record", "from a backup"])
    }))

  it.live("the server starts, but its database can't be used: it is stopped again", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const databases = Path.join(dataOf(dir), "base")
      // The database `postgres`: template1 and template0 come before it.
      Fs.renameSync(Path.join(databases, "5"), Path.join(databases, "away"))
      includesAll(yield* refusal(dir), ["can't be used", "base/5", "from a backup"])
      assert.isFalse(Fs.existsSync(lockOf(dir)))
    }))

  it.live("a lock file was left behind whose process id another process has now", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const other = yield* stranger
      const text = yield* leaveLock(dir, other.pid, 1)
      includesAll(yield* refusal(dir), [lockOf(dir), `process ${other.pid}`, "nothing answers", `ps -p ${other.pid}`])
      assert.strictEqual(Fs.readFileSync(lockOf(dir), "utf8"), text)
      assert.isTrue(runs(other.pid))
      other.child.kill("SIGKILL")
      yield* exited(other.child)
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("the process that a lock file names serves another folder, or a copy of this one", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const { port, url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      yield* insert(url, 1)
      const copy = yield* dataDir
      execFileSync("cp", ["-a", dir, copy])
      includesAll(yield* refusal(copy), [`process ${postmaster(dir)}`, `serves ${dataOf(dir)}`])
      // One with a password of its own.
      const another = yield* dataDir
      yield* Effect.scoped(EmbeddedPostgres.make({ dataDir: another }))
      yield* leaveLock(another, postmaster(dir), port)
      includesAll(yield* refusal(another), [`process ${postmaster(dir)}`, "refuses the password"])
      assert.deepStrictEqual(yield* kept(url), [1])
      // The copies' lock files name this server: what cleans up after a test would stop it.
      for (const copied of [copy, another]) Fs.rmSync(lockOf(copied))
    }))

  it.live("what is waited for does not come", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const other = yield* stranger
      yield* leaveLock(dir, other.pid, 1, "starting")
      includesAll(yield* refusal(dir, 1000), [`process ${other.pid}`, "nothing answers"])
      Fs.writeFileSync(lockOf(dir), "")
      includesAll(yield* refusal(dir, 1000), [lockOf(dir), "is empty or damaged"])
      Fs.rmSync(lockOf(dir))
    }))
})

describe("the embedded PostgreSQL is not mixed up with others:", () => {
  it.live("a stale lock file whose port another server has now is PostgreSQL's to replace", () =>
    Effect.gen(function*() {
      const [dir, other] = [yield* cluster, yield* madeDataDir]
      const { port } = yield* EmbeddedPostgres.make({ dataDir: other })
      const { child, pid } = yield* stranger
      child.kill("SIGKILL")
      yield* exited(child)
      yield* leaveLock(dir, pid, port)
      const started = yield* EmbeddedPostgres.make({ dataDir: dir })
      assert.notStrictEqual(started.port, port)
      assert.deepStrictEqual(yield* kept(started.url), [1])
    }))

  it.live("a server that starts is waited for and adopted", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const { child, go, url } = yield* supervisor(dir)
      yield* go
      yield* until("its server begins", Effect.sync(() => Fs.existsSync(lockOf(dir))))
      yield* Effect.scoped(Effect.gen(function*() {
        const adopted = yield* EmbeddedPostgres.make({ dataDir: dir })
        assert.strictEqual(Redacted.value(adopted.url), Redacted.value(yield* url))
        yield* kill(child, "SIGKILL")
      }))
    }))

  it.live("a server that is writing its lock file is waited for", () =>
    Effect.gen(function*() {
      const dir = yield* cluster
      const other = yield* stranger
      yield* leaveLock(dir, other.pid, 1, "")
      const starting = yield* Effect.forkScoped(EmbeddedPostgres.make({ dataDir: dir }))
      const refused = Effect.sync(() => Fs.readFileSync(Path.join(dataOf(dir), "server.log"), "utf8"))
      yield* until(
        "PostgreSQL has refused twice to start beside it",
        Effect.map(refused, (log) => log.split(`PID ${other.pid}`).length > 2)
      )
      Fs.rmSync(lockOf(dir))
      const { url } = yield* Fiber.join(starting)
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live("a stop does not end the process that has a killed server's id now", () =>
    Effect.gen(function*() {
      const dir = yield* madeDataDir
      const other = yield* stranger
      yield* Effect.scoped(Effect.gen(function*() {
        const { port } = yield* EmbeddedPostgres.make({ dataDir: dir })
        const pid = postmaster(dir)
        process.kill(pid, "SIGKILL")
        yield* ended(pid)
        Fs.writeFileSync(lockOf(dir), Fs.readFileSync(lockOf(dir), "utf8").replace(/^\d+/u, String(other.pid)))
        assert.isFalse(yield* accepts(port))
      }))
      assert.isTrue(runs(other.pid))
      Fs.rmSync(lockOf(dir))
    }))
})
