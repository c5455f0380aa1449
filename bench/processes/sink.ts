/**
 * The sink: takes what a collector would, and counts it.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { answer } from "../Child.ts"

let requests = 0
let bytes = 0

const server = createServer((request, response) => {
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on("end", () => {
    requests++
    response.writeHead(200, { "content-type": "application/x-protobuf" })
    response.end()
  })
})
const listening = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
})

const calls = {
  port: () => listening,
  /** What came since it began. */
  seen: () => ({ requests, bytes })
}
/** The calls of this process. */
export type Sink = typeof calls

answer(calls)
