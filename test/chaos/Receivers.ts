/**
 * The receivers: endpoints with faults of their own, each of which notes every request that reaches it, what it answered and
 * whether the answer went out in full.
 */
import { Clock, Effect, FiberSet, Option, Schema } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { listening } from "../support/served.ts"
import * as Dice from "./Dice.ts"
import { allEvents, eventIds, processHeader } from "./Events.ts"

/** A request as its receiver saw it. */
export interface Request {
  readonly receiver: string
  readonly messageId: string
  readonly deliveryId: string
  readonly eventId: string
  /** Which process sent it. */
  readonly process: string
  /** The request's own time, in whole seconds. */
  readonly sentAtSeconds: number
  readonly atMs: number
  /** What tells the emission. */
  key: string | undefined
  /** What was answered; undefined where nothing was. */
  status: number | undefined
  /** The answer was sent in full. */
  full: boolean
}

/** What a receiver does with a request: wait, then answer with a status, reset the connection, or say nothing. */
interface Manner {
  readonly afterMs: number
  readonly does: number | "reset" | "nothing"
}

interface Role {
  readonly name: string
  readonly events: ReadonlyArray<string>
  readonly manner: (dice: Dice.Dice) => Manner
  readonly delaysMs?: ReadonlyArray<number>
  readonly ordered?: boolean
}

export const timeoutMs = 1000

const well: Manner = { afterMs: 0, does: 204 }

const some = (from: number, count: number) => eventIds.slice(from, from + count)

const roles: ReadonlyArray<Role> = [
  { name: "well", events: [allEvents], manner: () => well },
  { name: "slow", events: some(0, 5), manner: (dice) => ({ afterMs: dice.between(100, 800), does: 200 }) },
  { name: "failing", events: some(3, 6), manner: (dice) => dice.chance(0.3) ? { afterMs: 0, does: 500 } : well },
  {
    name: "resetting",
    events: some(8, 5),
    manner: (dice) => dice.chance(0.3) ? { afterMs: dice.between(0, 50), does: "reset" } : well
  },
  { name: "hanging", events: some(11, 4), manner: (dice) => dice.chance(0.1) ? { afterMs: 0, does: "nothing" } : well },
  // Some of these are answered just as the attempt is given up.
  {
    name: "late",
    events: some(12, 4),
    manner: (dice) => dice.chance(0.2) ? { afterMs: dice.between(timeoutMs - 50, timeoutMs + 400), does: 200 } : well
  },
  // Not always, and not to the end: its circuit would open, and its deliveries wait for longer than anybody watches.
  {
    name: "refusing",
    events: some(6, 2),
    manner: (dice) => dice.chance(0.5) ? { afterMs: 0, does: 500 } : well,
    delaysMs: [300, 600]
  },
  {
    name: "ordered",
    events: some(0, 6),
    manner: (dice) => dice.chance(0.2) ? { afterMs: 0, does: 500 } : well,
    ordered: true
  }
]

const Body = Schema.fromJsonString(Schema.Struct({ data: Schema.Struct({ key: Schema.String }) }))
const decodeBody = Schema.decodeUnknownOption(Body)

const header = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name]
  return typeof value === "string" ? value : ""
}

/** Listens with all of them while the scope is open. */
export const make = Effect.fnUntraced(function*(seed: number) {
  const requests: Array<Request> = []
  const state = { faulty: true }
  const run = yield* FiberSet.makeRuntime()

  const listen = Effect.fnUntraced(function*(role: Role, n: number) {
    const dice = Dice.make(seed + n)

    const receive = Effect.fnUntraced(function*(request: IncomingMessage, response: ServerResponse) {
      const manner = state.faulty ? role.manner(dice) : well
      const seen: Request = {
        receiver: role.name,
        messageId: header(request, "webhook-id"),
        deliveryId: header(request, "x-delivery-id"),
        eventId: header(request, "x-event-type"),
        process: header(request, processHeader),
        sentAtSeconds: Number(header(request, "webhook-timestamp")),
        atMs: yield* Clock.currentTimeMillis,
        key: undefined,
        status: undefined,
        full: false
      }
      requests.push(seen)
      const read = yield* textOf(request)
      // The sender is gone.
      if (Option.isNone(read)) return
      seen.key = Option.getOrUndefined(decodeBody(read.value))?.data.key
      yield* Effect.sleep(manner.afterMs)
      if (manner.does === "nothing") return
      if (manner.does === "reset") {
        request.socket.resetAndDestroy()
        return
      }
      seen.status = manner.does
      response.on("finish", () => {
        seen.full = true
      })
      response.writeHead(manner.does).end()
    })

    const server = yield* Effect.acquireRelease(
      Effect.sync(() => createServer((request, response) => void run(receive(request, response)))),
      (server) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return { ...role, url: `http://127.0.0.1:${yield* listening(server)}/` }
  })

  return {
    all: yield* Effect.forEach(roles, listen),
    /** In the order in which they came. */
    requests,
    /** From now on they all are well. */
    heal: Effect.sync(() => {
      state.faulty = false
    })
  }
})

export type Receivers = Effect.Success<ReturnType<typeof make>>

/** A subscription's input for the API. */
export const subscriptionOf = ({ delaysMs, events, name, ordered = false, url }: Receivers["all"][number]) => ({
  name,
  ordered,
  events,
  providerId: "chaos.endpoint",
  config: { url, timeoutMs },
  retry: delaysMs === undefined
    ? { type: "exponential", baseMs: 300, factor: 1.5, capMs: 2000, maxAttempts: 100, jitter: 0.2 }
    : { type: "delays", delaysMs }
})

export const isAccepted = ({ full, status }: Pick<Request, "full" | "status">): boolean =>
  full && status !== undefined && status >= 200 && status < 300

// --- internal ---

const textOf = (request: IncomingMessage) =>
  Effect.callback<Option.Option<string>>((resume) => {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (part: string) => {
      text += part
    })
    request.on("end", () => resume(Effect.succeed(Option.some(text))))
    request.on("error", () => resume(Effect.succeed(Option.none())))
    request.on("close", () => resume(Effect.succeed(Option.none())))
  })
