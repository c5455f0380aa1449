/**
 * The address at which the other runners reach this process: the one that its connection to the database has, since all of
 * them connect to the same server. It is loopback exactly where the database is.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { connect } from "node:net"
import { Limits } from "../Limits.ts"

/** @category models @since 0.1.0 */
export interface Target {
  readonly host: string
  readonly port: number
}

/**
 * Where a client connects to; none for a socket in the file system, which is on this machine.
 *
 * @category accessors
 * @since 0.1.0
 */
export const targetOf = (config: PgClient.PgClientConfig): Target | undefined => {
  const url = config.url ? URL.parse(Redacted.value(config.url)) : null
  const host = (config.host ?? url?.searchParams.get("host") ?? url?.hostname ?? "localhost").replace(/^\[|\]$/gu, "")
  const port = config.port ?? (url?.port ? Number(url.port) : 5432)
  return host === "" || host.startsWith("/") || host.startsWith("%2F") ? undefined : { host, port }
}

/**
 * The local address of a connection to a target; loopback where there is no target or no connection.
 *
 * @category accessors
 * @since 0.1.0
 */
export const towards = (target: Target | undefined): Effect.Effect<string> =>
  target === undefined
    ? Effect.succeed(loopback)
    : Effect.flatMap(Limits, ({ connectTimeoutMs }) =>
      Effect.callback<string>((resume) => {
        const socket = connect({ ...target, timeout: connectTimeoutMs })
        const done = (address: string) => {
          resume(Effect.succeed(address.replace(/^::ffff:/u, "")))
          socket.destroy()
        }
        socket.on("connect", () => done(socket.localAddress ?? loopback))
        socket.on("timeout", () => done(loopback))
        socket.on("error", () => done(loopback))
        return Effect.sync(() => socket.destroy())
      }))

// --- internal ---

const loopback = "127.0.0.1"
