/**
 * A Restate server of one's own: one node with all roles, on loopback, as durable as it is by default.
 */
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { freePort } from "./Port.ts"

/** A running server. */
export interface RestateServer extends AsyncDisposable {
  readonly pid: number
  readonly ingress: string
  readonly admin: string
}

/**
 * Its shards, 24 by default: as many as there are cores to run them costs a message about a third less CPU time, and delivers no
 * fewer.
 */
const partitions = 2

/** How long a server has to begin, in milliseconds. */
const startMs = 60_000

/** The binary that the package of this platform carries: npm's launcher would be a process between. */
const binary = () =>
  createRequire(import.meta.url).resolve(
    `@restatedev/restate-server-${Os.platform()}-${Os.arch()}/bin/restate-server`
  )

interface Ports {
  readonly node: number
  readonly ingress: number
  readonly admin: number
}

const configuration = (ports: Ports, invocations: number | undefined) => `
cluster-name = "bench"
node-name = "bench"
auto-provision = true
listen-mode = "tcp"
bind-address = "127.0.0.1:${ports.node}"
advertised-address = "http://127.0.0.1:${ports.node}/"
disable-telemetry = true
log-filter = "warn"
default-num-partitions = ${partitions}

[ingress]
bind-address = "127.0.0.1:${ports.ingress}"

[admin]
bind-address = "127.0.0.1:${ports.admin}"
disable-web-ui = true
${
  invocations === undefined
    ? ""
    : `[worker.invoker]\nconcurrent-invocations-limit = ${Math.ceil(invocations / partitions)}`
}
`

const answers = async (url: string) => {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(1000) })).ok
  } catch {
    return false
  }
}

/**
 * Starts an empty server whose files are in the folder; it ends when it is disposed of, or with this process. `invocations` are as
 * many as it begins at once, 1,000 for each partition where it is not said.
 *
 * As it starts it asks once whether there is a newer version, which nothing documented turns off; that this fails is of no
 * consequence.
 */
export const start = async (folder: string, invocations: number | undefined): Promise<RestateServer> => {
  const ports = { node: await freePort(), ingress: await freePort(), admin: await freePort() }
  const config = Path.join(folder, "restate.toml")
  const log = Path.join(folder, "restate.log")
  Fs.writeFileSync(config, configuration(ports, invocations))
  const out = Fs.openSync(log, "a")
  const child = spawn(binary(), ["--config-file", config, "--base-dir", Path.join(folder, "data"), "--no-logo"], {
    cwd: folder,
    stdio: ["ignore", out, out]
  })
  Fs.closeSync(out)
  let failure: Error | undefined
  child.once("error", (error) => {
    failure = error
  })
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code) => {
      failure ??= new Error(`restate-server ended (${code}), see ${log}`)
      resolve()
    })
  })
  const end = () => {
    child.kill("SIGKILL")
  }
  process.once("exit", end)
  const ingress = `http://127.0.0.1:${ports.ingress}`
  const admin = `http://127.0.0.1:${ports.admin}`
  const until = Date.now() + startMs
  while (!failure && !(await answers(`${admin}/health`) && await answers(`${ingress}/restate/health`))) {
    if (Date.now() > until) failure = new Error(`restate-server is not healthy, see ${log}`)
    else await new Promise((resolve) => setTimeout(resolve, 100))
  }
  if (failure) {
    end()
    throw failure
  }
  return {
    pid: child.pid ?? 0,
    ingress,
    admin,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", end)
      end()
      await ended
    }
  }
}
