/**
 * Times connections and requests. Undici gives a connection that it has made to the request that waits for it before it returns
 * from being told; so the connection of a request is the one that is being told of when the request starts, if there is one.
 */
import type { Clock } from "effect"
import { Socket } from "node:net"
import type { buildConnector } from "undici"
import * as Monotonic from "../Monotonic.ts"
import type { Phases } from "../Phases.ts"

/** When a connection got how far, in milliseconds on the monotonic clock. */
interface Connection {
  readonly beganAt: number
  lookedUpAt?: number
  connectedAt?: number
  readyAt?: number
  readonly secure: boolean
}

/**
 * Times the connections of one egress.
 *
 * @category models
 * @since 0.1.0
 */
export class Timing {
  readonly #clock: Clock.Clock
  #connecting: Connection | undefined
  #told: Connection | undefined

  constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  get now(): number {
    return Monotonic.readMs(this.#clock)
  }

  /** A connector whose connections are timed. */
  connector(connect: buildConnector.connector): buildConnector.connector {
    return (target, callback) => {
      const connection: Connection = { beganAt: this.now, secure: target.protocol === "https:" }
      this.#connecting = connection
      try {
        const socket: unknown = connect(target, (...made) => {
          if (made[0] === null) {
            connection.readyAt = this.now
            // Undici hears of it first, and has sent the request before others do.
            connection.connectedAt ??= connection.readyAt
          }
          this.#told = connection
          try {
            callback(...made)
          } finally {
            this.#told = undefined
          }
        })
        if (socket instanceof Socket) {
          socket.once("connect", () => {
            connection.connectedAt ??= this.now
          })
        }
      } finally {
        this.#connecting = undefined
      }
    }
  }

  /** To be called when a look-up begins; what it returns, when it has ended. */
  lookup(): () => void {
    const connection = this.#connecting
    return () => {
      if (connection) connection.lookedUpAt = this.now
    }
  }

  /** Times one request that begins now. */
  request(nowMs: number): RequestTiming {
    return new RequestTiming(this, nowMs)
  }

  /** The connection that undici is being told of. */
  get told(): Connection | undefined {
    return this.#told
  }
}

/**
 * Times one request.
 *
 * @category models
 * @since 0.1.0
 */
export class RequestTiming {
  readonly #timing: Timing
  readonly #beganAt: number
  #connection: Connection | undefined
  #sentAt: number | undefined
  #answeredAt: number | undefined

  constructor(timing: Timing, beganAt: number) {
    this.#timing = timing
    this.#beganAt = beganAt
  }

  /** The request goes out, on the connection that was made for it or on one that was open. */
  sent(): void {
    this.#connection = this.#timing.told
    this.#sentAt = this.#timing.now
  }

  answered(): void {
    this.#answeredAt ??= this.#timing.now
  }

  /** It came to nothing, because of the connection that was being made for it if there was one. */
  failed(): void {
    this.#connection ??= this.#timing.told
  }

  /** How long each phase took so far. */
  get phases(): Phases {
    const { beganAt, connectedAt, lookedUpAt, readyAt, secure } = this.#connection ?? unconnected
    const phases: { -readonly [K in keyof Phases]: Phases[K] } = {}
    note(phases, "lookupMs", beganAt, lookedUpAt)
    note(phases, "connectMs", lookedUpAt ?? beganAt, connectedAt)
    if (secure) note(phases, "tlsMs", connectedAt, readyAt)
    note(phases, "firstByteMs", this.#sentAt, this.#answeredAt)
    note(phases, "totalMs", this.#beganAt, this.#timing.now)
    return phases
  }
}

// --- internal ---

const unconnected: Connection = { beganAt: 0, secure: false }

/** In hundredths of a millisecond. */
const note = (
  phases: { -readonly [K in keyof Phases]: Phases[K] },
  name: keyof Phases,
  from: number | undefined,
  to: number | undefined
) => {
  if (from !== undefined && to !== undefined) phases[name] = Math.max(0, Math.round((to - from) * 100) / 100)
}
