import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schedule, Schema } from "effect"
import { createServer } from "node:http"
import * as Cluster from "../support/cluster.ts"
import { exited, kill, until } from "../support/process.ts"
import { get, post } from "../support/runner.ts"
import { listening } from "../support/served.ts"

/** HOOKLINE_LONG=1 proves it at length, as `.ci/run --long` does. */
const isLong = process.env["HOOKLINE_LONG"] === "1"

const config = "examples/status-page/hookline.config.ts"

const steps = ["created", "updated", "resolved"] as const

const Body = Schema.fromJsonString(Schema.Struct({
  type: Schema.String,
  data: Schema.Struct({ incidentId: Schema.String })
}))

interface Arrival {
  readonly incidentId: string
  readonly step: number
  readonly accepted: boolean
  readonly atMs: number
}

/** An endpoint that refuses some of what it gets, and remembers what came in which order. */
const endpoint = (refused: number) =>
  Effect.gen(function*() {
    const arrivals: Array<Arrival> = []
    const clock = yield* Clock.Clock
    let count = 0
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
        const { data, type } = Schema.decodeUnknownSync(Body)(Buffer.concat(chunks).toString("utf8"))
        // In no order that the messages have: which of them fail differs from key to key.
        const accepted = (++count * 7919) % 100 >= 100 * refused
        const step = steps.findIndex((name) => type === `incident.incident.${name}`)
        arrivals.push({ incidentId: data.incidentId, step, accepted, atMs: clock.currentTimeMillisUnsafe() })
        response.writeHead(accepted ? 204 : 503).end()
      })
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
    )
    return { arrivals, url: `http://127.0.0.1:${yield* listening(server)}/` }
  })

/** Where a later step of an incident arrived although an earlier one had yet to be accepted. */
const inversions = (arrivals: ReadonlyArray<Arrival>) => {
  const accepted = new Map<string, number>()
  const found: Array<string> = []
  for (const { accepted: isAccepted, incidentId, step } of arrivals) {
    const next = accepted.get(incidentId) ?? 0
    if (step > next) found.push(`${incidentId} was ${steps[step]} before it was ${steps[next]}`)
    if (isAccepted && step === next) accepted.set(incidentId, next + 1)
  }
  return found
}

const payload = (incidentId: string) => ({
  incidentId,
  systemIds: [],
  title: "t",
  severity: "major",
  status: "open",
  createdAt: "2026-01-31T12:00:00Z",
  resolvedAt: "2026-01-31T12:00:00Z"
})

type Runner = Effect.Success<ReturnType<Effect.Success<typeof Cluster.make>["start"]>>

/** Emits to whichever runner takes it, once: what was not answered is repeated with its key. */
const emitter = (runners: ReadonlyArray<Runner>) => (incidentId: string, step: number) =>
  Effect.suspend(() => {
    const runner = runners[Math.floor(step + incidentId.length) % runners.length]
    return post(`${runner?.url}/messages`, {
      eventId: `incident.incident.${steps[step]}`,
      payload: payload(incidentId),
      idempotencyKey: `${incidentId}-${step}`
    })
  }).pipe(
    Effect.flatMap(({ json, status }) => status === 202 ? Effect.void : Effect.fail(new Error(JSON.stringify(json)))),
    Effect.retry({ schedule: Schedule.spaced("50 millis"), times: 400 })
  )

const subscribed = (runner: Runner, url: string, extra: object) =>
  Effect.flatMap(
    post(`${runner.url}/subscriptions`, {
      name: "a",
      events: ["incident.*"],
      providerId: "webhook.webhook",
      config: { url },
      retry: { type: "delays", delaysMs: Array.from({ length: 50 }, () => 50) },
      ...extra
    }),
    ({ json, status }) => status === 201 ? Effect.succeed(json) : Effect.fail(new Error(JSON.stringify(json)))
  )

const Delivery = Schema.fromJsonString(Schema.Struct({
  attempts: Schema.Array(Schema.Struct({ startedAt: Schema.String }))
}))

const Page = Schema.fromJsonString(Schema.Struct({
  items: Schema.Array(Schema.Struct({ id: Schema.String })),
  nextCursor: Schema.NullOr(Schema.String)
}))

/** When the attempts of all deliveries began, in that order; an attempt that is recorded has ended. */
const begun = (runner: Runner) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    let cursor: string | null = ""
    while (cursor !== null) {
      const { text } = yield* get(`${runner.url}/deliveries?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`)
      const page: typeof Page.Type = yield* Schema.decodeUnknownEffect(Page)(text)
      for (const { id } of page.items) {
        const { text } = yield* get(`${runner.url}/deliveries/${id}`)
        const { attempts } = yield* Schema.decodeUnknownEffect(Delivery)(text)
        times.push(...attempts.map(({ startedAt }) => Date.parse(startedAt)))
      }
      cursor = page.nextCursor
    }
    return times.sort((one, other) => one - other)
  })

describe("an ordered subscription in a cluster", () => {
  it.live(
    "gets each incident's messages in their order, while its endpoint fails at random and runners are killed",
    () =>
      Effect.gen(function*() {
        const incidents = isLong ? 10_000 : 300
        const kills = isLong ? 5 : 2
        const cluster = yield* Cluster.make
        const { arrivals, url } = yield* endpoint(0.2)
        const runners = yield* Effect.all([cluster.start({ config }), cluster.start({ config })], { concurrency: 2 })
        yield* subscribed(runners[0], url, { ordered: true })
        const emit = emitter(runners)
        const emitting = Effect.forEach(
          Array.from({ length: incidents }, (_, n) => `i-${n}`),
          (id) => Effect.forEach(steps, (_, step) => emit(id, step), { discard: true }),
          { concurrency: 16, discard: true }
        )
        const killing = Effect.gen(function*() {
          for (let n = 1; n <= kills; n++) {
            yield* until(
              "messages arrive",
              Effect.sync(() => arrivals.length > (n * 3 * incidents) / (kills + 1)),
              isLong ? 30_000 : 1500
            )
            const [victim] = runners.splice(n % 2, 1)
            if (!victim) return yield* Effect.die("no runner")
            yield* kill(victim.child, "SIGKILL")
            yield* exited(victim.child)
            runners.push(yield* cluster.start({ config }))
          }
        })
        yield* Effect.all([emitting, killing], { concurrency: 2 })
        const through = () =>
          new Set(arrivals.flatMap(({ accepted, incidentId, step }) => accepted && step === 2 ? [incidentId] : []))
        yield* until("all are resolved", Effect.sync(() => through().size === incidents), isLong ? 30_000 : 1500)
        assert.deepStrictEqual(inversions(arrivals), [])
        const accepted = new Set(
          arrivals.flatMap(({ accepted, incidentId, step }) => accepted ? [`${incidentId} ${step}`] : [])
        )
        assert.strictEqual(accepted.size, 3 * incidents)
        yield* Effect.logInfo(`${arrivals.length} requests for ${3 * incidents} messages, ${kills} runners killed`)
      }),
    isLong ? 900_000 : 120_000
  )
})

describe("a rate limit in a cluster", () => {
  it.live(
    "holds whichever runners route the messages, and drops none",
    () =>
      Effect.gen(function*() {
        const count = isLong ? 1000 : 150
        const cluster = yield* Cluster.make
        const { arrivals, url } = yield* endpoint(0)
        const runners = yield* Effect.all([cluster.start({ config }), cluster.start({ config })], { concurrency: 2 })
        yield* subscribed(runners[0], url, { rateLimit: { messages: 50, intervalMs: 1000, burst: 10 } })
        const emit = emitter(runners)
        yield* Effect.forEach(Array.from({ length: count }), (_, n) => emit(`r-${n}`, n % 3), {
          concurrency: 16,
          discard: true
        })
        yield* until("all have arrived", Effect.sync(() => arrivals.length === count), 3000)
        const done = Effect.map(runners[0].deliveries, (all) =>
          all.size === count && [...all.values()].every((status) => status === "success"))
        yield* until("all are recorded", done)
        // As they began: on a busy machine they may be late on their way, and then come together.
        const times = yield* begun(runners[1])
        assert.strictEqual(times.length, count)
        const [first = 0] = times
        const last = times.at(-1) ?? 0
        for (const [i, from] of times.entries()) {
          const within = times.slice(i).filter((time) =>
            time - from < 1000
          ).length
          assert.isAtMost(within, 10 + 50 + 10, `${within} began in one second`)
        }
        assert.isAtLeast(last - first, ((count - 10) / 50) * 1000 - 200)
        yield* Effect.logInfo(`${count} messages at 50/s took ${((last - first) / 1000).toFixed(1)} s`)
      }),
    120_000
  )
})
