/**
 * A Redis server of one's own: on loopback, durable as its append-only file is synced.
 */
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { freePort } from "./Port.ts"

/** How the append-only file is synced. */
export type AppendFsync = "always" | "everysec"

/** A running server. */
export interface Redis extends AsyncDisposable {
  readonly port: number
  readonly pid: number
}

/** Where `install.ts` puts Debian's packages where the machine has no Redis. */
export const unpacked = Path.join(import.meta.dirname, ".debian")

/** How long a server has to begin, in milliseconds. */
const startMs = 10_000

interface Binary {
  readonly file: string
  readonly env: NodeJS.ProcessEnv
}

const librariesIn = (root: string) =>
  Fs.existsSync(root)
    ? Fs.readdirSync(root, { recursive: true, withFileTypes: true })
      .filter(({ name }) => name.includes(".so"))
      .map(({ parentPath }) => parentPath)
    : []

/** The machine's server, else the unpacked one, with the version it tells. */
export const find = (): Binary & { readonly version: string } | undefined => {
  const libraries = [...new Set(librariesIn(unpacked))].join(":")
  const binaries: ReadonlyArray<Binary> = [
    { file: "redis-server", env: process.env },
    { file: Path.join(unpacked, "usr/bin/redis-server"), env: { ...process.env, LD_LIBRARY_PATH: libraries } }
  ]
  for (const { env, file } of binaries) {
    try {
      const told = execFileSync(file, ["--version"], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      return { file, env, version: /v=([\d.]+)/u.exec(told)?.[1] ?? "unknown" }
    } catch {
      // Not there, or without its libraries.
    }
  }
  return undefined
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = Net.connect(port, "127.0.0.1")
    const settle = (it: boolean) => {
      socket.destroy()
      resolve(it)
    }
    socket.setTimeout(1000, () => settle(false))
    socket.on("error", () => settle(false))
    socket.on("connect", () => socket.write("PING\r\n"))
    socket.on("data", (data) => settle(data.toString().startsWith("+PONG")))
  })

/** Starts an empty server whose files are in the folder; it ends when it is disposed of, or with this process. */
export const start = async (appendfsync: AppendFsync, folder: string): Promise<Redis> => {
  const found = find()
  if (!found) throw new Error("There is no redis-server: run node bench/peers/install.ts")
  const port = await freePort()
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    appendonly: "yes",
    appendfsync,
    save: "",
    daemonize: "no",
    // As BullMQ asks for.
    "maxmemory-policy": "noeviction",
    logfile: Path.join(folder, "redis.log")
  }
  const child = spawn(found.file, Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]), {
    env: found.env,
    stdio: "ignore"
  })
  let failure: Error | undefined
  child.once("error", (error) => {
    failure = error
  })
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code) => {
      failure ??= new Error(`redis-server ended (${code}), see ${settings.logfile}`)
      resolve()
    })
  })
  const end = () => {
    child.kill("SIGKILL")
  }
  process.once("exit", end)
  const until = Date.now() + startMs
  while (!failure && !await answers(port)) {
    if (Date.now() > until) failure = new Error(`redis-server does not answer on port ${port}`)
    else await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const dispose = async () => {
    process.off("exit", end)
    end()
    await ended
  }
  if (failure) {
    end()
    throw failure
  }
  return { port, pid: child.pid ?? 0, [Symbol.asyncDispose]: dispose }
}
