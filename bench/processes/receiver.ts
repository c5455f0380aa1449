/**
 * The receiver: accepts, counts, and notes when each message came. What comes to `/hang…` is answered late, and while it is closed
 * nothing is.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { answer } from "../Child.ts"
import { clock } from "../Payload.ts"

/** How long a hanging endpoint takes, in milliseconds. */
const hangMs = 10_000

/** By path: what came. */
interface Endpoint {
  readonly ids: Set<string>
  requests: number
  /** From emit to receive, in milliseconds, where it is measured. */
  readonly latencies: Array<number>
}

let endpoints = new Map<string, Endpoint>()
let measures = false
let distinct = 0
let targets: Array<{ readonly count: number; readonly reached: (at: number) => void }> = []

/** Requests that wait while nothing is answered. */
let held: Array<ServerResponse> | undefined

const accept = (response: ServerResponse) => {
  response.writeHead(200, { "content-type": "application/json" })
  response.end("{}")
}

const server = createServer((request, response) => {
  const path = request.url ?? ""
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => {
    if (measures) body += chunk
  })
  request.on("end", () => {
    let endpoint = endpoints.get(path)
    if (!endpoint) endpoints.set(path, endpoint = { ids: new Set(), requests: 0, latencies: [] })
    endpoint.requests++
    const id = String(request.headers["webhook-id"])
    if (!endpoint.ids.has(id)) {
      endpoint.ids.add(id)
      distinct++
      if (measures) endpoint.latencies.push(clock() - Number(/"at":([\d.]+)/u.exec(body)?.[1]))
    }
    if (path.startsWith("/hang")) setTimeout(accept, hangMs, response).unref()
    else if (held) held.push(response)
    else accept(response)
    for (const target of targets) if (distinct === target.count) target.reached(clock())
  })
})
server.keepAliveTimeout = 60_000
const listening = new Promise<number>((resolve) => {
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
})

const calls = {
  port: () => listening,
  /** Forgets what came; `latency` says whether bodies are read for the time of their emit. */
  reset: (options: { readonly latency: boolean }) => {
    endpoints = new Map()
    distinct = 0
    targets = []
    measures = options.latency
  },
  /** Answers nothing until it is opened, so that a backlog grows behind the first requests. */
  close: () => {
    held = []
  },
  open: () => {
    const waiting = held ?? []
    held = undefined
    for (const response of waiting) accept(response)
  },
  /** Waits until so many distinct messages came, counted for each endpoint; when that was. */
  received: (count: number) =>
    new Promise<number>((resolve) => {
      if (distinct >= count) resolve(clock())
      else targets.push({ count, reached: resolve })
    }),
  /** What came to the paths that begin so. */
  seen: (prefix: string) => {
    const found = [...endpoints].filter(([path]) => path.startsWith(prefix)).map(([, endpoint]) => endpoint)
    return {
      distinct: found.reduce((sum, { ids }) => sum + ids.size, 0),
      requests: found.reduce((sum, { requests }) => sum + requests, 0),
      latencies: found.flatMap(({ latencies }) => latencies)
    }
  }
}
/** The calls of this process. */
export type Receiver = typeof calls

answer(calls)
