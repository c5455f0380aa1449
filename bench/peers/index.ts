/**
 * The peers: what else delivers messages durably, as `npm run bench -- --peers` measures it.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { System } from "../System.ts"
import { type AppendFsync, find } from "./Redis.ts"

/** A row of the tables. */
export interface Peer {
  readonly key: string
  /** The module that exports its `system`. */
  readonly module: string
  /** Its name in the tables. */
  readonly row: string
  readonly store: System["store"]
  /** How the Redis server it needs syncs. */
  readonly redis?: AppendFsync
  /** Whose versions say what was measured. */
  readonly packages: ReadonlyArray<string>
}

const module = (name: string) => Path.join(import.meta.dirname, `${name}.ts`)

export const peers: ReadonlyArray<Peer> = [
  {
    key: "graphile-local",
    module: module("GraphileLocal"),
    row: "graphile-worker, local queue with batched completion",
    store: "postgres",
    packages: ["graphile-worker"]
  },
  {
    key: "graphile",
    module: module("Graphile"),
    row: "graphile-worker, plain",
    store: "postgres",
    packages: ["graphile-worker"]
  },
  {
    key: "pg-boss-polling",
    module: module("PgBossPolling"),
    row: "pg-boss, polling 0.5 s",
    store: "postgres",
    packages: ["pg-boss"]
  },
  {
    key: "pg-boss-notify",
    module: module("PgBossNotify"),
    row: "pg-boss, LISTEN/NOTIFY",
    store: "postgres",
    packages: ["pg-boss"]
  },
  {
    key: "bullmq-always",
    module: module("BullmqAlways"),
    row: "BullMQ, appendfsync always",
    store: "redis",
    redis: "always",
    packages: ["bullmq", "ioredis"]
  },
  {
    key: "bullmq-everysec",
    module: module("BullmqEverysec"),
    row: "BullMQ, appendfsync everysec",
    store: "redis",
    redis: "everysec",
    packages: ["bullmq", "ioredis"]
  },
  {
    key: "restate",
    module: module("Restate"),
    row: "Restate",
    store: "own",
    packages: ["@restatedev/restate-server", "@restatedev/restate-sdk"]
  }
]

const versionOf = (name: string): string | undefined => {
  try {
    const file = Path.join(import.meta.dirname, "node_modules", name, "package.json")
    const read: { readonly version: string } = JSON.parse(Fs.readFileSync(file, "utf8"))
    return read.version
  } catch {
    return undefined
  }
}

/** What is installed, by name; what is not is missing. */
export const versions = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...new Set(peers.flatMap(({ packages }) => packages))]
      .map((name) => [name, versionOf(name)] as const)
      .concat([["redis-server", find()?.version]])
      .flatMap(([name, version]) => version === undefined ? [] : [[name, version] as const])
  )

/** A row that is not measured here but quoted: its system cannot be had from a registry. */
export const quoted = {
  quoted: true,
  row: "Checkstack, BullMQ queue",
  drainPerSecond: 435,
  livePerSecond: 437,
  tenSubscriptionsPerSecond: 576,
  /** From emit to receive at 100 messages a second, in milliseconds. */
  latency: { p50: 5.5, p99: 109 },
  /** When the other endpoints had all of their messages beside one that hangs: never, a part of them only. */
  hanging: { recoversMs: undefined, delivered: 0.15 },
  /** CPU time of the process for each delivery, drained and live, in milliseconds. */
  cpuMs: { drain: 1.95, live: 1.73 }
} as const
