/**
 * A TCP proxy before a server, so that a test can take the server away and bring it back while its clients keep the address.
 */
import { Effect } from "effect"
import { connect, createServer, type Socket } from "node:net"
import { listening } from "./served.ts"

/** Listens on a free port and passes everything on, until it is told to refuse. */
export const proxy = (target: { readonly host: string; readonly port: number }) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const sockets = new Set<Socket>()
      const upstreams = new Set<Socket>()
      const state = { away: false, connections: 0 }
      const server = createServer((client) => {
        if (state.away) {
          client.destroy()
          return
        }
        state.connections++
        const upstream = connect(target)
        upstreams.add(upstream)
        upstream.on("close", () => upstreams.delete(upstream))
        for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
          sockets.add(from)
          from.on("error", () => {})
          from.on("close", () => {
            sockets.delete(from)
            to.destroy()
          })
          from.pipe(to)
        }
      })
      const port = yield* listening(server)
      const cut = () => {
        for (const socket of sockets) socket.destroy()
      }
      return {
        port,
        state,
        /** Cuts every connection and refuses new ones. */
        leave: Effect.sync(() => {
          state.away = true
          cut()
        }),
        /** Lets the connections there are fall silent, without a word to either side. */
        silence: Effect.sync(() => {
          for (const socket of sockets) socket.unpipe().pause()
        }),
        /** Takes in nothing any more that the server says on the connections there are, as clients that are frozen. */
        choke: Effect.sync(() => {
          for (const upstream of upstreams) upstream.unpipe().pause()
        }),
        comeBack: Effect.sync(() => {
          state.away = false
        }),
        close: () => {
          cut()
          server.close()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  )
