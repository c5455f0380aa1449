/**
 * Sends the requests of a seed over some connections at once, and judges each answer.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Contract } from "./Contract.ts"
import type { Request } from "./Requests.ts"
import * as Verdict from "./Verdict.ts"
import { Closed, Wire } from "./Wire.ts"

export interface Finding {
  readonly n: number
  readonly finding: string
  readonly what: string
  readonly bearer: string
  readonly request: string
  readonly answer: string
}

export interface Report {
  /** Different ones, up to 20. */
  readonly findings: ReadonlyArray<Finding>
  readonly byStatus: ReadonlyMap<number, number>
  /** Operations that were answered well. */
  readonly succeeded: ReadonlySet<string>
  readonly slowestMs: number
}

/** How long one answer may take, unless it is said: a machine that is busy is no finding. */
const patienceMs = 10_000

const shown = (bytes: Buffer, length: number) =>
  bytes.length <= length
    ? bytes.toString("latin1")
    : `${bytes.subarray(0, length).toString("latin1")}… (${bytes.length} bytes)`

/** Sends the requests from one number up to another. */
export const run = async (options: {
  readonly port: number
  readonly contract: Contract
  readonly make: (n: number) => Request
  readonly from: number
  readonly to: number
  readonly connections: number
  readonly withinMs?: number
  /** Findings that are kept, each kind once. */
  readonly most?: number
}): Promise<Report> => {
  const findings = new Map<string, Finding>()
  const byStatus = new Map<number, number>()
  const succeeded = new Set<string>()
  const { most = 20, withinMs = patienceMs } = options
  let slowestMs = 0
  let next = options.from
  const found = (request: Request, finding: string, answer: string) => {
    const key = `${finding} ${request.what} ${request.operation.id}`
    if (findings.size >= most || findings.has(key)) return
    findings.set(key, {
      n: request.n,
      finding,
      what: request.what,
      bearer: request.bearer.name,
      request: shown(request.bytes, 600),
      answer
    })
  }
  const send = async (wire: Wire, request: Request) => {
    const began = performance.now()
    try {
      const answer = await wire.send({ ...request, withinMs })
      byStatus.set(answer.status, (byStatus.get(answer.status) ?? 0) + 1)
      const finding = Verdict.of(options.contract, request, answer)
      if (finding !== undefined) found(request, finding, shown(answer.body, 400))
      if (answer.status < 300 && request.isItsOwn) succeeded.add(request.operation.id)
    } catch (error) {
      if (error instanceof Closed && request.mayClose) byStatus.set(0, (byStatus.get(0) ?? 0) + 1)
      else found(request, error instanceof Error ? error.message : String(error), "")
    }
    slowestMs = Math.max(slowestMs, performance.now() - began)
  }
  const lane = async () => {
    const wire = new Wire(options.port)
    while (next < options.to) {
      const request = options.make(next++)
      // What follows on a connection whose framing was wrong would not be understood.
      if (request.mayClose) wire.close()
      await send(wire, request)
      if (request.mayClose) wire.close()
    }
    wire.close()
  }
  await Promise.all(Array.from({ length: options.connections }, lane))
  return { findings: [...findings.values()], byStatus, succeeded, slowestMs }
}

/** Bytes of the heap that are in use after all that is garbage was collected. */
export const heapUsed = async (): Promise<number> => {
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  // What the first collection lets go of by finalizers, the second one frees.
  for (let n = 0; n < 3; n++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}
