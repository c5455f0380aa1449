/**
 * Egress on Node: connections of undici's to a bounded set of origins, whose connector judges every address before it connects to it, and
 * connects to no other.
 */
import { Clock, Effect, type Fiber, Layer, Redacted, Result, Schema } from "effect"
import { createHash } from "node:crypto"
import type { LookupAddress } from "node:dns"
import type { IncomingHttpHeaders } from "node:http"
import { isIP, type LookupFunction } from "node:net"
import { createSecureContext } from "node:tls"
import { buildConnector, type Client, type Dispatcher } from "undici"
import * as Deadlines from "../Deadlines.ts"
import {
  ConnectionFailed,
  Egress,
  type EgressError,
  type EgressRequest,
  type EgressResponse,
  EgressTimeout,
  type EgressTls,
  ForbiddenTarget
} from "../Egress.ts"
import { Limits } from "../Limits.ts"
import * as Metrics from "../Metrics.ts"
import * as Note from "../Note.ts"
import * as AddressPolicy from "./AddressPolicy.ts"
import { Connections } from "./Connections.ts"
import { Gate, type Time } from "./Gate.ts"
import * as Resolver from "./Resolver.ts"
import { type RequestTiming, Timing } from "./Timing.ts"

/**
 * A network in the allow-list is malformed: the operator's fault, told at start.
 *
 * @category errors
 * @since 0.1.0
 */
export class AllowListRefused extends Schema.TaggedError<AllowListRefused>()("AllowListRefused", {
  message: Schema.String
}) {}

/**
 * Layer of the door. `allow` names networks that are open although they are not public, as CIDRs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  readonly allow?: ReadonlyArray<string>
  /** The resolver; one of our own when left out. */
  readonly resolve?: Resolver.Resolve
}): Layer.Layer<Egress, AllowListRefused> =>
  Layer.effect(
    Egress,
    Effect.gen(function*() {
      const { allowed, refused } = AddressPolicy.parseAllowed(options?.allow ?? [])
      if (refused.length > 0) {
        return yield* new AllowListRefused({
          message: `HOOKLINE_EGRESS_ALLOW: "${
            refused[0]
          }" is no network: expected CIDRs such as 10.0.0.0/8, with commas between.`
        })
      }
      const limits = yield* Limits
      const resolve = options?.resolve ?? (yield* Resolver.make({ limits }))
      const timing = new Timing(yield* Clock.Clock)
      const timed: Resolver.Resolve = (hostname, callback) => {
        const ended = timing.lookup()
        resolve(hostname, (error, addresses) => {
          ended()
          callback(error, addresses)
        })
      }
      const deadlines = yield* Deadlines.make
      const origins = yield* makeOrigins(
        limits,
        { now: () => timing.now, in: deadlines.add },
        (tls) => timing.connector(connector(allowed, timed, limits, tls))
      )
      const door: Door = { origins, targets: makeTargets(allowed, limits.targets), limits, timing, deadlines }
      return Egress.of({
        send: (request) => send(door, request),
        begin: (request, note, told) => begin(door, request, note, told),
        check: (url) => check(allowed, resolve, limits, url)
      })
    })
  )

// --- internal ---

class Forbidden extends Error {}

/** All addresses of a name are judged, and the answer is refused whole when one of them is. */
const refusalOfAll = (
  hostname: string,
  addresses: ReadonlyArray<LookupAddress>,
  allowed: AddressPolicy.Allowed
): string | undefined => {
  for (const { address } of addresses) {
    const refusal = AddressPolicy.refusal(address, allowed)
    if (refusal) return `${hostname} resolves to ${refusal}`
  }
  return undefined
}

const connector = (
  allowed: AddressPolicy.Allowed,
  resolve: Resolver.Resolve,
  limits: Limits,
  tls: EgressTls | undefined
): buildConnector.connector => {
  const judged: LookupFunction = (hostname, lookupOptions, callback) =>
    resolve(hostname, (error, addresses) => {
      const first = addresses[0]
      const refusal = error ? undefined : refusalOfAll(hostname, addresses, allowed)
      if (error || refusal || !first) {
        callback(error ?? (refusal ? new Forbidden(refusal) : new Error(`${hostname} has no address`)), "", 4)
      } else if (lookupOptions.all === true) callback(null, [...addresses])
      else callback(null, first.address, first.family)
    })
  const connect = buildConnector({
    timeout: limits.connectTimeoutMs,
    lookup: judged,
    allowH2: false,
    // Read once, not for each connection.
    ...(tls === undefined ? {} : { secureContext: contextOf(tls) })
  })
  return (target, callback) => {
    const host = AddressPolicy.hostOf(target)
    // A literal address is never looked up.
    const refusal = isIP(host) === 0 ? undefined : AddressPolicy.refusal(host, allowed)
    if (refusal) queueMicrotask(() => callback(new Forbidden(refusal), null))
    else return connect(target, callback)
  }
}

const contextOf = ({ authorities, certificate, privateKey }: EgressTls) =>
  createSecureContext({
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(privateKey === undefined ? {} : { key: Redacted.value(privateKey) }),
    ...(authorities === undefined ? {} : { ca: authorities })
  })

interface Origin {
  readonly connections: Connections
  readonly gate: Gate
}

interface Origins {
  readonly of: (origin: string, tls: EgressTls | undefined) => Origin
}

const fingerprints = new WeakMap<EgressTls, string>()

const fingerprintOf = (tls: EgressTls): string => {
  const { authorities = null, certificate = null, privateKey } = tls
  const known = fingerprints.get(tls)
  if (known !== undefined) return known
  const text = JSON.stringify([certificate, privateKey ? Redacted.value(privateKey) : null, authorities])
  const fingerprint = createHash("sha256").update(text).digest("hex")
  fingerprints.set(tls, fingerprint)
  return fingerprint
}

/** Connections made with one client's certificate, or trusting other authorities, are no other's. */
const keyOf = (origin: string, tls: EgressTls | undefined): string =>
  tls === undefined ? origin : `${origin} ${fingerprintOf(tls)}`

/**
 * The origins, in the order of their use; the least recently used that are idle close when there are too many. Those that
 * are busy stay: there are never more of them than requests in flight.
 */
const makeOrigins = Effect.fnUntraced(function*(
  limits: Limits,
  time: Time,
  connector: (tls: EgressTls | undefined) => buildConnector.connector
) {
  const origins = new Map<string, Origin>()
  let last: { readonly key: string; readonly origin: Origin } | undefined
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => Promise.all([...origins.values()].map(({ connections }) => connections.close())))
  )
  const make = (origin: string, tls: EgressTls | undefined): Origin => ({
    gate: new Gate({ limit: limits.connectionsPerOrigin, slowMs: limits.slowRequestMs, time }),
    // The gate says how many: one for each request under way.
    connections: new Connections(origin, {
      connect: connector(tls),
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMs,
      headersTimeout: 0,
      bodyTimeout: 0
    }, (call) => void time.in(limits.connectionRestMs, call))
  })
  const sum = (read: (origin: Origin) => number) => () => {
    let found = 0
    for (const origin of origins.values()) found += read(origin)
    return found
  }
  yield* Metrics.watch(Metrics.egressPools, () => origins.size)
  yield* Metrics.watch(Metrics.egressConnections, sum(({ connections }) => connections.connected))
  yield* Metrics.watch(Metrics.egressQueued, sum(({ gate }) => gate.waiting))
  return {
    of: (origin, tls) => {
      const key = keyOf(origin, tls)
      // It stands last already.
      if (last?.key === key) return last.origin
      const found = origins.get(key) ?? make(origin, tls)
      last = { key, origin: found }
      origins.delete(key)
      origins.set(key, found)
      if (origins.size > limits.origins) {
        for (const [other, { connections, gate }] of origins) {
          if (!gate.isIdle || other === key) continue
          origins.delete(other)
          void connections.close()
          if (origins.size <= limits.origins) break
        }
      }
      return found
    }
  } satisfies Origins
})

/** Where a request goes, and why it may not. */
interface Target {
  readonly origin: string
  readonly path: string
  readonly refusal: string | undefined
}

/** Judges URLs, each once as long as they are few: most subscriptions send to the same one again and again. */
const makeTargets = (allowed: AddressPolicy.Allowed, kept: number) => {
  const known = new Map<string, Target>()
  // Many have the same.
  const origins = new Map<string, string>()
  return (text: string): Target => {
    const found = known.get(text)
    if (found) return found
    const refusal = AddressPolicy.refusalOfUrl(text, allowed)
    const url = URL.parse(text)
    if (known.size >= kept) {
      known.clear()
      origins.clear()
    }
    const parsed = url?.origin ?? ""
    const origin = origins.get(parsed) ?? parsed
    origins.set(origin, origin)
    const target = { origin, path: url ? url.pathname + url.search : "", refusal }
    known.set(text, target)
    return target
  }
}

interface Door {
  readonly origins: Origins
  readonly targets: (url: string) => Target
  readonly limits: Limits
  readonly timing: Timing
  readonly deadlines: Deadlines.Deadlines
}

type Told = (result: Result.Result<EgressResponse, EgressError>) => void

const begin = (door: Door, request: EgressRequest, note: Note.Note | undefined, told: Told): () => void => {
  const exchange = new Exchange(door, note, told)
  exchange.begin(request)
  return () => exchange.giveUp()
}

const send = (door: Door, request: EgressRequest): Effect.Effect<EgressResponse, EgressError> =>
  Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) =>
    Effect.callback<EgressResponse, EgressError>((resume) => {
      const giveUp = begin(door, request, fiber.getRef(Note.Note), (result) => resume(Effect.fromResult(result)))
      return Effect.sync(giveUp)
    })
  )

/**
 * A request on its way, and what undici calls meanwhile: one object, as there are very many. When it is settled it lets go of all
 * that it was for: V8 may have made it in old memory, as it does with what once lived long, and whatever such an object refers to
 * would be there until old memory is collected.
 */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #door: Door
  #request: EgressRequest | undefined
  #note: Note.Note | undefined
  /** Undefined once it is settled. */
  #told: Told | undefined
  #timed: RequestTiming | undefined
  #chunks: Array<Buffer> = []
  #size = 0
  #statusCode = 0
  #headers: Readonly<Record<string, string>> = none
  #inTime: (() => void) | undefined
  #leave: (() => void) | undefined
  #connections: Connections | undefined
  /** What it is sent on. */
  #client: Client | undefined

  constructor(door: Door, note: Note.Note | undefined, told: Told) {
    this.#door = door
    this.#note = note
    this.#told = told
  }

  /** What is called later has no hold of the request but by this object. */
  begin(request: EgressRequest): void {
    this.#request = request
    const { deadlines, limits, origins, targets, timing } = this.#door
    const { timeoutMs = limits.requestTimeoutMs, tls, url } = request
    const { origin, path, refusal } = targets(url)
    const nowMs = timing.now
    if (this.#note) this.#timed = timing.request(nowMs)
    if (refusal) return this.#end(Result.fail(new ForbiddenTarget({ message: refusal })))
    this.#inTime = deadlines.add(timeoutMs, () => {
      this.#end(Result.fail(new EgressTimeout({ message: `No whole answer within ${timeoutMs} ms` })))
    }, nowMs)
    try {
      const { connections, gate } = origins.of(origin, tls)
      this.#connections = connections
      this.#leave = gate.enter(() => this.#dispatch(connections, path), nowMs)
      // It may have ended before it was known how it leaves.
      if (this.#told === undefined) this.#leave()
    } catch (error) {
      this.#end(Result.fail(mapError(error)))
    }
  }

  /** Nobody waits for its answer any more. */
  giveUp(): void {
    this.#settle(false)
  }

  onRequestStart(): void {
    this.#timed?.sent()
  }

  // Interim answers (1xx) come first, and are no part of the answer.
  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.#timed?.answered()
    this.#statusCode = status
    this.#headers = single(headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#door.limits.responseBytes) return
    this.#succeed(false)
    controller.abort(new Error("the answer is longer than is read"))
  }

  onResponseEnd(): void {
    this.#succeed(true)
  }

  #succeed(isWhole: boolean): void {
    const [first] = this.#chunks
    const body = first && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)
    this.#end(
      Result.succeed({
        statusCode: this.#statusCode,
        headers: this.#headers,
        body: body.toString("utf8", 0, this.#door.limits.responseBytes)
      }),
      isWhole
    )
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#timed?.failed()
    this.#end(Result.fail(mapError(error)))
  }

  #dispatch(connections: Connections, path: string): void {
    if (this.#request === undefined) return
    const { body, headers, method } = this.#request
    try {
      this.#client = connections.take()
      this.#client.dispatch({ path, method, headers: [...headers], body }, this)
    } catch (error) {
      this.#end(Result.fail(mapError(error)))
    }
  }

  #end(result: Result.Result<EgressResponse, EgressError>, isWhole = false): void {
    const told = this.#told
    if (told === undefined) return
    this.#settle(isWhole)
    told(result)
  }

  #settle(isWhole: boolean): void {
    this.#inTime?.()
    // First, so that what begins in its place goes on the same connection.
    if (this.#client) {
      if (isWhole) this.#connections?.giveBack(this.#client)
      else this.#connections?.drop(this.#client)
    }
    this.#client = undefined
    this.#connections = undefined
    this.#leave?.()
    if (this.#note && this.#timed) this.#note.phases = this.#timed.phases
    this.#request = undefined
    this.#told = undefined
    this.#inTime = undefined
    this.#leave = undefined
    this.#note = undefined
    this.#timed = undefined
    this.#headers = none
    // Views of all that was read at once, tens of kilobytes each, which would be there until the next whole collection.
    this.#chunks = []
  }
}

const none: Readonly<Record<string, string>> = {}

/** Whether each of some headers has one value, as most do. */
const isSingle = (received: IncomingHttpHeaders): received is Record<string, string> => {
  for (const name in received) if (typeof received[name] !== "string") return false
  return true
}

/** Headers of which each has one value, by names in lower case, as undici gives them. */
const single = (received: IncomingHttpHeaders): Readonly<Record<string, string>> => {
  if (isSingle(received)) return received
  const headers: Record<string, string> = {}
  for (const name in received) {
    const value = received[name]
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value
  }
  return headers
}

const mapError = (error: unknown): EgressError => {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Forbidden) return new ForbiddenTarget({ message: cause.message })
  }
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "UNKNOWN"
  const message = error instanceof Error && error.message !== "" ? error.message : "the connection failed"
  // A name without an answer is a connection that was not made in time, whichever of the two is known first.
  if (code === "UND_ERR_CONNECT_TIMEOUT") return new EgressTimeout({ message: "No connection in time" })
  if (code === "ETIMEOUT") return new EgressTimeout({ message: `No connection in time: ${message}` })
  return new ConnectionFailed({ code, message: message.includes(code) ? message : `${code}: ${message}` })
}

const check = (
  allowed: AddressPolicy.Allowed,
  resolve: Resolver.Resolve,
  limits: Limits,
  text: string
): Effect.Effect<void, ForbiddenTarget> => {
  const refusal = AddressPolicy.refusalOfUrl(text, allowed)
  if (refusal) return Effect.fail(new ForbiddenTarget({ message: refusal }))
  const host = AddressPolicy.hostOf(new URL(text))
  if (isIP(host) !== 0) return Effect.void
  return Effect.callback<void, ForbiddenTarget>((resume) =>
    resolve(host, (error, addresses) => {
      // A name that does not resolve now may do so when it is needed.
      const found = error ? undefined : refusalOfAll(host, addresses, allowed)
      resume(found ? Effect.fail(new ForbiddenTarget({ message: found })) : Effect.void)
    })
  ).pipe(Effect.timeoutOrElse({ duration: limits.connectTimeoutMs, orElse: () => Effect.void }))
}
