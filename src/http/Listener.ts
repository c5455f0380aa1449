/**
 * Node's HTTP server, whose own answers are problems too: to what is no HTTP, or more of it than the server takes.
 */
import { createServer, type Server, type ServerResponse, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import * as Problem from "./Problem.ts"
import * as Undeclared from "./Undeclared.ts"

/**
 * Makes the server; it does not listen yet.
 *
 * @category constructors
 * @since 0.1.0
 */
export const create = (): Server => {
  const server = createServer()
  const answers = new WeakMap<Duplex, ServerResponse>()
  server.on("request", ({ socket }, response) => {
    answers.set(socket, response)
  })
  server.on("checkExpectation", (_, response) => {
    const { body, headers, status } = answerOf(Undeclared.unexpected, "Leave out the header Expect.")
    response.writeHead(status, headers).end(body)
  })
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const answer = answers.get(socket)
    // An answer that has begun can't become another one.
    const isAnswering = answer !== undefined && answer.headersSent && !answer.writableFinished
    if (!socket.writable || isAnswering) return void socket.destroy()
    const { body, headers, status } = answerTo(error)
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines}connection: close\r\n\r\n${body}`)
  })
  return server
}

// --- internal ---

const answerOf = (kind: Undeclared.Kind, detail: string) => {
  const body = JSON.stringify(Problem.body(kind, detail))
  const headers = {
    "content-type": "application/problem+json",
    "content-length": String(Buffer.byteLength(body)),
    "x-content-type-options": "nosniff",
    "cache-control": "no-store"
  }
  return { status: kind.status, headers, body }
}

const answerTo = ({ code }: NodeJS.ErrnoException) => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return answerOf(Undeclared.headersTooLarge, "Send a shorter URL, and fewer or shorter headers.")
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return answerOf(Undeclared.tooSlow, "Send the request at once.")
    default:
      return answerOf(Undeclared.cutOff, "This is no HTTP/1.1: look at the request's first line, headers and length.")
  }
}
