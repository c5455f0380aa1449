/**
 * The receivers: endpoints with faults of their own, each of which notes every request that reaches it, what it answered and
 * whether the answer went out in full. Some are of subscriptions, some of the handlers of the runners' plugin.
 */
import { Clock, Effect, FiberSet, Option, Schema } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { RateLimit } from "../../src/RateLimit.ts"
import { listening } from "../support/served.ts"
import * as Dice from "./Dice.ts"
import * as Events from "./Events.ts"

/** A request as its receiver saw it. */
export interface Request {
  readonly receiver: string
  readonly messageId: string
  /** Handlers are not told. */
  readonly deliveryId: string
  readonly eventId: string
  /** Which process sent it. */
  readonly process: string
  /** The request's own time, in whole seconds. */
  readonly sentAtSeconds: number
  /** Which attempt a handler was told that it is; undefined of a webhook. */
  readonly attempt: number | undefined
  readonly atMs: number
  /** When it was answered, or its sender gone. */
  endedAtMs: number | undefined
  /** What tells the emission. */
  key: string | undefined
  /** What was answered; undefined where nothing was. */
  status: number | undefined
  /** The answer was sent in full. */
  full: boolean
}

/** A message that the broadcast handler of a process heard. */
export interface Hearing {
  readonly process: string
  readonly messageId: string
  /** The name of this hearing: what was heard twice has two. */
  readonly hearing: string
  readonly atMs: number
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
  readonly maxConcurrency?: number
  readonly rateLimit?: RateLimit
  /** It is dead at times, and resets what comes. */
  readonly dies?: boolean
}

export const timeoutMs = 1000

const well: Manner = { afterMs: 0, does: 204 }

const some = (from: number, count: number) => Events.eventIds.slice(from, from + count)

const roles: ReadonlyArray<Role> = [
  { name: "well", events: [Events.allEvents], manner: () => well },
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
  },
  // Less than comes in a burst of the hot event, and more than comes in the long run, with what is tried again: some 7 a second.
  {
    name: "paced",
    events: some(0, 2),
    manner: (dice) => dice.chance(0.1) ? { afterMs: 0, does: 500 } : well,
    rateLimit: { messages: 10, intervalMs: 1000, burst: 12 }
  },
  // Two at a time make some 11 a second.
  {
    name: "narrow",
    events: some(0, 2),
    manner: (dice) => ({ afterMs: dice.between(50, 300), does: dice.chance(0.05) ? 500 : 200 }),
    maxConcurrency: 2
  },
  { name: "mortal", events: some(4, 5), manner: () => well, dies: true }
]

/** Of the work queues' handlers: they fail where these do. */
const queueRoles: ReadonlyArray<Role> = Events.queues.map((name, n) => ({
  name: `${Events.pluginId}.${name}`,
  events: [Events.queuedEvent],
  manner: (dice) =>
    dice.chance(0.2)
      ? { afterMs: dice.between(0, 100), does: n === 0 ? 500 : "reset" }
      : dice.chance(0.03)
      ? { afterMs: 0, does: "nothing" }
      : well
}))

const Body = Schema.fromJsonString(Schema.Struct({ data: Schema.Struct({ key: Schema.String }) }))
const decodeBody = Schema.decodeUnknownOption(Body)

const header = (request: IncomingMessage, name: string): string => {
  const value = request.headers[name]
  return typeof value === "string" ? value : ""
}

/** Listens with all of them while the scope is open. */
export const make = Effect.fnUntraced(function*(seed: number) {
  const requests: Array<Request> = []
  const hearings: Array<Hearing> = []
  const state = { faulty: true, dead: false }
  const run = yield* FiberSet.makeRuntime()

  const serve = Effect.fnUntraced(
    function*(receive: (request: IncomingMessage, response: ServerResponse) => Effect.Effect<void>) {
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => createServer((request, response) => void run(receive(request, response)))),
        (server) =>
          Effect.sync(() => {
            server.closeAllConnections()
            server.close()
          })
      )
      return `http://127.0.0.1:${yield* listening(server)}/`
    }
  )

  const mannerOf = (role: Role, dice: Dice.Dice): Manner =>
    role.dies === true && state.dead ? { afterMs: 0, does: "reset" } : state.faulty ? role.manner(dice) : well

  const listen = Effect.fnUntraced(function*(role: Role, n: number) {
    const dice = Dice.make(seed + n)

    const receive = Effect.fnUntraced(function*(request: IncomingMessage, response: ServerResponse) {
      const manner = mannerOf(role, dice)
      const attempt = header(request, Events.attemptHeader)
      const seen: Request = {
        receiver: role.name,
        messageId: header(request, "webhook-id"),
        deliveryId: header(request, "x-delivery-id"),
        eventId: header(request, "x-event-type"),
        process: header(request, Events.processHeader),
        sentAtSeconds: Number(header(request, "webhook-timestamp")),
        attempt: attempt === "" ? undefined : Number(attempt),
        atMs: yield* Clock.currentTimeMillis,
        endedAtMs: undefined,
        key: undefined,
        status: undefined,
        full: false
      }
      requests.push(seen)
      const clock = yield* Clock.Clock
      const end = () => {
        seen.endedAtMs ??= clock.currentTimeMillisUnsafe()
      }
      response.on("close", end)
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
      // Before its sender can know of it.
      end()
      response.writeHead(manner.does).end()
    })

    return { ...role, url: yield* serve(receive) }
  })

  /** Is always well; a hearing that is told again, because its answer was lost, is one. */
  const known = new Set<string>()
  const hear = Effect.fnUntraced(function*(request: IncomingMessage, response: ServerResponse) {
    const hearing = header(request, Events.hearingHeader)
    if (!known.has(hearing)) {
      known.add(hearing)
      hearings.push({
        process: header(request, Events.processHeader),
        messageId: header(request, "webhook-id"),
        hearing,
        atMs: yield* Clock.currentTimeMillis
      })
    }
    yield* textOf(request)
    response.writeHead(204).end()
  })

  const all = yield* Effect.forEach(roles, listen)
  const queues = yield* Effect.forEach(queueRoles, (role, n) => listen(role, roles.length + n))
  const heard = yield* serve(hear)

  return {
    /** Those of subscriptions. */
    all,
    /** What tells the runners where their handlers post to. */
    variables: Object.fromEntries([
      ...Events.queues.map((name, n) => [Events.handlerVariable(name), queues[n]?.url ?? ""] as const),
      [Events.handlerVariable(Events.broadcastName), heard] as const
    ]),
    /** In the order in which they came. */
    requests,
    hearings,
    /** From now on those that die are dead, or alive. */
    die: (dead: boolean) =>
      Effect.sync(() => {
        state.dead = dead
      }),
    /** From now on they all are well. */
    heal: Effect.sync(() => {
      state.faulty = false
      state.dead = false
    })
  }
})

export type Receivers = Effect.Success<ReturnType<typeof make>>

/** A subscription's input for the API. */
export const subscriptionOf = (
  { delaysMs, events, maxConcurrency, name, ordered = false, rateLimit, url }: Receivers["all"][number]
) => ({
  name,
  ordered,
  events,
  ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
  ...(rateLimit === undefined ? {} : { rateLimit }),
  providerId: "chaos.endpoint",
  config: { url, timeoutMs },
  retry: delaysMs === undefined ? Events.patientRetry : { type: "delays", delaysMs }
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
