/**
 * The link between a process and the database: a TCP proxy on loopback that can be cut in several ways, and that follows the
 * database to its next port.
 */
import { Effect } from "effect"
import { connect, createServer, type Socket } from "node:net"
import { listening } from "../support/served.ts"
import type { Cut } from "./Plan.ts"

/** Listens on a port of its own while the scope is open. */
export const make = (target: () => number) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const pairs = new Set<readonly [Socket, Socket]>()
      let cuts: ReadonlyArray<Cut> = []
      const isSilent = () => cuts.includes("silent") || cuts.includes("forgotten")
      const join = ([client, upstream]: readonly [Socket, Socket]) => {
        client.pipe(upstream)
        upstream.pipe(client)
      }
      const part = ([client, upstream]: readonly [Socket, Socket]) => {
        client.unpipe().pause()
        upstream.unpipe().pause()
      }
      const reset = () => {
        for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy()
      }
      const server = createServer((client) => {
        client.on("error", () => {})
        if (cuts.includes("refused")) {
          client.resetAndDestroy()
          return
        }
        const upstream = connect({ host: "127.0.0.1", port: target() })
        const pair = [client, upstream] as const
        pairs.add(pair)
        upstream.on("error", () => {})
        for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
          from.on("close", () => {
            pairs.delete(pair)
            to.destroy()
          })
        }
        if (isSilent()) part(pair)
        else join(pair)
      })
      const port = yield* listening(server)
      return {
        port,
        /** Cuts it; the effect returned mends it. */
        cut: (how: Cut) =>
          Effect.sync(() => {
            cuts = [...cuts, how]
            if (isSilent()) { for (const pair of pairs) part(pair) }
            else reset()
            return Effect.sync(() => {
              const at = cuts.indexOf(how)
              cuts = cuts.filter((_, n) => n !== at)
              if (how === "forgotten") reset()
              // What was sent meanwhile arrives now.
              if (!isSilent()) { for (const pair of pairs) join(pair) }
            })
          }),
        close: () => {
          reset()
          server.close()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  )

export type Link = Effect.Success<ReturnType<typeof make>>
