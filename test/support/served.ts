/**
 * A real HTTP server on loopback for a test, closed with its scope, that remembers its connections.
 */
import { Effect } from "effect"
import { createServer, type RequestListener } from "node:http"
import { createServer as createTlsServer, type ServerOptions } from "node:https"
import type { Server, Socket } from "node:net"

/** Listens on a port of 127.0.0.1, a free one unless it is told which. */
export const listening = <S extends Server>(server: S, port = 0) =>
  Effect.callback<number>((resume) => {
    server.listen(port, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

type HttpServer = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>

const serving = (make: () => HttpServer) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const sockets: Array<Socket> = []
      const server = make()
      server.keepAliveTimeout = 60_000
      server.on("connection", (socket: Socket) => void sockets.push(socket))
      const port = yield* listening(server)
      return {
        port,
        sockets,
        close: () => {
          server.closeAllConnections()
          server.close()
        }
      }
    }),
    ({ close }) => Effect.sync(close)
  )

/** Serves with a listener; `sockets` are all connections that were ever made. */
export const served = (listener: RequestListener) => serving(() => createServer(listener))

/** Serves over TLS. */
export const servedTls = (options: ServerOptions, listener: RequestListener) =>
  serving(() => createTlsServer(options, listener))

/** Waits on a condition that real I/O will make true. */
export const eventually = <E = never, R = never>(
  what: string,
  condition: () => boolean | Effect.Effect<boolean, E, R>
) =>
  Effect.gen(function*() {
    for (;;) {
      const met = condition()
      if (typeof met === "boolean" ? met : yield* met) return
      yield* Effect.sleep("5 millis")
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.die(new Error(`it did not come to pass: ${what}`))
    })
  )
