/**
 * A proxy before PostgreSQL that counts what clients ask and how often they wait for an answer.
 */
import * as Net from "node:net"

/** What went through. */
export interface Counts {
  /** Statements that were executed. */
  readonly statements: number
  /** How often a client spoke after the server had: each time it waited for an answer before. */
  readonly roundTrips: number
}

/** A running proxy. */
export interface Turns extends AsyncDisposable {
  readonly port: number
  /** Counts since it began, of the connections whose application has that name. */
  readonly counts: () => Counts
}

/** Messages of the protocol that execute a statement: of its extended form, and of its simple one. */
const executes = new Set(["E", "Q"].map((letter) => letter.charCodeAt(0)))

/** Tells the types of the messages in a stream of them, the first of which has none. */
export const messages = () => {
  let left = Buffer.alloc(0)
  let isStarted = false
  return (chunk: Buffer): ReadonlyArray<number> => {
    left = Buffer.concat([left, chunk])
    const types: Array<number> = []
    while (true) {
      const head = isStarted ? 1 : 0
      if (left.length < head + 4) return types
      const end = head + left.readInt32BE(head)
      if (left.length < end) return types
      if (isStarted) types.push(left.readUInt8(0))
      isStarted = true
      left = left.subarray(end)
    }
  }
}

/** Starts one before the server of a URL. */
export const start = async (url: string, application: string): Promise<Turns> => {
  const target = Number(new URL(url).port)
  let statements = 0
  let roundTrips = 0
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer((client) => {
    const upstream = Net.connect(target, "127.0.0.1")
    client.setNoDelay(true)
    upstream.setNoDelay(true)
    const read = messages()
    let isCounted: boolean | undefined
    let isAnswered = false
    client.on("data", (chunk) => {
      isCounted ??= chunk.includes(application)
      const executed = read(chunk).filter((type) => executes.has(type)).length
      if (isCounted) {
        statements += executed
        if (isAnswered) roundTrips++
      }
      isAnswered = false
      upstream.write(chunk)
    })
    upstream.on("data", (chunk) => {
      isAnswered = true
      client.write(chunk)
    })
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      sockets.add(one)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("The proxy has no port")
  return {
    port: address.port,
    counts: () => ({ statements, roundTrips }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
