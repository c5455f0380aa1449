import { assert, describe, it, layer } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Layer, Schedule, Scope } from "effect"
import { createServer } from "node:net"
import { defaults } from "../../src/Limits.ts"
import * as Cluster from "../support/cluster.ts"
import { exited, hookline, kill, until } from "../support/process.ts"
import { freePort, get, receiver } from "../support/runner.ts"
import { listening } from "../support/served.ts"

type Runner = Effect.Success<ReturnType<Effect.Success<typeof Cluster.make>["start"]>>

/** Three runners that have shared the shards out, others in the course of the tests, and a subscription of all events. */
class Three extends Context.Service<Three, {
  readonly endpoint: Effect.Success<typeof receiver>
  readonly runners: Array<Runner>
  /** Starts one more. */
  readonly start: Effect.Effect<Runner>
}>()("test/Three") {}

const three = Layer.effect(
  Three,
  Effect.gen(function*() {
    const cluster = yield* Cluster.make
    const endpoint = yield* receiver
    const runners = yield* Effect.all([cluster.start(), cluster.start(), cluster.start()], { concurrency: 3 })
    const [first] = runners
    yield* until(
      "each holds its share",
      Effect.map(
        first.overview,
        ({ runners, shards }) =>
          shards.held === shards.total && runners.filter(({ alive, shards }) => alive && shards > 0).length === 3
      )
    )
    yield* first.subscribe(`http://127.0.0.1:${endpoint.port}/`)
    const scope = yield* Effect.scope
    return { endpoint, runners, start: Effect.orDie(Scope.provide(cluster.start(), scope)) }
  })
)

const emitAll = (runners: ReadonlyArray<Runner>, rounds: number) =>
  Effect.forEach(
    Array.from({ length: rounds * Cluster.events.length }, (_, n) => n),
    (n) => {
      const runner = runners[n % runners.length]
      const event = Cluster.events[n % Cluster.events.length]
      return runner && event ? runner.emit(event, n) : Effect.die("no runner")
    },
    { concurrency: 8 }
  )

const delivered = (runner: Runner, ids: ReadonlyArray<string>) =>
  until(
    "all are delivered",
    Effect.map(runner.deliveries, (found) => ids.every((id) => found.get(id) === "success"))
  )

/** Answers what an endpoint holds. */
const answer = ({ held }: Three["Service"]["endpoint"]) =>
  Effect.sync(() => {
    for (const response of held.splice(0)) response.writeHead(204).end()
  })

/** A runner that owns groups, and one of the others. */
const ownerAmong = Effect.fnUntraced(function*(runners: ReadonlyArray<Runner>) {
  const owners = yield* runners[0]?.owners ?? Effect.die("no runner")
  const victim = runners.find(({ id }) => [...owners.values()].includes(id))
  const other = runners.find((runner) => runner !== victim)
  if (!victim || !other) return yield* Effect.die("nobody owns a group")
  const groups = [...owners].filter(([, id]) => id === victim.id).map(([group]) => group)
  return { victim, other, events: groups.map((group) => group.slice("integration.".length)) }
})

layer(three, { excludeTestServices: true, timeout: "60 seconds" })("a cluster of runners", (it) => {
  it.effect(
    "forms by itself on one database, and delivers once what is emitted anywhere",
    () =>
      Effect.gen(function*() {
        const { endpoint, runners } = yield* Three
        const [first] = runners
        if (!first) return yield* Effect.die("no runner")
        const ids = yield* emitAll(runners, 5)
        yield* delivered(first, ids)
        assert.deepStrictEqual(ids.filter((id) => endpoint.seen.get(id) !== 1), [])
        const owners = new Set((yield* first.owners).values())
        assert.isAbove(owners.size, 1, "the worker groups are spread over the runners")
      }),
    60_000
  )

  it.effect(
    "delivers what a frozen runner had, and takes it in again when it goes on, which then sends none of it",
    () =>
      Effect.gen(function*() {
        const { endpoint, runners } = yield* Three
        const { events, other, victim } = yield* ownerAmong(runners)
        const [event = ""] = events
        endpoint.hold = true
        const had = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, n) => n),
          (n) => other.emit(event, n),
          { concurrency: 16 }
        )
        // As many as may be are under way, the others wait behind them.
        yield* until("they are under way", Effect.sync(() => endpoint.held.length === defaults.laneSlots))
        yield* kill(victim.child, "SIGSTOP")
        const underWay = new Set(had.filter((id) => endpoint.seen.has(id)))
        assert.strictEqual(underWay.size, defaults.laneSlots)
        endpoint.hold = false
        yield* answer(endpoint)
        const during = yield* Effect.forEach(events, (event) => other.emit(event, 2))
        yield* delivered(other, [...had, ...during])
        assert.notInclude([...(yield* other.owners).values()], victim.id)
        yield* kill(victim.child, "SIGCONT")
        yield* until(
          "it is alive and holds its share again",
          Effect.map(victim.overview, ({ runners, shards }) =>
            shards.held === shards.total &&
            runners.some(({ alive, id, shards }) => id === victim.id && alive && shards > 0))
        )
        yield* delivered(other, yield* emitAll(runners, 2))
        for (const id of had) {
          const times = endpoint.seen.get(id) ?? 0
          assert.isTrue(underWay.has(id) ? times <= 2 : times === 1, `${id} came ${times} times`)
          const outcomes = yield* other.outcomes(id)
          assert.strictEqual(
            outcomes.filter((outcome) => outcome === "success").length,
            1,
            outcomes.join()
          )
        }
      }),
    60_000
  )

  it.effect(
    "is restarted one runner after the other, under load, and loses nothing and doubles nothing",
    () =>
      Effect.gen(function*() {
        const { endpoint, runners, start } = yield* Three
        // It answers within half a second.
        endpoint.hold = true
        const answering = yield* Effect.forkChild(Effect.repeat(answer(endpoint), Schedule.spaced("500 millis")))
        const emittedAtMs = new Map<string, number>()
        let emitted = 0
        const emitOne = Effect.gen(function*() {
          const n = emitted++
          const runner = runners[n % runners.length]
          const event = Cluster.events[n % Cluster.events.length]
          if (!runner || !event) return yield* Effect.die("no runner")
          const atMs = yield* Clock.currentTimeMillis
          emittedAtMs.set(yield* runner.emit(event, n), atMs)
        })
        const load = yield* Effect.forkChild(Effect.repeat(emitOne, Schedule.spaced("5 millis")))
        const flows = (arrived: number) =>
          until("deliveries flow", Effect.sync(() => endpoint.firstAtMs.size > arrived + Cluster.events.length)).pipe(
            // Nothing flows where nothing is emitted: why, is what counts then.
            Effect.raceFirst(Effect.andThen(Fiber.join(load), Effect.never))
          )

        for (const old of runners.slice()) {
          yield* flows(endpoint.firstAtMs.size)
          runners.splice(runners.indexOf(old), 1)
          yield* kill(old.child, "SIGTERM")
          yield* exited(old.child)
          runners.push(yield* start)
          const overview = yield* runners[0]?.overview ?? Effect.die("no runner")
          assert.notInclude(overview.runners.map(({ id }) => id), old.id)
        }
        yield* flows(endpoint.firstAtMs.size)
        yield* Fiber.interrupt(load)

        const ids = [...emittedAtMs.keys()]
        yield* until("all have arrived", Effect.sync(() => ids.every((id) => endpoint.seen.has(id))))
        yield* Fiber.interrupt(answering)
        endpoint.hold = false
        yield* answer(endpoint)
        assert.deepStrictEqual(ids.filter((id) => endpoint.seen.get(id) !== 1), [])
        const waits = ids.map((id) => (endpoint.firstAtMs.get(id) ?? 0) - (emittedAtMs.get(id) ?? 0))
        yield* Effect.logInfo(`${ids.length} messages, the slowest after ${Math.max(...waits)} ms`)
      }),
    120_000
  )

  it.effect(
    "delivers what a killed runner was to deliver: another owns its groups when its heartbeat has expired",
    () =>
      Effect.gen(function*() {
        const { runners } = yield* Three
        const { events, other, victim } = yield* ownerAmong(runners)
        yield* kill(victim.child, "SIGKILL")
        const ids = yield* Effect.forEach(events, (event) => other.emit(event, 1))
        yield* delivered(other, ids)
        const { runners: seen } = yield* other.overview
        assert.isFalse(seen.find(({ id }) => id === victim.id)?.alive)
        assert.notInclude([...(yield* other.owners).values()], victim.id)
      }),
    60_000
  )
})

describe("a runner without the code of the others", () => {
  it.live(
    "shows which runner lacks the code that a subscription and its messages need, and loses nothing",
    () =>
      Effect.gen(function*() {
        const cluster = yield* Cluster.make
        const endpoint = yield* receiver
        const bare = yield* cluster.start({ config: "test/cluster/bare.config.ts" })
        const whole = yield* cluster.start()
        yield* whole.subscribe(`http://127.0.0.1:${endpoint.port}/`)
        const ids = yield* emitAll([whole], 2)
        yield* until(
          "the events are told whose code it lacks",
          Effect.map(whole.overview, ({ codeMissing }) =>
            codeMissing.some(({ kind, runnerIds }) =>
              kind === "event" && runnerIds.includes(bare.id)
            ))
        )
        const plugins = yield* get(`${whole.url}/plugins`)
        assert.include(plugins.text, `"missingOn":["${bare.id}"]`)
        yield* until(
          "it is ready, and says what it lacks",
          Effect.map(
            get(`http://127.0.0.1:${bare.port}/health/ready`),
            ({ status, text }) => status === 200 && text.includes(`"codeMissing":[{"kind":`)
          )
        )
        yield* kill(bare.child, "SIGTERM")
        yield* exited(bare.child)
        yield* delivered(whole, ids)
      }),
    120_000
  )
})

describe("a runner that can't join", () => {
  it.live("says so when its port for other runners is taken", () =>
    Effect.gen(function*() {
      const { env } = yield* Cluster.make
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => createServer()),
        (server) => Effect.sync(() => server.close())
      )
      const taken = yield* listening(server)
      const { child, output } = yield* hookline(
        [
          "start",
          "--config",
          "test/cluster/bare.config.ts",
          "--runner-port",
          String(taken),
          "--runner-host",
          "127.0.0.1",
          "--port",
          String(yield* freePort)
        ],
        env
      )
      assert.strictEqual(yield* exited(child), 1)
      assert.include(output.stderr, `Port ${taken} on 127.0.0.1 can't be used for other runners: choose another with`)
    }), 60_000)
})
