/**
 * The supervisor of the embedded PostgreSQL against crashes: real processes that are killed, and folders left in disorder.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { connect } from "node:net"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as EmbeddedPostgres from "../../src/storage/EmbeddedPostgres.ts"
import { exited, folder, kill, until } from "../support/process.ts"

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
const beside = (dir: string) => Fs.readdirSync(dir).filter((name) => name.startsWith("postgres-")).sort()

/** What a start is refused with. */
const refusal = (dir: string): Effect.Effect<string, EmbeddedPostgres.EmbeddedPostgres, Scope.Scope> =>
  Effect.map(Effect.flip(EmbeddedPostgres.make({ dataDir: dir })), ({ message }) => message)

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
      const dir = yield* dataDir
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
      const dir = yield* dataDir
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
      const dir = yield* dataDir
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
      const made = () => Fs.existsSync(dir) && beside(dir).some((name) => Fs.existsSync(Path.join(dir, name, "base")))
      yield* until("the cluster is half made", Effect.sync(made))
      yield* kill(killed.child, "SIGKILL")
      yield* exited(killed.child)
      assert.isFalse(Fs.existsSync(dataOf(dir)))
      const { url } = yield* EmbeddedPostgres.make({ dataDir: dir })
      yield* insert(url, 1)
      assert.deepStrictEqual(yield* kept(url), [1])
    }))

  it.live.skipIf(!isRoot)(
    "says which folder root has to open where its user can't enter",
    () =>
      Effect.gen(function*() {
        const made = yield* folder
        const closed = Path.join(made, "closed")
        Fs.mkdirSync(closed, { mode: 0o700 })
        const dir = Path.join(closed, "data")
        const message = yield* refusal(dir)
        for (const text of [`chmod o+x ${closed}`, "--data-dir"]) assert.include(message, text)
        assert.isFalse(Fs.existsSync(dataOf(dir)))
      })
  )
})
