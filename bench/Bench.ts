/**
 * What all scenarios share: a PostgreSQL server with its durable defaults, the receiver, and systems opened in databases and
 * processes of their own.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, ManagedRuntime, Redacted, Scope } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as EmbeddedPostgres from "../src/storage/EmbeddedPostgres.ts"
import * as Postmaster from "../test/support/postmaster.ts"
import { type Child, start, type Started } from "./Child.ts"
import * as Compiled from "./Compiled.ts"
import * as Cpu from "./Cpu.ts"
import { clock } from "./Payload.ts"
import type { Receiver } from "./processes/receiver.ts"
import type { Host } from "./processes/system.ts"
import type { Setting } from "./System.ts"

/** A system and where it is. */
export interface Entry {
  readonly key: string
  readonly name: string
  readonly module: string
  readonly store: "postgres" | "redis" | "own"
  /** Whether its database holds the endpoints: else it is made ready alike whatever these are. */
  readonly subscribes?: boolean
  /** Starts the Redis server that it needs. */
  readonly redis?: (folder: string) => Promise<AsyncDisposable & { readonly port: number; readonly pid: number }>
}

/** A system that is open. */
export interface Opened {
  readonly call: Child<Host>["call"]
  readonly pid: number
  /** CPU time of the servers that it uses, in milliseconds. */
  readonly serverCpu: () => number
  /** Opens the same system again, on the same data, in a process of its own beside this one. */
  readonly another: () => Promise<Another>
  /** From now on it is not closed but ended, as what hangs would keep it from closing. */
  readonly abandon: () => void
  /** URL of its database. */
  readonly database: string
}

/** A second process of a system. */
export interface Another extends AsyncDisposable {
  readonly call: Child<Host>["call"]
  readonly pid: number
}

/** What a system is opened for. */
export interface Purpose {
  /** The endpoints of each event. */
  readonly routes: ReadonlyArray<ReadonlyArray<string>>
  readonly options?: ReadonlyArray<string>
  /** What its process is told when it starts. */
  readonly startedAs?: Started
}

/** The bench. */
export interface Bench extends AsyncDisposable {
  readonly receiver: Child<Receiver>["call"]
  /** The receiver's process. */
  readonly receiverPid: number
  /** URL of a path of the receiver. */
  readonly url: (path: string) => string
  readonly postgresPid: number
  /** URL of a database that is nobody's. */
  readonly address: string
  readonly sql: (statement: string, database?: string) => Promise<ReadonlyArray<Readonly<Record<string, unknown>>>>
  readonly folder: string
  /** Where CPU profiles are written, where they are asked for. */
  readonly profiles: string | undefined
  /** Opens a system for as long as `use` takes. */
  readonly using: <A>(
    entry: Entry,
    purpose: Purpose,
    use: (opened: Opened) => Promise<A>
  ) => Promise<A>
}

/** How long a scenario may wait for what has to come, in milliseconds. */
const patienceMs = 120_000

/** How long a system may take to close before its process is ended, in milliseconds. */
const closingMs = 5000

/** Settles as a promise does, or fails with a message. */
export const within = async <A>(promise: Promise<A>, what: string, ms = patienceMs): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing for ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until nothing is left whose outcome is not stored; when that was. */
export const settled = async (opened: Opened): Promise<number> => {
  const until = clock() + patienceMs
  while (await opened.call.unfinished() > 0) {
    if (clock() > until) throw new Error("the outcomes are not stored in time")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return clock()
}

const databaseOf = (url: string, name: string) => {
  const it = new URL(url)
  it.pathname = `/${name}`
  return it.href
}

/** Starts everything. */
export const make = async (options?: { readonly profiles?: string | undefined }): Promise<Bench> => {
  Compiled.make()
  // Undone from the last to the first, also where the next can't be made.
  await using made = new AsyncDisposableStack()
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "hookline-bench-"))
  made.defer(() => Fs.rmSync(folder, { recursive: true, force: true }))
  Fs.chmodSync(folder, 0o711)
  const data = Path.join(folder, "postgres")
  // It goes on for a system whose session has not ended yet.
  made.defer(() => Effect.runPromise(Postmaster.end(data)))
  const scope = Scope.makeUnsafe()
  made.defer(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const { url } = await Effect.runPromise(Scope.provide(EmbeddedPostgres.make({ dataDir: folder }), scope))
  const address = Redacted.value(url)
  const postgresPid = Postmaster.running(data)
  if (postgresPid === undefined) throw new Error(`No PostgreSQL runs in ${data}`)
  const receiver = made.use(start<Receiver>("receiver"))
  const port = await receiver.call.port()
  /** Processes of systems that are open. */
  const hosts = new Set<AsyncDisposable>()
  made.defer(async () => {
    await Promise.all([...hosts].map((host) => host[Symbol.asyncDispose]()))
  })
  const templates = new Map<string, string>()
  let databases = 0

  const sql: Bench["sql"] = async (statement, database) => {
    const runtime = ManagedRuntime.make(PgClient.layer({ url: Redacted.make(database ?? address), maxConnections: 1 }))
    try {
      return await runtime.runPromise(
        Effect.flatMap(PgClient.PgClient, (client) => client.unsafe<Readonly<Record<string, unknown>>>(statement))
      )
    } finally {
      await runtime.dispose()
    }
  }

  const startHost = (entry: Entry, { env, execArgv = [] }: Started = {}) =>
    start<Host>("system", [Compiled.fileOf(entry.module)], { execArgv: ["--expose-gc", ...execArgv], env })

  const hosted = async <A>(
    entry: Entry,
    database: string,
    { options = [], routes, startedAs }: Purpose,
    use: (host: Child<Host>, setting: Setting, redisPid: number | undefined) => Promise<A>
  ): Promise<A> => {
    const own = Fs.mkdtempSync(Path.join(folder, `${entry.key}-`))
    await using stack = new AsyncDisposableStack()
    hosts.add(stack)
    stack.defer(() => {
      hosts.delete(stack)
    })
    const redis = stack.use(await entry.redis?.(own))
    const host = stack.use(startHost(entry, startedAs))
    return await use(host, { database, redis: redis?.port, folder: own, routes, options }, redis?.pid)
  }

  const opened = <A>(
    entry: Entry,
    database: string,
    setting: Purpose,
    use: (opened: Opened) => Promise<A>
  ): Promise<A> =>
    hosted(entry, database, setting, async (host, whole, redisPid) => {
      const server = await host.call.open(whole)
      let isAbandoned = false
      const pids = () =>
        [entry.store === "postgres" ? postgresPid : undefined, redisPid, server].filter((pid) => pid !== undefined)
      try {
        return await use({
          call: host.call,
          pid: host.pid,
          abandon: () => {
            isAbandoned = true
          },
          another: async () => {
            const more = startHost(entry)
            hosts.add(more)
            const end = async () => {
              await more[Symbol.asyncDispose]()
              hosts.delete(more)
            }
            await more.call.open(whole).catch(async (error: unknown) => {
              await end()
              throw error
            })
            return {
              call: more.call,
              pid: more.pid,
              [Symbol.asyncDispose]: async () => {
                await within(more.call.close(), `closing ${entry.name}`, closingMs).catch(() => {})
                await end()
              }
            }
          },
          serverCpu: () => pids().reduce((sum, pid) => sum + Cpu.tree(pid), 0),
          database
        })
      } finally {
        if (!isAbandoned) await within(host.call.close(), `closing ${entry.name}`, closingMs).catch(() => {})
      }
    })

  /** A database in which the system has made all that it needs for some routes, to be copied. */
  const templateOf = async (entry: Entry, routes: Purpose["routes"]): Promise<string> => {
    // What else is asked for is of a process, and nothing that is stored.
    const key = `${entry.key} ${JSON.stringify(routes)}`
    const known = templates.get(key)
    if (known !== undefined) return known
    const layout = routes.length === 0 ? "template0" : await templateOf(entry, [])
    const name = `template_${templates.size}`
    await sql(`create database ${name} template ${layout}`)
    // Made anew if it is lost; what is measured is in copies, which have the defaults.
    await sql(`alter database ${name} set synchronous_commit = off`)
    await hosted(entry, databaseOf(address, name), { routes }, (host, whole) => host.call.prepare(whole))
    // So that autovacuum leaves it alone: it would count and clear the catalogs of each while others are measured.
    await sql("select pg_stat_reset()", databaseOf(address, name))
    templates.set(key, name)
    return name
  }

  const whole = made.move()
  let stopped: Promise<void> | undefined
  return {
    receiver: receiver.call,
    receiverPid: receiver.pid,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    postgresPid,
    address,
    sql,
    folder,
    profiles: options?.profiles,
    using: async (entry, purpose, use) => {
      if (entry.store !== "postgres") return opened(entry, address, purpose, use)
      const template = await templateOf(entry, entry.subscribes === true ? purpose.routes : [])
      const name = `bench_${databases++}`
      await sql(`create database ${name} template ${template}`)
      try {
        return await opened(entry, databaseOf(address, name), purpose, use)
      } finally {
        await sql(`drop database ${name} with (force)`)
      }
    },
    // Whoever stops it as well waits for the same end.
    [Symbol.asyncDispose]: () => stopped ??= whole.disposeAsync()
  }
}
