/**
 * A real HTTP server on loopback for a test, closed with its scope, that remembers its connections.
 */
import { Effect } from "effect"
import { createServer, type RequestListener } from "node:http"
import type { Server, Socket } from "node:net"

/** Listens on a free port of 127.0.0.1. */
export const listening = <S extends Server>(server: S) =>
  Effect.callback<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** Serves with a listener; `sockets` are all connections that were ever made. */
export const served = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.gen(function*() {
      const sockets: Array<Socket> = []
      const server = createServer(listener)
      server.keepAliveTimeout = 60_000
      server.on("connection", (socket) => void sockets.push(socket))
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

/** Waits on a condition that real I/O will make true. */
export const eventually = (what: string, condition: () => boolean) =>
  Effect.gen(function*() {
    while (!condition()) yield* Effect.sleep("5 millis")
  }).pipe(
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.die(new Error(`it did not come to pass: ${what}`))
    })
  )
