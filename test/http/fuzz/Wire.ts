/**
 * HTTP by hand: requests as bytes, so that they may be what no client would send, and answers as far as they came.
 */
import { connect, type Socket } from "node:net"

export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface Sending {
  /** The request, whole. */
  readonly bytes: Buffer
  /** For how long an answer may be waited for. */
  readonly withinMs: number
  /** No body follows the head of the answer. */
  readonly headOnly: boolean
  /** Nothing more is sent: the other side sees the end. */
  readonly ends: boolean
}

/** What was sent was not answered: the connection closed before. */
export class Closed extends Error {}

/** Nothing came within the time. */
export class Hanging extends Error {}

/** One connection at a time, opened again when it was closed. */
export class Wire {
  private socket: Socket | undefined
  private readonly port: number
  /** What went before on the connection, as it may be what broke it. */
  private before: string | undefined

  constructor(port: number) {
    this.port = port
  }

  send(sending: Sending): Promise<Answer> {
    const socket = this.socket ?? connect({ port: this.port, host: "127.0.0.1", noDelay: true })
    this.socket = socket
    const signal = AbortSignal.timeout(sending.withinMs)
    return new Promise((resolve, reject) => {
      let received = Buffer.alloc(0)
      const done = (isKept: boolean, finish: () => void) => {
        socket.removeAllListeners()
        signal.removeEventListener("abort", hanging)
        // What comes later on a connection that is given up is nobody's.
        socket.on("error", () => {})
        if (!isKept) this.close()
        finish()
      }
      const hanging = () => done(false, () => reject(new Hanging(`no answer, but ${received.length} bytes`)))
      const closed = () => {
        const answer = parse(received, { ...sending, isOver: true })
        const after = this.before === undefined ? "" : ` after ${this.before}`
        done(
          false,
          () => answer === undefined ? reject(new Closed(`closed without an answer${after}`)) : resolve(answer)
        )
      }
      signal.addEventListener("abort", hanging)
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk])
        const answer = parse(received, { ...sending, isOver: false })
        if (answer === undefined) return
        this.before = sending.bytes.subarray(0, 300).toString("latin1")
        const isKept = !sending.ends && answer.headers.get("connection") !== "close" && !isStream(answer)
        done(isKept, () => resolve(answer))
      })
      socket.on("error", closed)
      socket.on("close", closed)
      socket.on("end", closed)
      socket.write(sending.bytes)
      if (sending.ends) socket.end()
    })
  }

  close(): void {
    this.socket?.destroy()
    this.socket = undefined
    this.before = undefined
  }
}

// --- internal ---

const isStream = ({ headers }: Pick<Answer, "headers">) => headers.get("content-type") === "text/event-stream"

const parse = (
  received: Buffer,
  { headOnly, isOver }: { readonly headOnly: boolean; readonly isOver: boolean }
): Answer | undefined => {
  const end = received.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const [first = "", ...lines] = received.subarray(0, end).toString("latin1").split("\r\n")
  const status = Number(first.split(" ", 2)[1])
  const rest = received.subarray(end + 4)
  // An interim answer comes before the answer.
  if (status === 100) return parse(rest, { headOnly, isOver })
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":")
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
  }))
  const answer = (body: Buffer): Answer => ({ status, headers, body })
  if (headOnly || status === 204 || status === 304) return answer(Buffer.alloc(0))
  if (isStream({ headers })) return rest.length > 0 ? answer(rest) : undefined
  const length = headers.get("content-length")
  if (length !== undefined) {
    return rest.length >= Number(length) ? answer(rest.subarray(0, Number(length))) : undefined
  }
  if (headers.get("transfer-encoding") === "chunked") {
    const body = chunks(rest)
    return body === undefined ? undefined : answer(body)
  }
  return isOver ? answer(rest) : undefined
}

const chunks = (bytes: Buffer): Buffer | undefined => {
  const parts: Array<Buffer> = []
  let at = 0
  for (;;) {
    const line = bytes.indexOf("\r\n", at)
    if (line < 0) return undefined
    const size = Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16)
    if (bytes.length < line + 2 + size + 2) return undefined
    if (size === 0) return Buffer.concat(parts)
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}
