/**
 * Ports for processes that a test starts. They lie below those that systems give to connections on their way out (from
 * 32768 on Linux, 49152 elsewhere): a port of these, free when it was looked for, can be a connection's own before the
 * process listens on it.
 */
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

const lowest = 10_000
const above = 32_768

const given = new Set<number>()

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/** A port of 127.0.0.1 that nothing listens on and that this process was not given before. */
export const freePort = async (): Promise<number> => {
  const port = randomInt(lowest, above)
  if (given.has(port) || !(await isFree(port))) return freePort()
  given.add(port)
  return port
}
